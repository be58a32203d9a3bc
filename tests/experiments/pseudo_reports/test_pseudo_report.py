"""What the report on pseudo labels promises, of a teacher whose mistakes are known."""

import base64
import dataclasses
import html.parser
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from st_keras.data import splits
from st_keras.experiments.pseudo_reports import contents
from st_keras.experiments.pseudo_reports import page as report_page
from st_keras.experiments.pseudo_reports.conditions import parse
from tests.experiments.pseudo_reports import noisy_teacher
from tests.experiments.pseudo_reports.noisy_teacher import CLASSES, PICTURES
from tests.record_files import write_records
from tests.self_training.made_up_labels import write_labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("noisy")


@pytest.fixture(scope="module")
def injected(folder):
    return noisy_teacher.write(folder)


def settings(folder, **changes):
    return contents.Settings(
        **{"pseudo": str(folder / "pseudo"), "truth": str(folder / "truth"), **changes}
    )


@pytest.fixture(scope="module")
def reported(folder, injected):
    """The report, its pictures, and the text of its page."""
    report, shown = contents.report_pseudo(settings(folder))
    output = str(folder / "report")
    contents.write_report(report, output)
    path = report_page.write_html(report, shown, output)
    return report, shown, open(path).read()


def test_the_noise_that_was_put_in_is_what_is_reported(reported, injected):
    report, _, _ = reported
    numbers = report["numbers"]
    assert numbers["precision"] == injected.precision(0, 1, 2)
    assert numbers["recall"] == injected.recall(0, 1, 2)
    assert numbers["boxes_per_image"] == injected.kept.total() / PICTURES
    # Neither is trivial, nor are they alike.
    assert 0.4 < numbers["precision"] < 0.42 and 0.5 < numbers["recall"] < 0.53


def test_the_noise_of_each_class_is_reported_with_that_class(reported, injected):
    report, _, _ = reported
    for class_id, name in enumerate(CLASSES):
        row = report["tables"]["By class"][name]
        assert row["precision"] == injected.precision(class_id)
        assert row["recall"] == injected.recall(class_id)
        assert row["true"] == injected.true[class_id]
        assert row["kept"] == injected.kept[class_id]
        assert row["share"] == injected.kept[class_id] / injected.kept.total()
        assert row["human_share"] == injected.true[class_id] / injected.true.total()
    precisions = [injected.precision(class_id) for class_id in range(3)]
    assert max(precisions) - min(precisions) > 0.1


def test_a_lower_threshold_lets_the_unsure_boxes_in(reported, injected):
    report, _, _ = reported
    (row,) = [r for r in report["thresholds"] if r["min_score"] == 0.1]
    right = injected.right.total() + injected.dropped
    assert row["precision"] == right / (injected.kept.total() + injected.dropped)
    assert row["recall"] == right / injected.true.total()
    assert len(report["thresholds"]) == 19


def test_every_picture_is_on_the_page_the_most_disagreement_first(reported):
    report, shown, page = reported
    ids = [f"scene_{number:03d}" for number in range(PICTURES)]
    assert sorted(picture.image_id for picture in shown) == ids
    assert re.findall(r'data-id="([^"]+)"', page) == [p.image_id for p in shown]
    found = [picture.disagreement for picture in shown]
    assert found == sorted(found, reverse=True) and found[0] == 1.0 and found[-1] == 0
    assert [row["id"] for row in report["pictures"]] == [p.image_id for p in shown]
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == PICTURES
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0]))).size == (400, 240)


def test_verdicts_add_up_to_what_was_put_in(reported, injected):
    report, _, _ = reported

    def total(kind):
        return sum(row.get(kind, 0) for row in report["pictures"])

    assert total("matched") == injected.right.total()
    assert total("false") == injected.kept.total() - injected.right.total()
    assert total("missed") == injected.true.total() - injected.right.total()
    assert total("dropped") == injected.dropped and total("kept") == 0


class Parser(html.parser.HTMLParser):
    """Collects what a page asks a browser to fetch, its scripts and its texts."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.scripts, self._open = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self._open = tag
        names = ("src", "href", "srcset", "action", "data")
        self.fetched += [value for name, value in attributes if name in names]

    def handle_data(self, data):
        if self._open == "script" and data.strip():
            self.scripts.append(data)


def test_pictures_disagree_by_what_is_false_or_missed(reported):
    report, _, _ = reported
    for row in report["pictures"]:
        right, wrong = row.get("matched", 0), row.get("false", 0) + row.get("missed", 0)
        # One minus F1: 2 right / (kept + true). Empty pictures agree with the truth.
        expected = wrong / (2 * right + wrong) if wrong else 0.0
        assert row["disagreement"] == pytest.approx(expected)


def test_labels_of_a_high_floor_have_a_page_without_thresholds(tmp_path, tiny_records):
    write_labels(
        tmp_path / "pseudo",
        list(tiny_records.by_id.values()),
        **{"teacher": "gone", "teacher_sha256": "0a1b2c3d4e5f", "score_floor": 0.96},
        class_names=tiny_records.class_names,
    )
    sure = {"min_score": 0.97, "truth": "", "agreement_pictures": 0}
    report, shown = contents.report_pseudo(settings(tmp_path, **sure))
    assert report["thresholds"] == []
    page = open(report_page.write_html(report, shown, str(tmp_path))).read()
    assert "All numbers at 0.97" in page and "Every threshold" not in page


def test_the_page_needs_nothing_from_the_network(reported):
    _, _, page = reported
    parsed = Parser(page)
    assert parsed.fetched and all(v.startswith("data:image/") for v in parsed.fetched)
    assert "://" not in page and "@import" not in page and "url(" not in page
    (script,) = parsed.scripts
    assert "exclude.txt" in script and len(script.splitlines()) < 12
    assert re.search(r'box\.dataset\.id \+ "\\n"', script)


def test_a_page_explains_only_what_is_drawn(reported):
    _, _, page = reported
    legend = page[page.index("<h2>Pictures") :]
    for word in ("matched", "false", "missed", "dropped"):
        assert f"</i>{word}</dt>" in legend
    assert "</i>kept</dt>" not in legend


def test_an_id_is_text_and_never_markup():
    from st_keras.experiments import page

    found = page.ticked_pictures([('a"><b>', "1 & 2", "data:x")], "Save", "e.txt")
    assert 'data-id="a&quot;&gt;&lt;b&gt;"' in found and "1 &amp; 2" in found


def test_the_saved_list_is_one_that_the_trainer_reads(tmp_path, reported):
    # What the script does: each id and a line feed.
    _, shown, _ = reported
    path = tmp_path / report_page.EXCLUDE_FILE
    path.write_text("".join(f"{picture.image_id}\n" for picture in shown[:3]))
    assert splits.read_ids(path) == [picture.image_id for picture in shown[:3]]


def test_the_report_is_stored_as_it_is(folder, reported):
    report, _, _ = reported
    assert json.loads((folder / "report" / "report.json").read_text()) == json.loads(
        json.dumps(report)
    )


def test_the_summary_fits_a_screen_and_has_what_matters(reported, injected):
    report, _, _ = reported
    text = report_page.format_summary(report, "somewhere/report.html")
    lines = text.splitlines()
    assert len(lines) <= 40 and max(map(len, lines[:-1])) < 80
    assert re.search(rf"precision +{injected.precision(0, 1, 2):.3f}", text)
    assert lines[-1].endswith("somewhere/report.html")


def test_a_true_condition_is_a_failure_and_a_false_one_is_none(folder, injected):
    precision = injected.precision(0, 1, 2)
    few = settings(folder, pictures=1)
    tight = [parse(f"precision@0.5<{precision + 0.01}")]
    loose = [parse(f"precision@0.5<{precision - 0.01}"), parse("ap50<0.01")]
    assert len(contents.report_pseudo(few, tight)[0]["failed"]) == 1
    assert contents.report_pseudo(few, loose)[0]["failed"] == []


def test_a_condition_on_no_number_is_refused_before_anything_is_read(folder, injected):
    with pytest.raises(ValueError, match="no number `precison`. Did you mean `precisi"):
        contents.report_pseudo(settings(folder), [parse("precison<0.5")])


def test_the_page_has_at_most_as_many_pictures_as_asked_for(folder, reported):
    _, all_shown, _ = reported
    _, shown = contents.report_pseudo(settings(folder, pictures=7))
    assert shown == all_shown[:7]


def test_human_labels_of_other_pictures_are_what_classes_are_held_against(
    folder, injected, tiny_records
):
    report, _ = contents.report_pseudo(
        settings(folder, human=tiny_records.glob, pictures=1)
    )
    boxes = [r for r in tiny_records.by_id.values()]
    count = sum(len(record.labels) for record in boxes) - 1  # One is a crowd.
    assert report["human"]["boxes_per_image"] == count / 12
    assert report["human_are"] == "human labels"
    few = folder / "few.txt"
    few.write_text("tiny_00\ntiny_01\n")
    report, _ = contents.report_pseudo(
        settings(folder, human=tiny_records.glob, human_ids=str(few), pictures=1)
    )
    assert report["human"] == {"boxes_per_image": 3 / 2, "empty_share": 1 / 2}


def test_truth_of_some_pictures_judges_those(folder, injected, tmp_path):
    few = noisy_teacher.write(tmp_path, pictures=30)
    found = settings(folder, truth=f"{tmp_path}/truth/*.tfrecord")
    report, shown = contents.report_pseudo(found)
    assert (report["images"], report["judged_images"]) == (PICTURES, 30)
    assert report["numbers"]["precision"] == few.precision(0, 1, 2)
    assert len(shown) == 30


def test_truth_of_other_pictures_is_refused(folder, injected, tiny_records):
    with pytest.raises(ValueError, match="is not the truth of .* none of its 200 pict"):
        contents.report_pseudo(settings(folder, truth=tiny_records.glob))


def test_without_truth_or_teacher_unsure_pictures_come_first(folder, injected):
    report, shown = contents.report_pseudo(settings(folder, truth=""))
    assert "holds no checkpoint" in report["agreement"]["not_measured"]
    assert report["numbers"]["precision"] is None
    found = [picture.disagreement for picture in shown]
    assert found == sorted(found, reverse=True) and found[0] == 1.0 > found[-1]
    assert all(
        set(row) <= {"id", "disagreement", "kept", "dropped"}
        for row in report["pictures"]
    )
    page = report_page.write_html(report, shown, str(folder / "blind"))
    assert "nobody knows whether it is right" in open(page).read()
    with pytest.raises(ValueError, match="`precision` is not known"):
        contents.report_pseudo(
            settings(folder, truth="", pictures=1), [parse("precision<0.5")]
        )


def test_a_score_that_is_none_is_refused(folder):
    with pytest.raises(ValueError, match=r"`min_score` must be in \[0, 1\), got 1.5"):
        contents.report_pseudo(settings(folder, min_score=1.5))


def test_labels_are_drawn_where_they_are(reported, injected):
    _, shown, _ = reported
    right = [picture for picture in shown if picture.caption == "1 matched"][0]
    pixels = Image.open(io.BytesIO(base64.b64decode(right.jpeg.partition(",")[2])))
    red, green, blue = np.moveaxis(np.asarray(pixels, int), -1, 0)
    # The frame is green; what is beside it in the left half alone.
    is_frame = (green > 140) & (red < 80) & (blue > 80) & (blue < 180)
    assert is_frame[:, :190].sum() > 200 and not is_frame[:, 240:].any()


def test_classes_of_whole_pictures_are_reported_too(tmp_path, tiny_records):
    truth, pseudo = [], []
    for number, record in enumerate(list(tiny_records.by_id.values())[:8]):
        plain = dataclasses.replace(
            record, boxes_yxyx=np.zeros([0, 4], np.float32), labels=np.zeros(0, int)
        )
        plain = dataclasses.replace(plain, texts=(), is_crowd=None)
        truth.append(dataclasses.replace(plain, class_label=1 + number % 2))
        # The last three are called `bee`; the first is not sure.
        said = {"class_label": 2 if number > 4 else 1 + number % 2}
        score = 0.3 if number == 0 else 0.8
        pseudo.append(dataclasses.replace(plain, **said, class_score=score))
    names = {"image_class_names": ("ant", "bee")}
    write_records(tmp_path / "truth", truth, **names)
    write_labels(
        tmp_path / "pseudo", pseudo, teacher="gone", teacher_sha256="0", **names
    )
    report, shown = contents.report_pseudo(settings(tmp_path))
    # Kept: 1 to 7; wrong: 6, which is an ant.
    assert report["numbers"]["coverage"] == 7 / 8
    assert report["numbers"]["accuracy"] == 6 / 7
    assert {p.image_id for p in shown[:2]} == {"tiny_00", "tiny_06"}
    path = report_page.write_html(report, shown, str(tmp_path))
    assert "false, missed" in open(path).read()
    assert "accuracy" in report_page.format_summary(report, path)
