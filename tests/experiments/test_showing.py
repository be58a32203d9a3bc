"""What the sheets of pictures show."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from st_keras import config as config_lib
from st_keras.data import dataset_info, drawing
from st_keras.data.class_colors import class_color
from st_keras.experiments import sheets
from st_keras.experiments.showing import (
    show_batches,
    show_predictions,
    show_records,
)
from st_keras.self_training import labeling
from st_keras.tasks import build_task, with_class_names
from st_keras.tasks.detection import DetectionTask
from st_keras.types import IGNORED, Boxes
from tests.record_files import write_records

DROPPED = (170, 170, 170)


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def has_color(path, color):
    return bool((pixels(path) == color).all(-1).any())


def test_records_are_shown_with_their_labels(tiny_records, tmp_path):
    path = tmp_path / "sheet.png"
    shown = show_records(tiny_records.glob, str(path), count=5)
    assert shown == f"5 of 12 records of {tiny_records.glob}: {path}"
    assert has_color(path, class_color(1))
    # Five in a row of at most six: 60 x 100 is shown as 240 x 400, 84 x 52 as
    # 420 x 260.
    assert pixels(path).shape == (420 + 20 + 12, 5 * (400 + 6) + 6, 3)


def test_predictions_stand_beside_the_truth(tiny_records, cup_run, tmp_path):
    path = tmp_path / "sheet.png"
    show_predictions(cup_run, tiny_records.glob, str(path), count=1, min_score=0.4)
    truth, predicted = np.split(pixels(path)[:, 3:-3], 2, axis=1)
    kite, cup = class_color(2), class_color(1)
    label_ids = next(iter(tiny_records.by_id.values())).labels - 1
    assert {cup} == {c for c in (kite, cup) if (predicted == c).all(-1).any()}
    for class_id in label_ids:
        assert (truth == class_color(int(class_id))).all(-1).any()


def test_predictions_are_not_shown_beside_a_truth_of_other_classes(
    tiny_records, cup_run, tmp_path
):
    written, path = list(tiny_records.by_id.values()), str(tmp_path / "sheet.png")
    names = {"other": ("kite", "ball", "cup"), "unlabelled": ()}
    for folder, class_names in names.items():
        (tmp_path / folder).mkdir()
        write_records(tmp_path / folder, written, num_shards=1, class_names=class_names)
    with pytest.raises(ValueError, match="kite, ball, cup, but the model has ball, c"):
        show_predictions(cup_run, f"{tmp_path}/other/*.tfrecord", path)
    show_predictions(cup_run, f"{tmp_path}/unlabelled/*.tfrecord", path, count=1)


def test_batches_show_the_human_part_alone_before_there_are_pseudo_labels(
    student_config, tmp_path
):
    path = tmp_path / "sheet.png"
    shown = show_batches(student_config, str(path), count=3)
    assert shown == f"3 human pictures of step 0: {path}"
    # 64 px are enlarged four times.
    assert pixels(path).shape == (256 + 20 + 12, 3 * (256 + 6) + 6, 3)


def test_batches_have_crosses_where_the_task_says_that_they_learn(
    student_config, tmp_path, monkeypatch
):
    marks = np.array([[20.0, 44.0]], np.float32)
    monkeypatch.setattr(DetectionTask, "learning_points", lambda task, labels: marks)
    path = tmp_path / "sheet.png"
    show_batches(student_config, str(path), count=1)
    # 64 px are enlarged four times; below the title, a cross is 7 px wide.
    y, x = 26 + 4 * 20, 6 + 4 * 44
    assert (pixels(path)[y, x - 3 : x + 4] == 255).all()


def test_anchors_are_marked_where_they_learn_a_box(student_config):
    # On level 3 an anchor is 1.5 x 8 = 12 px; the cell at row 2, column 5 is at
    # (20, 44). A row of weight 0 marks nothing.
    boxes = np.array([[14, 38, 26, 50], [30, 6, 42, 18]], np.float32)
    labels = Boxes(
        boxes_yxyx=boxes,
        class_ids=np.zeros(2, np.int32),
        scores=np.ones(2, np.float32),
        weights=np.array([1, 0], np.float32),
        is_crowd=np.zeros(2, bool),
    )
    task = build_task(
        with_class_names(
            student_config, dataset_info.load(student_config.human.records)
        )
    )
    centers = task.learning_points(labels)
    assert {tuple(center) for center in centers.tolist()} == {(20.0, 44.0)}


def test_batches_show_what_a_student_learns_from_and_what_not(
    tiny_records, cup_run, student_yaml, tmp_path
):
    labeling.label_pictures(
        cup_run, str(tmp_path), records=tiny_records.glob, score_floor=0.4
    )
    config = config_lib.load(
        student_yaml,
        [
            f"human.records={tiny_records.glob}",
            "human.ids=''",
            f"pseudo.records={tmp_path}/*.tfrecord",
            "pseudo.min_score=0.6",  # The cups have 0.5.
        ],
    )
    path = tmp_path / "sheet.png"
    shown = show_batches(config, str(path), count=2)
    assert shown == f"2 human and 2 pseudo pictures of step 0: {path}"
    human, pseudo = np.split(pixels(path)[20:, 3:-3], 2, axis=1)
    assert not (human == DROPPED).all(-1).any()
    assert (pseudo == DROPPED).all(-1).any()
    # No box counts, so no anchor learns one.
    assert not (pseudo == class_color(1)).all(-1).any()


def cell(path, column, like):
    """Returns what of a sheet's first row lies where `like` is expected."""
    height, width = like.shape[:2]
    x = 6 + column * (width + 6)
    return pixels(path)[26 : 26 + height, x : x + width]


def draw_street(streets, image_id, class_ids=None):
    labels = streets.labels[image_id]
    if class_ids is not None:
        class_ids = np.full_like(labels.class_ids, class_ids)
        labels = labels._replace(class_ids=class_ids)
    return drawing.draw_labels(
        streets.pixels[image_id], labels, streets.class_names, **sheets.SIDES_PX
    )


def test_records_with_label_maps_are_shown_tinted_over_a_legend(
    street_records, tmp_path
):
    path = tmp_path / "sheet.png"
    shown = show_records(street_records.glob, str(path), count=2, min_score=0.9)
    assert shown == f"2 of 7 records of {street_records.glob}: {path}"
    # Two shards in turn, and human pixels are sure.
    for column, image_id in enumerate(("street_0", "street_1")):
        expected = draw_street(street_records, image_id)
        np.testing.assert_array_equal(cell(path, column, expected), expected)


def test_a_record_without_its_map_is_shown_as_ignored(street_records, tmp_path):
    path = tmp_path / "sheet.png"
    show_records(street_records.glob, str(path), count=4)
    # The tall `street_2` decides how wide and high a cell is.
    expected = draw_street(street_records, "street_3", IGNORED)
    x = 6 + 3 * (400 + 6)
    height, width = expected.shape[:2]
    found = pixels(path)[26 : 26 + height, x : x + width]
    np.testing.assert_array_equal(found, expected)


def test_a_record_with_boxes_and_a_map_is_shown_twice(digit_records, tmp_path):
    path = tmp_path / "sheet.png"
    show_records(f"{digit_records}/train/*.tfrecord", str(path), count=2)
    # 64 px are enlarged four times.
    assert pixels(path).shape[1] == 4 * (256 + 6) + 6


def test_pixels_of_a_teacher_below_the_threshold_are_hatched(
    street_records, road_run, tmp_path
):
    labeling.label_pictures(
        road_run, str(tmp_path / "labels"), records=street_records.glob
    )
    path = tmp_path / "sheet.png"
    for min_score, class_id in ((0.55, 1), (0.65, IGNORED)):
        show_records(
            f"{tmp_path}/labels/*.tfrecord", str(path), count=1, min_score=min_score
        )
        expected = draw_street(street_records, "street_0", class_id)
        np.testing.assert_array_equal(cell(path, 0, expected), expected)


def test_predicted_maps_stand_beside_the_truth(street_records, road_run, tmp_path):
    path = tmp_path / "sheet.png"
    show_predictions(road_run, street_records.glob, str(path), count=1)
    truth = draw_street(street_records, "street_0")
    predicted = draw_street(street_records, "street_0", 1)
    np.testing.assert_array_equal(cell(path, 0, truth), truth)
    np.testing.assert_array_equal(cell(path, 1, predicted), predicted)


def test_batches_of_maps_show_what_a_student_learns_from_and_what_not(
    street_records, street_config, road_run, tmp_path
):
    labeling.label_pictures(
        road_run, str(tmp_path / "labels"), records=street_records.glob
    )
    path = tmp_path / "sheet.png"
    is_taught = []
    for min_score in (0.55, 0.65):
        pseudo = dataclasses.replace(
            street_config.pseudo,
            records=f"{tmp_path}/labels/*.tfrecord",
            min_score=min_score,
        )
        config = dataclasses.replace(street_config, pseudo=pseudo)
        shown = show_batches(config, str(path), count=2)
        assert shown == f"2 human and 2 pseudo pictures of step 0: {path}"
        human, pseudo = np.split(pixels(path)[:, 3:-3], 2, axis=1)
        road = class_color(1)  # In the legend it is unmixed.
        assert (human == road).all(-1).any()
        is_taught.append((pseudo == road).all(-1).any())
    assert is_taught == [True, False]


@pytest.mark.parametrize("output", ["sheet", "sheet.pdf"])
def test_a_sheet_is_a_picture_file(tiny_records, output):
    with pytest.raises(ValueError, match=f"`output`.*got '{output}'"):
        show_records(tiny_records.glob, output)


def test_there_is_something_to_show(tiny_records, tmp_path):
    with pytest.raises(ValueError, match="`count` must be 1 or more, got 0"):
        show_records(tiny_records.glob, str(tmp_path / "a.png"), count=0)


def test_boxes_of_a_teacher_below_the_threshold_are_dashed(
    tiny_records, cup_run, tmp_path
):
    labeling.label_pictures(
        cup_run, str(tmp_path), records=tiny_records.glob, score_floor=0.4
    )
    path = tmp_path / "sheet.png"
    is_dashed = []
    for min_score in (0.45, 0.55):  # The cups have 0.5.
        show_records(f"{tmp_path}/*.tfrecord", str(path), count=1, min_score=min_score)
        is_dashed.append(has_color(path, DROPPED))
    assert is_dashed == [False, True]
