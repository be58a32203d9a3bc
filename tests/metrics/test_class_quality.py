"""What the measure of pseudo classes promises."""

import numpy as np
import pytest

from st_keras.metrics.class_quality import ClassQuality
from st_keras.types import Classes


def label(class_id, score=1.0, weight=1.0):
    return Classes(np.int32([class_id]), np.float32([score]), np.float32([weight]))


NOT_KNOWN = label(0, weight=0.0)


@pytest.fixture
def quality():
    """Five ants and cats: three said with 0.9 or more, two of them right."""
    quality = ClassQuality(("ant", "bee", "cat"))
    quality.add(label(0, 0.95), label(0))
    quality.add(label(0, 0.9), label(2))
    quality.add(label(2, 0.9), label(2))
    quality.add(label(2, 0.4), label(2))
    quality.add(NOT_KNOWN, label(0))
    return quality


def test_what_is_kept_and_how_much_of_it_is_right(quality):
    result = quality.result(0.9)
    assert result["images"] == 5
    assert result["coverage"] == pytest.approx(3 / 5)
    assert result["accuracy"] == pytest.approx(2 / 3)
    assert "60% of 5 pictures" in result["sentence"]
    assert "67% of them are right" in result["sentence"]


def test_classes_are_those_of_the_pseudo_labels(quality):
    classes = quality.result(0.9)["per_class"]
    assert classes["ant"] == pytest.approx(
        {"coverage": 1.0, "accuracy": 0.5, "share": 2 / 3}
    )
    assert classes["cat"] == pytest.approx(
        {"coverage": 0.5, "accuracy": 1.0, "share": 1 / 3}
    )
    assert classes["bee"] == {"coverage": 0.0, "accuracy": 0.0, "share": 0.0}


def test_there_is_a_row_for_every_threshold(quality):
    rows = quality.result(0.5)["thresholds"]
    assert len(rows) == 19
    by_score = {row["min_score"]: row for row in rows}
    assert by_score[0.4]["coverage"] == pytest.approx(4 / 5)
    assert by_score[0.4]["accuracy"] == pytest.approx(3 / 4)
    assert by_score[0.95]["coverage"] == pytest.approx(1 / 5)


def test_pictures_whose_truth_is_not_known_count_nowhere_but_in_their_number(quality):
    before = quality.result(0.9)
    quality.add(label(1, 0.99), NOT_KNOWN)
    after = quality.result(0.9)
    assert after["images"] == 6
    assert after["coverage"] == before["coverage"]
    assert after["per_class"] == before["per_class"]


def test_without_truth_only_the_coverage_is_known():
    quality = ClassQuality(("ant", "bee"))
    quality.add(label(0, 0.7), None)
    quality.add(label(0, 0.3), None)
    result = quality.result(0.5)
    assert result["coverage"] == 0.5
    assert result["accuracy"] is None and result["thresholds"] == []
    assert result["per_class"]["ant"]["accuracy"] is None
    assert "unknown" in result["sentence"]


def test_people_may_have_left_pictures_out(quality):
    assert quality.result(0.9)["human"] is None
    for labels in (label(0), label(2), label(1), NOT_KNOWN):
        quality.add_human(labels)
    assert quality.result(0.9)["human"] == {"coverage": 0.75}


def test_a_class_without_a_name_is_refused(quality):
    with pytest.raises(ValueError, match=r"\[0, 3\), got 3"):
        quality.add(label(0), label(3))
    assert quality.result(0.9)["images"] == 5
