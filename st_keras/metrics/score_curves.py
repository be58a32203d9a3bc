"""What scores are worth: average precision, calibration, histograms, class shares.

A row holds labels that share a score, so that boxes and pixels are counted alike.
"""

import numpy as np

# The scores at which pseudo labels are measured: 0.05 to 0.95.
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
_RECALLS = np.linspace(0.0, 1.0, 101)  # COCO's.
_CALIBRATION_BINS = 10
_HISTOGRAM_BINS = 20


def average_precision(scores: np.ndarray, right: np.ndarray, true: int) -> float | None:
    """Returns the area under precision over recall as COCO interpolates it, in [0, 1].

    Args:
      scores: [N] of labels, in the order in which equal scores are ranked.
      right: [N] bool.
      true: Number of true labels; without any, the result is None.
    """
    if not true:
        return None
    right = np.asarray(right, bool)[np.argsort(-scores, kind="stable")]
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    # The best precision at this recall or a higher one.
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    first = np.searchsorted(found / true, _RECALLS)
    return float(np.append(precision, 0.0)[np.minimum(first, len(right))].mean())


def calibration(scores: np.ndarray, counts: np.ndarray, right: np.ndarray) -> dict:
    """Returns how far scores are from the share of labels that are right.

    Args:
      scores: [R] in [0, 1].
      counts: [R], labels with the score.
      right: [R], those of them that are right.

    Returns:
      `error`: over ten bins of scores, the mean distance between the mean score and the
      precision, weighted by labels (expected calibration error; None without labels);
      `bins`, each with `from`, `to`, `count`, `mean_score` and `precision`, without the
      empty ones.
    """
    where = _bins(scores, _CALIBRATION_BINS)
    bins, error = [], 0.0
    for number in range(_CALIBRATION_BINS):
        inside = where == number
        count = int(counts[inside].sum())
        if count:
            mean_score = float(np.dot(scores[inside], counts[inside]) / count)
            precision = float(right[inside].sum() / count)
            error += count * abs(mean_score - precision)
            ends = {"from": number / 10, "to": (number + 1) / 10}
            values = {"mean_score": mean_score, "precision": precision}
            bins.append(ends | {"count": count} | values)
    total = sum(row["count"] for row in bins)
    return {"error": error / total if total else None, "bins": bins}


def histogram(scores: np.ndarray, counts: np.ndarray, right: np.ndarray | None) -> dict:
    """Returns labels by score, in twenty bins.

    Returns:
      `from`, the lower end of each bin; `count`, its labels; `right`, those of them
      that are right (None: not known).
    """
    where = _bins(scores, _HISTOGRAM_BINS)

    def count(weights):
        sums = np.bincount(where, weights, minlength=_HISTOGRAM_BINS)
        return [int(value) for value in sums]

    return {
        "from": [round(i / _HISTOGRAM_BINS, 2) for i in range(_HISTOGRAM_BINS)],
        "count": count(counts),
        "right": None if right is None else count(right),
    }


def class_shift(counts: np.ndarray, others: np.ndarray) -> float | None:
    """Returns the Jensen-Shannon divergence between the shares of the classes.

    In bits: 0 where both have the same shares, 1 where they have no class in common.

    Args:
      counts: [K] labels by class.
      others: [K] the same; None is returned where either has none.
    """
    if not (np.sum(counts) and np.sum(others)):
        return None
    one, other = shares(counts), shares(others)
    middle = (one + other) / 2.0
    return float((_divergence(one, middle) + _divergence(other, middle)) / 2.0)


def shares(counts: np.ndarray) -> np.ndarray:
    """Returns [K] counts as shares of their sum; zeros where there are none."""
    return np.asarray(counts, np.float64) / max(float(np.sum(counts)), 1.0)


def f1(right: int, kept: int, true: int) -> float:
    """Returns the harmonic mean of precision and recall; 0 where there is nothing."""
    return 2.0 * right / max(kept + true, 1)


def _bins(scores: np.ndarray, count: int) -> np.ndarray:
    """Returns the number of each score's bin; the last one includes 1."""
    # In 32 bits, as the scores are stored: otherwise 0.7 would be under 0.7.
    edges = np.asarray([i / count for i in range(1, count)], np.float32)
    return np.searchsorted(edges, np.asarray(scores, np.float32), side="right")


def _divergence(one: np.ndarray, other: np.ndarray) -> float:
    is_there = one > 0
    return float(np.sum(one[is_there] * np.log2(one[is_there] / other[is_there])))
