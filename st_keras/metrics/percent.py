"""Shares in percent, where there may be nothing to take a share of."""

import numpy as np

NONE = -100.0  # Of nothing, as COCO's evaluation says -1.


def percent(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Returns parts in percent of wholes; `NONE` where a whole is 0."""
    whole = np.asarray(whole, np.float64)
    return np.where(whole > 0, 100.0 * part / np.maximum(whole, 1.0), NONE)


def mean(values: np.ndarray) -> float:
    """Returns the mean of all that are not `NONE`, or `NONE`."""
    known = values[values != NONE]
    return float(known.mean()) if known.size else NONE
