"""What precision and recall of pseudo labels mean."""

import numpy as np
import pytest

from st_keras.self_training.quality import precision_and_recall
from st_keras.types import Labels


def labels(boxes, class_ids, scores=None, is_crowd=None):
    count = len(boxes)
    return Labels(
        boxes_yxyx=np.asarray(boxes, np.float32).reshape([count, 4]),
        class_ids=np.asarray(class_ids, np.int32),
        scores=np.asarray(scores if scores else [1.0] * count, np.float32),
        weights=np.ones(count, np.float32),
        is_crowd=np.asarray(is_crowd if is_crowd else [False] * count, bool),
    )


NOTHING = labels([], [])
BOX, FAR = [10, 20, 30, 60], [100, 100, 120, 160]


def row(truth, pseudo, min_score=0.5):
    (found,) = precision_and_recall(truth, pseudo, thresholds=(min_score,))
    return found


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


def test_a_picture_without_truth_is_named():
    with pytest.raises(ValueError, match="No truth for 1 of 1 pictures, such as 'x'"):
        precision_and_recall({}, {"x": NOTHING})
