"""What the accuracy of a classifier promises."""

import numpy as np
import pytest

from st_keras.metrics.accuracy import Accuracy
from st_keras.types import Classes

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")


def truth(class_id):
    return Classes(np.int32([class_id]), np.float32([1]), np.float32([1]))


UNKNOWN = truth(0)._replace(weights=np.float32([0]))


def said(*class_ids):
    scores = np.linspace(0.5, 0.1, len(class_ids)).astype(np.float32)
    return Classes(np.int32(class_ids), scores, np.ones_like(scores))


def measured(rows, names=NAMES):
    metric = Accuracy(names)
    for number, (true, predicted) in enumerate(rows):
        metric.add(str(number), true, predicted)
    return metric.result()


# Ants: told at once, fifth, and sixth. A bee: second. The dog: at once.
ROWS = [
    (truth(0), said(0, 1, 2, 3, 4)),
    (truth(0), said(1, 2, 3, 4, 0)),
    (truth(0), said(1, 2, 3, 4, 5, 0)),
    (truth(1), said(0, 1, 2, 3, 4)),
    (truth(3), said(3, 1, 2, 0, 4)),
]


def test_pictures_count_alike_for_top1_and_top5():
    result = measured(ROWS)
    assert result["top1"] == pytest.approx(40)  # 2 of 5.
    assert result["top5"] == pytest.approx(80)  # 4 of 5.


def test_classes_count_alike_for_the_mean():
    # A third of the ants, no bee, the dog; the other classes are not there.
    result = measured(ROWS)
    assert result["mean_accuracy"] == pytest.approx((100 / 3 + 0 + 100) / 3)
    ant = result["per_class"]["ant"]
    assert ant["top1"] == pytest.approx(100 / 3)
    assert ant["top5"] == pytest.approx(200 / 3)
    assert ant["pictures"] == pytest.approx(60)
    assert result["per_class"]["gnu"]["top1"] == -100.0


def test_the_headline_comes_first():
    assert next(iter(measured(ROWS))) == Accuracy.headline


def test_of_five_classes_the_best_five_are_no_news():
    result = measured([(truth(1), said(1, 0))], NAMES[:5])
    assert "top5" not in result
    assert "top5" not in result["per_class"]["ant"]


def test_pictures_of_unknown_class_count_nowhere():
    assert measured([*ROWS, (UNKNOWN, said(3))]) == measured(ROWS)
    result = measured([(UNKNOWN, said(3))])
    assert result["top1"] == result["mean_accuracy"] == -100.0


def test_a_prediction_of_weight_0_is_wrong():
    silent = said(0)._replace(weights=np.float32([0]))
    assert measured([(truth(0), silent)])["top1"] == 0


def test_mistakes_are_named_and_not_counted():
    metric = Accuracy(NAMES)
    with pytest.raises(ValueError, match=r"\[0, 7\), got 7"):
        metric.add("a", truth(7), said(0))
    with pytest.raises(ValueError, match="No picture"):
        metric.result()
    metric.add("a", truth(6), said(6))
    with pytest.raises(ValueError, match="`a` was added twice"):
        metric.add("a", truth(6), said(6))
    assert metric.result()["top1"] == 100
