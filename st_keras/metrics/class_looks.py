"""Compares the classes of one picture: from two looks, or with the truth."""

import numpy as np

from st_keras.metrics.verdicts import (
    DROPPED,
    FALSE,
    KEPT,
    MATCHED,
    MISSED,
    ClassVerdicts,
)
from st_keras.types import Classes


def is_kept(labels: Classes, min_score: float) -> bool:
    """Returns whether there is a class with at least this score."""
    # In 32 bits, as the student compares.
    return bool(labels.weights[0] > 0 and labels.scores[0] >= np.float32(min_score))


def agreement(labels: Classes, other: Classes, min_score: float) -> float:
    """Returns 1 if both keep the same class, or neither keeps one; otherwise 0."""
    if not other.weights[0] > 0:
        return 1.0
    kept, other_kept = (is_kept(look, min_score) for look in (labels, other))
    is_equal = labels.class_ids[0] == other.class_ids[0]
    return float(is_equal if kept and other_kept else kept == other_kept)


def verdicts(pseudo: Classes, truth: Classes | None, min_score: float) -> ClassVerdicts:
    """Returns the verdict on the class, and the true class if it is missed."""
    rows = []
    kept = is_kept(pseudo, min_score)
    is_known = truth is not None and truth.weights[0] > 0
    is_right = is_known and pseudo.class_ids[0] == truth.class_ids[0]
    if pseudo.weights[0] > 0:
        kind = (MATCHED if is_right else FALSE) if is_known else KEPT
        rows.append((pseudo.class_ids[0], pseudo.scores[0], kind if kept else DROPPED))
    if is_known and not (is_right and kept):
        rows.append((truth.class_ids[0], 1.0, MISSED))
    return ClassVerdicts(*(np.array([row[i] for row in rows]) for i in range(3)))
