"""Confidences of pixels as files store them: in whole numbers of 1/255."""

from collections.abc import Sequence

import numpy as np

LEVELS = 256
SCORES = np.arange(LEVELS) / (LEVELS - 1.0)  # By stored value.


def first_kept(min_score: float | Sequence[float]) -> np.ndarray:
    """Returns the lowest stored value that reaches a score, as int32; 256: none does.

    Everything that compares a stored confidence with a score does so here: training,
    its reports and its calibration must agree about each pixel.
    """
    return np.searchsorted(SCORES, min_score).astype(np.int32)
