"""What coverage and accuracy of pseudo label maps mean."""

import json

import numpy as np
import pytest

from st_keras.metrics.pixel_quality import PixelQuality
from st_keras.metrics.score_curves import THRESHOLDS
from st_keras.types import IGNORED, LabelMap

NAMES = ("sky", "road", "car")


def pseudo(ids, confidences):
    return LabelMap(np.array([ids], np.uint8), np.array([confidences], np.uint8))


def true(ids):
    return pseudo(ids, [255] * len(ids))


def quality(*pictures):
    found = PixelQuality(NAMES)
    for labels, truth in pictures:
        found.add(labels, truth)
    return found


# Eight pixels; the last is not known. At 0.5 (128 of 255 is 0.502), five of seven are
# kept, three of them right.
MAP = pseudo([0, 0, 1, 1, 2, 2, 1, 0], [255, 128, 200, 127, 230, 140, 20, 255])
TRUTH = true([0, 1, 1, 1, 2, 0, 0, IGNORED])


def test_kept_over_known_and_right_over_kept():
    found = quality((MAP, TRUTH)).result(0.5)
    assert found["coverage"] == pytest.approx(5 / 7)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["images"] == 1
    assert found["sentence"] == (
        "Pseudo labels: 71% of the pixels of 1 pictures at a confidence of 0.5 or "
        "more. 60% of them are right."
    )


def test_pictures_are_added_pixel_by_pixel_and_not_averaged():
    small = (pseudo([0], [10]), true([0]))
    found = quality((MAP, TRUTH), small).result(0.5)
    assert found["coverage"] == pytest.approx(5 / 8)
    assert found["accuracy"] == pytest.approx(3 / 5)


def test_classes_are_those_of_the_pseudo_labels():
    found = quality((MAP, TRUTH)).result(0.5)["per_class"]
    # Sky: two kept of two known; road: one of three; car: two of two.
    assert found["sky"] == {"coverage": 1.0, "accuracy": 0.5, "share": 2 / 5}
    assert found["road"]["coverage"] == pytest.approx(1 / 3)
    assert found["road"]["accuracy"] == 1.0
    assert found["car"]["accuracy"] == 0.5


def test_the_mean_iou_of_what_is_kept_is_counted_at_each_threshold():
    rows = quality((MAP, TRUTH)).result(0.5)["thresholds"]
    at = {row["min_score"]: row for row in rows}
    # From 0.5 on: true 0 1 1 2 0, pseudo 0 0 1 2 2. IoU: 1/3, 1/2, 1/2.
    assert at[0.5]["mean_iou"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
    # From 0.9 on (229.5): 0 and 2, both right.
    assert at[0.9]["mean_iou"] == 1.0 and at[0.9]["coverage"] == pytest.approx(2 / 7)
    # 20 / 255 is 0.078.
    assert at[0.05]["coverage"] == 1.0 and at[0.1]["coverage"] == pytest.approx(6 / 7)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_threshold_in_the_table_is_the_one_that_was_asked_for(threshold):
    random = np.random.default_rng(3)
    labels = pseudo(random.integers(0, 3, 500), random.integers(0, 256, 500))
    found = quality((labels, true(random.integers(0, 3, 500))))
    asked = found.result(threshold)
    (row,) = [r for r in asked["thresholds"] if r["min_score"] == threshold]
    assert row == {name: asked[name] for name in row}


def test_without_truth_pixels_are_counted_and_nothing_is_claimed():
    found = quality((MAP, None)).result(0.5)
    assert found["coverage"] == 6 / 8
    assert found["accuracy"] is None and found["mean_iou"] is None
    assert found["per_class"]["sky"] == {
        "coverage": 1.0,
        "accuracy": None,
        "share": 0.5,
    }
    assert found["thresholds"] == []
    assert "how many are right is unknown" in found["sentence"]


def test_the_mean_iou_is_that_of_the_score_that_was_asked_for():
    # From 0.52 on (132.6), without the wrong sky of 128: true 0 1 2 0, pseudo 0 1 2 2.
    found = quality((MAP, TRUTH)).result(0.52)
    assert found["mean_iou"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)


def test_a_pixel_without_a_class_is_not_kept_however_sure():
    # Of three known pixels one has a class, and it is right.
    some = pseudo([0, IGNORED, IGNORED, IGNORED], [255] * 4)
    found = quality((some, true([0, 0, 2, IGNORED]))).result(0.5)
    assert found["coverage"] == pytest.approx(1 / 3)
    assert (found["accuracy"], found["mean_iou"]) == (1.0, 1.0)
    assert quality((some, None)).result(0.5)["coverage"] == 1 / 4


def test_pictures_without_truth_count_nowhere_beside_those_with_it():
    alone = quality((MAP, TRUTH)).result(0.5)
    other = pseudo([2, 2, 1], [255, 10, 250])
    for pictures in (
        [(MAP, TRUTH), (other, None)],
        [(other, None), (MAP, TRUTH)],
    ):
        found = quality(*pictures).result(0.5)
        assert found.pop("images") == 2 and found.pop("sentence")
        assert found == {name: alone[name] for name in found}


def test_where_nothing_is_kept_nothing_is_right():
    found = quality((pseudo([0, 1], [10, 20]), true([0, 1]))).result(0.5)
    assert (found["coverage"], found["accuracy"], found["mean_iou"]) == (0, 0, 0)


def test_people_are_asked_how_much_they_label():
    found = quality((MAP, None))
    found.add_human(TRUTH)
    assert found.result(0.5)["human"] == {"coverage": 7 / 8}


def test_a_result_can_be_stored_and_drawn():
    found = quality((MAP, TRUTH)).result(0.5)
    assert json.loads(json.dumps(found)) == found
    for chart in found["charts"]:
        assert set(chart["columns"]) <= set(found["thresholds"][0])


def test_maps_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 8\) pixels, the predicted one \(1, 1"):
        quality((pseudo([0], [0]), TRUTH))


def test_every_number_of_a_report_by_pencil():
    found = quality((MAP, TRUTH)).details(0.5)
    numbers = found["numbers"]
    assert numbers["coverage"] == pytest.approx(5 / 7)
    assert numbers["accuracy"] == pytest.approx(3 / 5)
    assert numbers["mean_iou"] == pytest.approx((1 / 3 + 1 / 2 + 1 / 2) / 3)
    # Of the seven known pixels by bins of confidence, in 1/255: 20 (wrong); 127
    # (right); 128 and 140 (both wrong); 200 (right); 230 and 255 (both right).
    off = 20 / 255 + (1 - 127 / 255) + 268 / 255 + (1 - 200 / 255) + (2 - 485 / 255)
    assert numbers["calibration_error"] == pytest.approx(off / 7)
    assert [row["count"] for row in found["calibration"]["bins"]] == [1, 1, 2, 1, 2]
    assert found["histogram"]["count"][-1] == 1 and found["histogram"]["right"][-1] == 1
    assert sum(found["histogram"]["count"]) == 7
    assert found["tables"]["By class"]["road"] == {
        **{"coverage": pytest.approx(1 / 3), "accuracy": 1.0, "share": 1 / 5},
        **{"iou": pytest.approx(1 / 2), "human_share": pytest.approx(3 / 7)},
    }
    assert json.loads(json.dumps(found)) == found


def test_classes_are_held_against_those_of_people():
    found = quality((MAP, TRUTH))
    # Kept: 2 sky, 1 road, 2 cars; people know nothing but sky.
    found.add_human(true([0, 0, IGNORED]))
    numbers = found.details(0.5)["numbers"]
    p, q = np.array([2, 1, 2]) / 5, np.array([1, 0, 0])
    m = (p + q) / 2
    expected = (np.sum(p * np.log2(p / m)) + np.log2(1 / m[0])) / 2
    assert numbers["class_shift"] == pytest.approx(expected)
    assert found.details(0.5)["human"] == {"coverage": 2 / 3, "empty_share": 0.0}


def test_pictures_in_which_nothing_is_kept_are_empty():
    found = quality(
        (MAP, TRUTH),
        (pseudo([1, 1], [127, 90]), true([1, 0])),
        # Sure of nothing but a pixel that nobody knows, and of no class.
        (pseudo([1, 0], [255, 10]), true([IGNORED, 0])),
        (pseudo([IGNORED, IGNORED], [255, 255]), true([1, 0])),
    )
    # 127 / 255 is 0.498.
    shares = [found.numbers(score)["empty_share"] for score in (0.0, 0.03, 0.49, 0.5)]
    assert shares == [1 / 4, 1 / 4, 2 / 4, 3 / 4]
    assert found.numbers(1.0)["empty_share"] == 3 / 4


def test_numbers_of_a_report_are_those_of_the_score_that_is_asked_for():
    found = quality((MAP, TRUTH))
    for row in found.details(0.5)["thresholds"]:
        numbers = found.numbers(row["min_score"])
        assert row == {"min_score": row["min_score"]} | {
            name: numbers[name] for name in row if name != "min_score"
        }
    assert found.numbers(0.9)["accuracy[car]"] == 1.0
    assert set(found.threshold_free) <= set(found.numbers(0.5))


def test_a_report_without_truth_claims_nothing():
    found = quality((MAP, None)).details(0.5)
    assert found["calibration"] is None and found["histogram"]["right"] is None
    assert found["numbers"]["calibration_error"] is None
    assert [chart["columns"] for chart in found["charts"]][0] == ["coverage"]
    assert found["tables"]["By class"]["sky"]["iou"] is None
    assert found["human"] is None
