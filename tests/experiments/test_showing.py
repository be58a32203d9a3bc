"""What the sheets of pictures show."""

import numpy as np
import pytest
from PIL import Image

from st_keras import config as config_lib
from st_keras.data import dataset_info
from st_keras.data.class_colors import class_color
from st_keras.experiments.showing import (
    show_batches,
    show_predictions,
    show_records,
)
from st_keras.self_training import labeling
from st_keras.tasks import build_task, with_class_names
from st_keras.types import Boxes

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


def test_batches_show_the_human_part_alone_before_there_are_pseudo_labels(
    student_config, tmp_path
):
    path = tmp_path / "sheet.png"
    shown = show_batches(student_config, str(path), count=3)
    assert shown == f"3 human pictures of step 0: {path}"
    # 64 px are enlarged four times.
    assert pixels(path).shape == (256 + 20 + 12, 3 * (256 + 6) + 6, 3)


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
    labeling.label_records(cup_run, tiny_records.glob, str(tmp_path), score_floor=0.4)
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


@pytest.mark.parametrize("output", ["sheet", "sheet.pdf"])
def test_a_sheet_is_a_picture_file(tiny_records, output):
    with pytest.raises(ValueError, match=f"`output`.*got '{output}'"):
        show_records(tiny_records.glob, output)


def test_there_is_something_to_show(tiny_records, tmp_path):
    with pytest.raises(ValueError, match="`count` must be 1 or more, got 0"):
        show_records(tiny_records.glob, str(tmp_path / "a.png"), count=0)
