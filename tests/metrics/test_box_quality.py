"""What precision and recall of pseudo labels mean."""

import json

import numpy as np
import pytest

from st_keras.metrics.box_quality import BoxQuality
from st_keras.types import Boxes


def labels(boxes, class_ids, scores=None, is_crowd=None):
    count = len(boxes)
    return Boxes(
        boxes_yxyx=np.asarray(boxes, np.float32).reshape([count, 4]),
        class_ids=np.asarray(class_ids, np.int32),
        scores=np.asarray(scores if scores else [1.0] * count, np.float32),
        weights=np.ones(count, np.float32),
        is_crowd=np.asarray(is_crowd if is_crowd else [False] * count, bool),
    )


NOTHING = labels([], [])
BOX, FAR = [10, 20, 30, 60], [100, 100, 120, 160]


def row(truth, pseudo, min_score=0.5):
    quality = BoxQuality()
    for image_id, boxes in pseudo.items():
        quality.add(boxes, truth[image_id])
    return quality.result(min_score)


def test_right_boxes_over_kept_and_over_true_boxes():
    # Two true boxes; kept at 0.5: BOX (right) and a wrong class on FAR.
    truth = {"a": labels([BOX, FAR], [0, 1])}
    pseudo = {"a": labels([BOX, FAR, FAR], [0, 2, 1], [0.9, 0.8, 0.3])}
    found = row(truth, pseudo)
    assert found["precision"] == 1 / 2
    assert found["recall"] == 1 / 2
    assert found["boxes_per_image"] == 2


def test_a_lower_threshold_finds_what_was_dropped():
    truth = {"a": labels([BOX, FAR], [0, 1])}
    pseudo = {"a": labels([BOX, FAR, FAR], [0, 2, 1], [0.9, 0.8, 0.3])}
    found = row(truth, pseudo, min_score=0.25)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == 1.0


def test_a_true_box_is_found_once_by_the_best_score():
    truth = {"a": labels([BOX], [0])}
    pseudo = {"a": labels([BOX, BOX], [0, 0], [0.6, 0.9])}
    found = row(truth, pseudo)
    assert found["precision"] == 1 / 2
    assert found["recall"] == 1.0


def test_an_overlap_of_half_is_enough_and_less_is_not():
    # 20 x 40 against its upper 20 x 20 half: 400 / 800.
    truth = {"a": labels([BOX], [0])}
    assert row(truth, {"a": labels([[10, 20, 30, 40]], [0])})["recall"] == 1.0
    assert row(truth, {"a": labels([[10, 20, 30, 39]], [0])})["recall"] == 0.0


def test_boxes_on_a_crowd_count_neither_way():
    truth = {"a": labels([BOX, FAR], [0, 0], is_crowd=[True, False])}
    pseudo = {"a": labels([BOX, FAR], [0, 0], [0.9, 0.8])}
    found = row(truth, pseudo)
    assert (found["precision"], found["recall"]) == (1.0, 1.0)


def test_a_box_is_in_a_crowd_from_half_of_it_on():
    # The crowd is 20..60 wide. Of a box of 40 px from 40 on, 20 are in it; from 41, 19.
    truth = {"a": labels([BOX], [0], is_crowd=[True])}
    half = row(truth, {"a": labels([[10, 40, 30, 80]], [0])})
    assert half["boxes_per_image"] == 0.0
    less = row(truth, {"a": labels([[10, 41, 30, 81]], [0])})
    assert (less["boxes_per_image"], less["precision"]) == (1.0, 0.0)


def test_empty_pictures_and_empty_labels_are_legal():
    found = row({"a": NOTHING, "b": labels([BOX], [0])}, {"a": NOTHING, "b": NOTHING})
    assert (found["precision"], found["recall"]) == (0.0, 0.0)


def test_injected_noise_comes_back_as_injected():
    # 1000 pictures of one box; 300 pseudo boxes moved away, 100 missing altogether.
    truth = {str(i): labels([BOX], [0]) for i in range(1000)}
    pseudo = {str(i): labels([FAR if i < 300 else BOX], [0], [0.9]) for i in range(900)}
    pseudo |= {str(i): NOTHING for i in range(900, 1000)}
    found = row(truth, pseudo)
    assert found["precision"] == pytest.approx(600 / 900)
    assert found["recall"] == pytest.approx(600 / 1000)


def test_without_truth_boxes_are_counted_and_nothing_is_claimed():
    quality = BoxQuality()
    quality.add(labels([BOX, FAR], [0, 1], [0.9, 0.4]), None)
    quality.add(NOTHING, None)
    found = quality.result(0.5)
    assert (found["precision"], found["recall"]) == (None, None)
    assert found["boxes_per_image"] == 0.5
    assert found["thresholds"] == [] and found["human"] is None
    details = quality.details(0.5)
    known = {name for name, value in details["numbers"].items() if value is not None}
    assert all(known & set(chart["columns"]) for chart in details["charts"])
    assert found["sentence"] == (
        "Pseudo labels: 0.5 boxes per picture on 2 pictures at a score of 0.5 or more; "
        "how many are right is unknown, as there is no truth."
    )


def test_pictures_without_truth_count_nowhere_beside_those_with_it():
    quality = BoxQuality()
    quality.add(labels([BOX, FAR], [0, 1], [0.9, 0.4]), labels([BOX, FAR], [0, 1]))
    for _ in range(3):
        quality.add(labels([FAR, BOX, BOX], [0, 1, 2], [0.9, 0.8, 0.7]), None)
    found = quality.result(0.3)
    assert (found["precision"], found["recall"]) == (1.0, 1.0)
    assert found["boxes_per_image"] == 2.0 and found["images"] == 4
    assert "on 1 of 4 pictures, those whose truth is known, at" in found["sentence"]


def test_pictures_without_a_true_box_are_told_as_nobody_may_have_looked_there():
    quality = BoxQuality()
    quality.add(labels([BOX], [0], [0.9]), labels([BOX], [0]))
    assert quality.result(0.5)["sentence"].endswith("(recall).")
    quality.add(labels([BOX], [0], [0.9]), NOTHING)
    assert " 1 of the pictures have no true box" in quality.result(0.5)["sentence"]


def test_people_are_asked_how_many_boxes_they_draw():
    quality = BoxQuality()
    quality.add(NOTHING, NOTHING)
    quality.add_human(labels([BOX, FAR, BOX], [0, 1, 2], is_crowd=[0, 0, 1]))
    quality.add_human(labels([BOX], [0]))
    assert quality.result(0.5)["human"] == {"boxes_per_image": 1.5}


def test_a_row_for_every_threshold_can_be_drawn_and_stored():
    found = row({"a": labels([BOX], [0])}, {"a": labels([BOX], [0], [0.62])})
    assert json.loads(json.dumps(found)) == found
    rows = found["thresholds"]
    assert [r["min_score"] for r in rows][:3] == [0.05, 0.1, 0.15] and len(rows) == 19
    assert [r["recall"] for r in rows] == [1.0] * 12 + [0.0] * 7
    for chart in found["charts"]:
        assert set(chart["columns"]) <= set(rows[0])
    assert found["sentence"].endswith(
        "at a score of 0.5 or more. 100% of them are right (precision), and they are "
        "100% of the true boxes (recall)."
    )
