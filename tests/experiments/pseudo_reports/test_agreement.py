"""What it means that a teacher agrees with itself, and when that is measured."""

import pathlib
import shutil
import types

import numpy as np
import pytest

from st_keras.data import dataset_info, decode
from st_keras.experiments.pseudo_reports import agreement, contents
from st_keras.experiments.pseudo_reports import page as report_page
from st_keras.runtime.checkpoints import ModelFile, find_model
from st_keras.self_training import shards
from st_keras.self_training.labeling import label_pictures
from st_keras.tasks import task_of_records
from st_keras.types import Boxes
from tests.experiments.pseudo_reports import noisy_teacher


def painted(pixels, darkest=120):
    """Returns the boxes of bright colour in a picture, one to a band of 20 rows."""
    boxes, class_ids = [], []
    for band in range(0, noisy_teacher.SIZE_PX[0], 20):
        is_bright = np.zeros(pixels.shape, bool)
        bright = (pixels[band : band + 20] > darkest) & (
            pixels[band : band + 20] != 128
        )
        is_bright[band : band + 20] = bright
        for class_id in range(3):
            rows, columns = np.nonzero(is_bright[..., class_id])
            if rows.size:
                ends = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
                boxes.append(ends)
                class_ids.append(class_id)
    count = len(boxes)
    return Boxes(
        np.float32(boxes).reshape([-1, 4]),
        np.int32(class_ids),
        np.full(count, 0.9, np.float32),
        np.ones(count, np.float32),
        np.zeros(count, bool),
    )


class Eyes:
    """Sees what is painted, wherever it lies; some eyes never see the left half."""

    half_blind = False

    def __init__(self, task, model):
        del task, model

    def over_pictures(self, pictures, *, batch_size):
        del batch_size
        for picture in pictures:
            pixels = decode.decode_image(picture.encoded).numpy()
            assert pixels.shape == (picture.height_px, picture.width_px, 3)
            if self.half_blind:
                pixels[:, : pixels.shape[1] // 2] = 0
            yield picture, painted(pixels)


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """Measures the agreement of eyes with boxes that are all where they are painted."""
    noisy_teacher.write(tmp_path, pictures=20)
    records = f"{tmp_path}/truth/*.tfrecord"
    task = task_of_records(dataset_info.load(records))
    config = types.SimpleNamespace(evaluation=types.SimpleNamespace(images_per_step=4))
    run = types.SimpleNamespace(task=task, model=None, config=config)
    monkeypatch.setattr(agreement, "restore_run", lambda *_, **__: run)

    def measure(eyes):
        monkeypatch.setattr(agreement, "Predictor", eyes)
        return agreement.measure(
            types.SimpleNamespace(prefix=str(tmp_path / "ckpt-3")),
            records,
            agreement.spread_ids(records, 10),
            **{"score_floor": 0.05, "min_score": 0.5, "checkpoints": 3},
        )

    return measure


def test_who_sees_the_same_in_every_look_agrees_wholly(seen):
    found = seen(Eyes)
    assert (found["mirror_agreement"], found["scale_agreement"]) == (1.0, 1.0)
    assert found["pictures"] == 10 and set(found["by_picture"].values()) == {1.0}
    assert (found["checkpoint_agreement"], found["checkpoints"]) == (None, {})


def test_who_is_blind_to_a_half_agrees_only_where_nothing_is_in_it(seen):
    # All boxes lie in the left half: in a mirror these eyes see them. In the corner of
    # a larger picture, their blind half is 67 px wide, and boxes end before 45.
    found = seen(type("HalfBlind", (Eyes,), {"half_blind": True}))
    assert found["mirror_agreement"] == 1.0 > found["scale_agreement"]
    empty = sum(value == 1.0 for value in found["by_picture"].values())
    assert found["scale_agreement"] == empty / 10 < 1.0


@pytest.fixture(scope="module")
def roads(street_records, road_run, tmp_path_factory):
    """Labels of a model that sees road everywhere, and its workdir; two checkpoints."""
    folder = tmp_path_factory.mktemp("roads")
    run = pathlib.Path(shutil.copytree(road_run, folder / "run"))
    (index,) = (run / "checkpoints").glob("ckpt-*.index")
    for part in (run / "checkpoints").glob(f"{index.stem}.*"):
        shutil.copy(part, part.with_name(f"ckpt-17{part.suffix}"))
    label_pictures(
        str(index.with_suffix("")), str(folder / "labels"), records=street_records.glob
    )
    return str(folder / "labels"), run


@pytest.mark.slow
def test_a_teacher_of_maps_is_shown_its_pictures_again(roads, tmp_path):
    labels, _ = roads
    report, shown = contents.report_pseudo(
        contents.Settings(pseudo=labels, agreement_pictures=4, min_score=0.55)
    )
    found = report["agreement"]
    # Road everywhere by 0.6, whatever the look: nothing else could be seen.
    assert found == {
        **{"pictures": 4, "mirror_agreement": 1.0, "scale_agreement": 1.0},
        **{"checkpoint_agreement": 1.0, "checkpoints": {"ckpt-17": 1.0}},
    }
    assert [picture.disagreement for picture in shown] == [0.0] * 4
    assert report["numbers"]["coverage"] == 1.0
    report_page.write_html(report, shown, str(tmp_path))
    text = report_page.format_summary(report, "report.html")
    assert "Shown 4 pictures again, the teacher agrees with its labels by 100%" in text


def test_maps_are_held_against_the_truth(roads, street_records):
    labels, _ = roads
    report, shown = contents.report_pseudo(
        contents.Settings(pseudo=labels, truth=street_records.glob)
    )
    known = np.concatenate(
        [m.class_ids.ravel() for m in street_records.labels.values()]
    )
    known = known[known != 255]
    assert report["numbers"]["accuracy"] == np.mean(known == 1)
    assert report["agreement"] == {"not_measured": "the truth is known"}
    # The fourth has no truth at all, so nothing in it can be wrong.
    assert (shown[-1].image_id, shown[-1].disagreement) == ("street_3", 0.0)
    assert shown[-1].caption == "100% kept"


def test_a_teacher_that_was_moved_is_named(roads, tmp_path):
    labels, run = roads
    moved = shutil.copytree(run, tmp_path / "moved")
    manifest = shards.read_manifest(labels)
    file, _ = agreement.find_teacher(manifest | {"teacher": "gone"}, str(moved))
    assert file.digest == manifest["teacher_sha256"]


def test_all_other_checkpoints_look_if_more_are_asked_for(tmp_path):
    for step in (50, 100, 150):
        (tmp_path / f"ckpt-{step}.index").touch()
    own = ModelFile(prefix=str(tmp_path / "ckpt-150"), averaged=False, digest="")
    found = {
        count: [path.rpartition("-")[2] for path in agreement._others(own, count)]
        for count in (0, 1, 2, 3, 9)
    }
    both = ["50", "100"]
    assert found == {0: [], 1: ["100"], 2: both, 3: both, 9: both}


def test_another_checkpoint_is_no_witness(roads, cup_run):
    labels, _ = roads
    manifest = shards.read_manifest(labels)
    other = find_model(cup_run)
    with pytest.raises(
        ValueError, match=f"is checkpoint {other.digest}, but the label"
    ):
        agreement.find_teacher(manifest, cup_run)
    # Where it only happens to lie where the teacher was, the report does without.
    file, reason = agreement.find_teacher(manifest | {"teacher": other.prefix}, "")
    assert file is None and "--checkpoint" in reason


def test_a_teacher_that_is_gone_is_done_without(roads):
    labels, _ = roads
    manifest = shards.read_manifest(labels) | {"teacher": "gone/checkpoints/ckpt-1"}
    file, reason = agreement.find_teacher(manifest, "")
    assert file is None and "gone/checkpoints/ckpt-1" in reason


def test_a_teacher_of_boxes_is_shown_its_pictures_again(
    tiny_records, cup_run, tmp_path
):
    labels = str(tmp_path / "labels")
    label_pictures(cup_run, labels, records=tiny_records.glob)
    report, _ = contents.report_pseudo(
        contents.Settings(
            pseudo=labels, agreement_pictures=3, min_score=0.4, pictures=3
        )
    )
    found = report["agreement"]
    assert 0.0 < found["mirror_agreement"] <= 1.0 and found["pictures"] == 3
    # Its anchors are where they are, so a smaller picture has fewer of them.
    assert 0.0 < found["scale_agreement"] < 1.0
    assert found["checkpoint_agreement"] is None
