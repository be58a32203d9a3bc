"""Compares boxes of one picture: from two looks, or with the truth."""

import numpy as np

from st_keras.metrics import score_curves
from st_keras.metrics.box_matching import FALSE, find_true, overlaps
from st_keras.metrics.verdicts import DROPPED, KEPT, MATCHED, MISSED, BoxVerdicts
from st_keras.metrics.verdicts import FALSE as IS_FALSE
from st_keras.types import Boxes


def agreement(labels: Boxes, other: Boxes, min_score: float) -> float:
    """Returns the F1 of matched boxes, in [0, 1]; 1 where both have none."""
    labels, other = (_of(look, look.scores >= min_score) for look in (labels, other))
    found = find_true(other, labels, overlaps(labels.boxes_yxyx, other))
    counted = int((found >= FALSE).sum())
    expected = int((~np.asarray(other.is_crowd, bool)).sum())
    if not counted + expected:
        return 1.0
    return score_curves.f1(int((found >= 0).sum()), counted, expected)


def verdicts(pseudo: Boxes, truth: Boxes | None, min_score: float) -> BoxVerdicts:
    """Returns the verdict on each box; a kept box in a crowd is just kept."""
    is_kept = np.asarray(pseudo.scores) >= min_score
    kinds = np.where(is_kept, KEPT, DROPPED)
    if truth is None:
        fields = (pseudo.boxes_yxyx, pseudo.class_ids, pseudo.scores)
        return BoxVerdicts(*fields, kinds)
    kept = _of(pseudo, is_kept)
    found = find_true(truth, kept, overlaps(kept.boxes_yxyx, truth))
    kinds[is_kept] = np.select([found >= 0, found == FALSE], [MATCHED, IS_FALSE], KEPT)
    is_missed = ~np.asarray(truth.is_crowd, bool)
    is_missed[found[found >= 0]] = False
    missed = _of(truth, is_missed)
    return BoxVerdicts(
        *(
            np.concatenate([getattr(pseudo, name), getattr(missed, name)])
            for name in ("boxes_yxyx", "class_ids", "scores")
        ),
        np.concatenate([kinds, np.full(len(missed.scores), MISSED)]),
    )


def mirrored(labels: Boxes, width_px: int) -> Boxes:
    """Returns the boxes with left and right exchanged."""
    y0, x0, y1, x1 = np.asarray(labels.boxes_yxyx, np.float32).reshape([-1, 4]).T
    boxes_yxyx = np.stack([y0, width_px - x1, y1, width_px - x0], axis=-1)
    return labels._replace(boxes_yxyx=boxes_yxyx)


def cropped(labels: Boxes, size_px: tuple[int, int]) -> Boxes:
    """Returns the boxes cut at (height, width); those beyond are left out."""
    boxes_yxyx = np.asarray(labels.boxes_yxyx, np.float32).reshape([-1, 4])
    boxes_yxyx = np.clip(boxes_yxyx, 0.0, np.float32([*size_px, *size_px]))
    is_there = (boxes_yxyx[:, 2:] > boxes_yxyx[:, :2]).all(axis=-1)
    return _of(labels._replace(boxes_yxyx=boxes_yxyx), is_there)


def _of(labels: Boxes, where: np.ndarray) -> Boxes:
    return Boxes(*(np.asarray(field)[where] for field in labels))
