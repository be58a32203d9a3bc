"""Compares the label maps of one picture: from two looks, or with the truth."""

import numpy as np

from st_keras.metrics.confidences import first_kept
from st_keras.metrics.verdicts import (
    DROPPED,
    FALSE,
    KEPT,
    MATCHED,
    MISSED,
    NOTHING,
    PixelVerdicts,
)
from st_keras.types import IGNORED, LabelMap


def is_kept(labels: LabelMap, min_score: float) -> np.ndarray:
    """Returns [H, W] bool: which pixels have a class with at least this score."""
    is_sure = np.asarray(labels.confidences) >= first_kept(min_score)
    return is_sure & (np.asarray(labels.class_ids) != IGNORED)


def agreement(labels: LabelMap, other: LabelMap, min_score: float) -> float:
    """Returns the share of pixels kept by either that both keep, with equal classes."""
    is_known = np.asarray(other.class_ids) != IGNORED
    kept, other_kept = (is_kept(look, min_score) for look in (labels, other))
    counted = int(((kept | other_kept) & is_known).sum())
    if not counted:
        return 1.0
    is_equal = np.asarray(labels.class_ids) == np.asarray(other.class_ids)
    return int((is_equal & kept & other_kept).sum()) / counted


def verdicts(
    pseudo: LabelMap, truth: LabelMap | None, min_score: float
) -> PixelVerdicts:
    """Returns the verdict on each pixel.

    A dropped pixel that would have been right is missed; a kept one whose truth is
    unknown is just kept.
    """
    ids = np.asarray(pseudo.class_ids)
    kept = is_kept(pseudo, min_score)
    kinds = np.where(kept, KEPT, DROPPED)
    if truth is not None:
        true_ids = np.asarray(truth.class_ids)
        is_known, is_right = true_ids != IGNORED, ids == true_ids
        kinds[is_known & kept] = FALSE
        kinds[is_known & is_right] = MISSED
        kinds[is_known & is_right & kept] = MATCHED
    kinds[ids == IGNORED] = NOTHING
    return PixelVerdicts(ids, kinds.astype(np.uint8))
