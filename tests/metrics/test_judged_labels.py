"""What is counted, before thresholds are chosen from it."""

import numpy as np
import pytest

from st_keras.metrics.box_quality import BoxQuality
from st_keras.metrics.judged_labels import JudgedBoxes, JudgedClasses, JudgedPixels
from st_keras.types import IGNORED, Boxes, Classes, LabelMap

BOX, FAR = [10, 20, 30, 60], [100, 100, 120, 160]


def boxes(rows, class_ids, scores=None, is_crowd=None):
    count = len(rows)
    return Boxes(
        boxes_yxyx=np.asarray(rows, np.float32).reshape([count, 4]),
        class_ids=np.asarray(class_ids, np.int32),
        scores=np.asarray(scores if scores else [1.0] * count, np.float32),
        weights=np.ones(count, np.float32),
        is_crowd=np.asarray(is_crowd if is_crowd else [False] * count, bool),
    )


def label_map(class_ids, confidences=None):
    class_ids = np.asarray(class_ids, np.uint8)
    if confidences is None:
        confidences = np.full_like(class_ids, 255)
    return LabelMap(class_ids, np.asarray(confidences, np.uint8))


def rows_of(judged):
    """Returns (picture, score, labels, right ones) of every row, best score first."""
    columns = [column.tolist() for column in judged[:4]]
    return sorted(zip(*columns, strict=True), key=lambda row: (row[0], -row[1]))


def test_a_box_is_judged_within_its_class():
    judged = JudgedBoxes(3)
    # BOX is of class 0 as said; FAR is of class 1 but was taken for class 2.
    judged.add("a", boxes([BOX, FAR], [0, 1]), boxes([FAR, BOX], [2, 0], [0.75, 0.5]))
    assert rows_of(judged.result(0)) == [(0, 0.5, 1, 1)]
    assert rows_of(judged.result(1)) == []
    assert rows_of(judged.result(2)) == [(0, 0.75, 1, 0)]
    assert rows_of(judged.result()) == [(0, 0.75, 1, 0), (0, 0.5, 1, 1)]
    truth = [judged.result(class_id).truth.tolist() for class_id in (0, 1, 2, None)]
    assert truth == [[1], [1], [0], [2]]


def test_boxes_on_a_crowd_count_neither_way():
    judged = JudgedBoxes(2)
    truth = boxes([BOX, FAR], [1, 1], is_crowd=[True, False])
    judged.add("a", truth, boxes([BOX, FAR, BOX], [1, 1, 0], [0.9, 0.5, 0.25]))
    assert rows_of(judged.result(1)) == [(0, 0.5, 1, 1)]
    # A crowd of another class excuses nothing.
    assert rows_of(judged.result(0)) == [(0, 0.25, 1, 0)]
    assert judged.support(judged.result(1)) == 1


def test_boxes_are_judged_as_their_quality_is_measured():
    rng = np.random.default_rng(5)
    judged, quality = JudgedBoxes(3), BoxQuality()
    for number in range(40):
        corners = rng.integers(0, 40, [7, 2])
        sides = rng.integers(10, 40, [7, 2])
        drawn = np.concatenate([corners, corners + sides], axis=1)
        shaken = drawn + rng.integers(-6, 7, drawn.shape)
        truth = boxes(
            drawn[:5], rng.integers(0, 3, 5), is_crowd=list(rng.random(5) < 0.2)
        )
        scores = rng.integers(1, 9, 7) / 8
        pseudo = boxes(shaken, rng.integers(0, 3, 7), scores.tolist())
        judged.add(str(number), truth, pseudo)
        quality.add(pseudo, truth)
    for score in (0.125, 0.5, 1.0):
        found, part = quality.result(score), judged.result()
        kept = part.scores >= score
        assert part.counts[kept].sum() == round(found["boxes_per_image"] * 40)
        precision = part.right[kept].sum() / part.counts[kept].sum()
        assert precision == pytest.approx(found["precision"])
        recall = part.right[kept].sum() / part.truth.sum()
        assert recall == pytest.approx(found["recall"])


def test_pictures_stand_in_the_order_of_their_ids_whatever_came_first():
    judged = JudgedBoxes(1)
    judged.add("b", boxes([BOX], [0]), boxes([], []))
    judged.add("a", boxes([], []), boxes([FAR], [0], [0.5]))
    assert rows_of(judged.result(0)) == [(0, 0.5, 1, 0)]
    assert judged.result(0).truth.tolist() == [0, 1]


def test_a_picture_counts_once():
    judged = JudgedBoxes(1)
    judged.add("a", boxes([], []), boxes([], []))
    with pytest.raises(ValueError, match="`a` was added twice"):
        judged.add("a", boxes([], []), boxes([], []))


def test_pixels_are_counted_by_pseudo_class_and_confidence():
    judged = JudgedPixels(3)
    truth = label_map([[0, 0, 1, 1, IGNORED, 2]])
    pseudo = label_map([[0, 1, 1, 1, 1, IGNORED]], [[255, 102, 102, 51, 102, 51]])
    judged.add("a", truth, pseudo)
    assert rows_of(judged.result(0)) == [(0, 1.0, 1, 1)]
    # Of two pixels at 102 / 255 one is right; a third has no known class.
    assert rows_of(judged.result(1)) == [(0, 0.4, 2, 1), (0, 0.2, 1, 1)]
    assert rows_of(judged.result(2)) == []
    assert [judged.result(k).truth.tolist() for k in (0, 1, 2)] == [[2], [2], [1]]


def test_a_class_of_pixels_has_the_support_of_its_pictures():
    judged = JudgedPixels(2)
    judged.add("a", label_map(np.ones([9, 5])), label_map(np.ones([9, 5])))
    judged.add("b", label_map([[1, 0]]), label_map([[0, 0]]))
    judged.add("c", label_map([[0, 0]]), label_map([[0, 0]]))
    assert judged.support(judged.result(1)) == 2
    assert judged.support(judged.result()) == 3
    assert judged.result(1).truth.tolist() == [45, 1, 0]


def test_maps_of_unlike_size_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 2\).*\(2, 1\)"):
        JudgedPixels(2).add("a", label_map([[1, 0]]), label_map([[0], [0]]))


def classes(class_ids, scores, weights):
    return Classes(*(np.asarray(field) for field in (class_ids, scores, weights)))


def test_of_several_predicted_classes_the_first_is_judged():
    judged = JudgedClasses(3)
    judged.add("a", classes([2], [1.0], [1.0]), classes([2, 0], [0.75, 0.2], [1, 1]))
    judged.add("b", classes([1], [1.0], [1.0]), classes([0, 1], [0.5, 0.4], [1, 1]))
    found = judged.result()
    assert found.scores.tolist() == [0.75, 0.5]
    assert found.right.tolist() == [1, 0]
    assert found.truth.tolist() == [1, 1]
    assert judged.support(judged.result(1)) == 1
    assert judged.result(0).right.tolist() == [0]


def test_a_picture_without_a_known_class_is_not_judged():
    judged = JudgedClasses(3)
    judged.add("a", classes([0], [0.0], [0.0]), classes([1], [0.9], [1.0]))
    assert judged.result().scores.tolist() == []
    assert judged.support(judged.result()) == 0
