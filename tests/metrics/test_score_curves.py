"""What average precision, calibration and class shift mean, by pencil."""

import math

import numpy as np
import pytest

from st_keras.metrics import score_curves


def counts(*values):
    return np.array(values, np.int64)


def test_average_precision_is_the_area_under_the_best_precision_at_each_recall():
    # Right, wrong, right of three true ones. Recall 1/3 at precision 1, recall 2/3 at
    # 2/3: 34 of 101 recalls (0 to 0.33) have 1, 33 (0.34 to 0.66) have 2/3, 34 have 0.
    found = score_curves.average_precision(
        np.array([0.9, 0.8, 0.3]), np.array([True, False, True]), 3
    )
    assert found == pytest.approx((34 + 33 * 2 / 3) / 101)


def test_average_precision_ranks_by_score_and_not_by_place():
    shuffled = score_curves.average_precision(
        np.array([0.3, 0.9, 0.8]), np.array([True, True, False]), 3
    )
    assert shuffled == pytest.approx((34 + 33 * 2 / 3) / 101)


def test_average_precision_of_nothing():
    nothing = np.zeros(0), np.zeros(0, bool)
    assert score_curves.average_precision(*nothing, 4) == 0.0
    assert score_curves.average_precision(*nothing, 0) is None


def test_calibration_error_is_the_distance_of_each_bin_weighted_by_its_labels():
    # Bin 0.6: scores 0.61, 0.61, 0.67 (mean 0.63), 1 of 3 right: off by 0.63 - 1/3.
    # Bin 0.9: score 1.0, 2 labels, both right: off by 0.
    found = score_curves.calibration(
        np.array([0.61, 0.67, 1.0]), counts(2, 1, 2), counts(1, 0, 2)
    )
    assert found["error"] == pytest.approx(3 / 5 * (0.63 - 1 / 3))
    assert [row["from"] for row in found["bins"]] == [0.6, 0.9]
    low, high = found["bins"]
    assert (low["count"], low["to"]) == (3, 0.7)
    assert low["mean_score"] == pytest.approx(0.63)
    assert low["precision"] == pytest.approx(1 / 3)
    assert (high["mean_score"], high["precision"]) == (1.0, 1.0)


def test_errors_of_two_bins_do_not_cancel():
    # 0.25 with half right is too low by 0.25, 0.75 with half right too high by it.
    found = score_curves.calibration(np.array([0.25, 0.75]), counts(2, 2), counts(1, 1))
    assert found["error"] == pytest.approx(0.25)


def test_calibration_of_nothing_is_not_known():
    nothing = np.zeros(0, np.int64)
    assert score_curves.calibration(np.zeros(0), nothing, nothing) == {
        "error": None,
        "bins": [],
    }


@pytest.mark.parametrize("tenth", range(10))
def test_a_score_stored_in_32_bits_is_in_the_bin_that_it_opens(tenth):
    one = counts(1)
    (row,) = score_curves.calibration(np.float32([tenth / 10]), one, one)["bins"]
    assert row["from"] == tenth / 10


def test_a_histogram_counts_labels_by_score():
    found = score_curves.histogram(
        np.array([0.0, 0.07, 1.0]), counts(4, 2, 3), counts(1, 0, 3)
    )
    assert found["from"][:3] == [0.0, 0.05, 0.1] and len(found["from"]) == 20
    assert found["count"] == [4, 2, *[0] * 17, 3]
    assert found["right"] == [1, 0, *[0] * 17, 3]
    assert score_curves.histogram(np.array([0.5]), counts(1), None)["right"] is None


def test_classes_in_like_shares_are_not_shifted():
    assert score_curves.class_shift(counts(2, 4, 0), counts(10, 20, 0)) == 0.0


def test_no_class_in_common_is_a_shift_of_one_bit():
    assert score_curves.class_shift(counts(3, 0), counts(0, 9)) == pytest.approx(1.0)


def test_a_class_shift_by_pencil():
    # (1, 0) and (1/2, 1/2) about their middle (3/4, 1/4):
    # (log2(4/3) + (log2(2/3) + log2(2)) / 2) / 2.
    expected = (math.log2(4 / 3) + (math.log2(2 / 3) + 1) / 2) / 2
    found = score_curves.class_shift(counts(7, 0), counts(3, 3))
    assert found == pytest.approx(expected)
    assert score_curves.class_shift(counts(3, 3), counts(7, 0)) == pytest.approx(found)


def test_a_shift_from_nothing_is_not_known():
    assert score_curves.class_shift(counts(0, 0), counts(1, 2)) is None
    assert score_curves.class_shift(counts(1, 2), counts(0, 0)) is None


def test_f1_is_the_harmonic_mean():
    # Precision 2/5, recall 2/3: 2 / (5/2 + 3/2).
    assert score_curves.f1(2, 5, 3) == pytest.approx(2 / (5 / 2 + 3 / 2))
    assert score_curves.f1(0, 0, 0) == 0.0
