"""What the page of an experiment tells."""

import html.parser
import json
import shlex

import pytest

from st_keras import config as config_lib
from st_keras.experiments.pictures import test_rows as rows_of_test_pictures
from st_keras.experiments.report import write_html

VOID = {"meta", "img", "source", "br"}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, student_yaml, made_up):
    """A finished experiment, of which only text is left: no record, no checkpoint."""
    settings = config_lib.to_dict(config_lib.load(student_yaml))
    settings["detection"]["class_names"] = ["cat", "<dog>"]
    settings["human"]["records"] = "gone/train/*.tfrecord"
    settings["pseudo"]["records"] = "gone/labels_1/*.tfrecord"
    folder = tmp_path_factory.mktemp("report") / "my & run"
    for run in ("teacher", "student_1", "control"):
        (folder / run).mkdir(parents=True)
        rows = [
            {"step": step, "human/loss": 9.0 / step}
            | ({"pseudo/loss": 8.0 / step} if run == "student_1" else {})
            for step in (50, 100, 150)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / run / "metrics.jsonl").write_text(text)
        config = config_lib.from_dict(settings)
        config_lib.save(config, str(folder / run / "config.yaml"))
    return folder


@pytest.fixture(scope="module")
def page(workdir, made_up):
    return write(workdir, made_up())


def write(workdir, report):
    (workdir / "report.json").write_text(json.dumps(report))
    return Page(write_html(str(workdir)))


class Page(html.parser.HTMLParser):
    """Reads a page and refuses one whose elements do not nest."""

    def __init__(self, path):
        super().__init__()
        self.open, self.links, self.tags = [], [], []
        self.best, self.texts = [], []
        self.feed(open(path, encoding="utf-8").read())
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name in ("src", "srcset", "href", "data", "action"):
                self.links.append(value)
        if tag not in VOID:
            self.open.append((tag, dict(attributes).get("class")))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open and self.open[-1][0] != "style" and data.strip():
            self.texts.append(data.strip())
            if self.open[-1] == ("td", "best"):
                self.best.append(data)

    @property
    def text(self):
        return "\n".join(self.texts)


def test_a_page_is_one_file_without_script_or_network(page, workdir):
    assert page.links
    assert all(link.startswith("data:image/") for link in page.links)
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert "url(" not in (workdir / "report.html").read_text()


def test_a_page_opens_with_who_wins(page):
    assert page.text.startswith("Self-training: my & run")
    verdict = page.text.index("The student beats its teacher: +7.5 AP.")
    assert verdict < page.text.index("Results on the test pictures")


def test_a_page_holds_the_numbers_of_the_files(page):
    for number in ("41.3", "48.7", "46.1", "1,500", "3,000", "48,000", "390,001"):
        assert number in page.texts
    for text in ("ffff00001111", "64 x 96", "58.7 s", "1 min 24 s", "9e68ebc4a788"):
        assert text in page.text


def test_the_best_of_a_column_is_marked_with_its_ties(page):
    # AP; AP50 of student and control; AR100. Then two for cats and one for dogs.
    # Row by row.
    assert page.best == ["55.5", "48.7", "75.5", "75.5", "52.1", "52.1", "45.6"]


def test_what_could_not_be_measured_is_a_dash_and_never_the_best(page):
    assert page.texts.count("-") == 3 + 1  # APl of three models, and the note on it.
    assert "-100.0" not in page.text
    assert "-" not in page.best


def test_the_names_of_a_user_are_text_and_not_markup(page):
    assert "<dog>" in page.texts
    assert "dog" not in page.tags


def test_records_that_are_gone_cost_the_pictures_and_nothing_else(page):
    assert page.text.count("Pictures are not shown: ") == 2
    assert "gone/test/*.tfrecord" in page.text


def test_the_settings_and_the_command_that_runs_it_again_are_there(page):
    assert "details" in page.tags
    assert "learning_rate: 0.003" in page.text
    assert "python tools/self_train.py" in page.text
    assert "--iterations" not in page.text


def test_the_command_holds_a_folder_with_blanks_together(workdir, made_up):
    path = workdir / "config.yaml"
    path.write_text((workdir / "teacher" / "config.yaml").read_text())
    page = write(workdir, made_up())
    path.unlink()
    _, _, command = page.text.partition("python tools/self_train.py ")
    given = shlex.split(command.replace("\\\n", " "))[:4]
    assert given == ["--config", str(path), "--workdir", f"{workdir}_again"]


def test_a_page_needs_neither_control_nor_truth(workdir, made_up):
    unknown = {"sentence": "How right is unknown.", "thresholds": [], "human": None}
    pseudo = made_up()["pseudo_labels"] | unknown
    page = write(workdir, made_up(control=None, pseudo_labels=pseudo))
    assert "Control" not in page.texts
    assert "75.5" in page.best
    assert "How right is unknown." in page.text
    assert "Precision and recall" not in page.texts


def test_another_headline_and_other_metrics_make_another_table(workdir, made_up):
    roles = {
        role: {
            **{"mIoU": value, "pixel accuracy": 90.0},
            "per_class": {"road": {"IoU": value + 1}},
            **{"steps": 10, "images_seen": 20, "parameters": 30},
            "total": made_up()["student"]["total"],
            "protocol": {"records": "r", "ids": "all"},
        }
        for role, value in (("teacher", 61.11), ("student", 63.33))
    }
    page = write(workdir, made_up(**roles, control=None, headline="mIoU"))
    assert "Student mIoU" in page.texts
    assert "IoU student" in page.texts
    assert "64.3" in page.best
    assert "AP50" not in page.texts


def test_the_students_before_the_last_are_told_of(workdir, made_up):
    page = write(workdir, made_up(students=[40.0, 48.74]))
    assert "one taught by the other: 40.0, 48.7" in page.text


def test_an_unfinished_experiment_has_no_page(tmp_path):
    with pytest.raises(ValueError, match="report.json: missing; tools/self_train.py"):
        write_html(str(tmp_path))


def test_rows_show_the_truth_and_then_each_model(tiny_records, cup_run):
    runs = {"teacher": cup_run, "student": cup_run}
    rows = rows_of_test_pictures(runs, tiny_records.glob, count=4)
    # Twelve pictures: every third.
    assert [row.image_id for row in rows] == [
        "tiny_00",
        "tiny_03",
        "tiny_06",
        "tiny_09",
    ]
    for row in rows:
        truth, teacher, student = row.drawn
        assert (teacher == student).all()
        assert truth.shape == teacher.shape
        assert (truth != teacher).any()
