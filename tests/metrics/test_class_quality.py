"""What the measure of pseudo classes promises."""

import json

import numpy as np
import pytest

from st_keras.metrics import verdicts
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


def test_every_number_of_a_report_by_pencil(quality):
    found = quality.details(0.9)
    numbers = found["numbers"]
    assert numbers["coverage"] == pytest.approx(3 / 5)
    assert numbers["accuracy"] == pytest.approx(2 / 3)
    # Kept: two ants, a cat; true: two ants, three cats.
    p, q = np.array([2, 1]) / 3, np.array([2, 3]) / 5
    m = (p + q) / 2
    expected = (np.sum(p * np.log2(p / m)) + np.sum(q * np.log2(q / m))) / 2
    assert numbers["class_shift"] == pytest.approx(expected)
    # From 0.9 on: scores 0.95, 0.9, 0.9, two right; at 0.4, one of one right.
    off = abs(2.75 - 2) + (1 - 0.4)
    assert numbers["calibration_error"] == pytest.approx(off / 4)
    assert sum(found["histogram"]["count"]) == 4  # One has no class.
    assert found["tables"]["By class"]["cat"]["human_share"] == pytest.approx(3 / 5)
    assert found["judged_images"] == found["images"] == 5
    assert json.loads(json.dumps(found)) == found
    for row in found["thresholds"]:
        asked = quality.numbers(row["min_score"])
        assert row == {"min_score": row["min_score"]} | {
            name: asked[name] for name in row if name != "min_score"
        }
    assert quality.numbers(0.9)["accuracy[ant]"] == 0.5


def test_a_report_without_truth_claims_nothing():
    quality = ClassQuality(("ant", "bee"))
    quality.add(label(0, 0.7), None)
    found = quality.details(0.5)
    assert found["calibration"] is None and found["histogram"]["right"] is None
    assert found["numbers"]["accuracy"] is None and found["human"] is None
    quality.add_human(label(1))
    numbers = quality.details(0.5)["numbers"]
    assert numbers["class_shift"] == pytest.approx(1.0)


def test_two_looks_agree_on_the_class_or_on_none(quality):
    def agree(one, other):
        return quality.agreement(one, other, min_score=0.5)

    assert agree(label(1, 0.9), label(1, 0.6)) == 1.0
    assert agree(label(1, 0.9), label(2, 0.9)) == 0.0
    assert agree(label(1, 0.9), label(1, 0.4)) == 0.0
    assert agree(label(1, 0.3), label(2, 0.4)) == 1.0
    assert agree(label(1, 0.9), NOT_KNOWN) == 1.0


@pytest.mark.parametrize(
    ("pseudo", "truth", "kinds"),
    [
        (label(1, 0.9), label(1), ["matched"]),
        (label(1, 0.9), label(2), ["false", "missed"]),
        (label(1, 0.3), label(1), ["dropped", "missed"]),
        (NOT_KNOWN, label(2), ["missed"]),
        (label(1, 0.9), NOT_KNOWN, ["kept"]),
        (label(1, 0.3), None, ["dropped"]),
    ],
)
def test_every_class_has_its_verdict(quality, pseudo, truth, kinds):
    found = quality.verdicts(pseudo, truth, min_score=0.5)
    assert [verdicts.KINDS[kind] for kind in found.kinds] == kinds
    assert found.caption() == ", ".join(sorted(kinds, key=verdicts.KINDS.index))
    if "missed" in kinds:
        assert found.class_ids[-1] == truth.class_ids[0] and found.scores[-1] == 1.0
