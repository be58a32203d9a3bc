"""Which pseudo boxes are right: those that overlap a true one no other has taken."""

import numpy as np
from pycocotools import mask

from st_keras.types import Boxes

MATCH_IOU = 0.5
FALSE, IN_CROWD = -1, -2  # In place of the row of a true box.


def match(real: Boxes, labels: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """Returns score and rightness of each pseudo box that is not inside a crowd.

    The best score comes first.
    """
    found = find_true(real, labels, overlaps(labels.boxes_yxyx, real))
    order = np.argsort(-labels.scores, kind="stable")
    order = order[found[order] != IN_CROWD]
    return np.asarray(labels.scores[order], np.float32), found[order] != FALSE


def find_true(
    real: Boxes, labels: Boxes, ious: np.ndarray, min_iou: float = MATCH_IOU
) -> np.ndarray:
    """Returns which true box each pseudo box has found.

    The best score chooses first, and each takes the free box of its class that it
    overlaps most. A box that finds none, but lies in a crowd of its class, counts
    neither way. pycocotools matches the same way.

    Args:
      real: [M, ...] NumPy arrays, pixels.
      labels: [N, ...] in the same pixels.
      ious: [N, M], their `overlaps`.
      min_iou: Least overlap with which a true box is found; for a crowd, the least
        share of the pseudo box that must lie in it.

    Returns:
      [N] int64 rows of `real`; or `FALSE` or `IN_CROWD`.
    """
    found = np.full(len(labels.class_ids), FALSE, np.int64)
    if not ious.size:
        return found
    same_class = np.asarray(labels.class_ids)[:, None] == np.asarray(real.class_ids)
    is_near = same_class & (ious >= min_iou)
    is_crowd = np.asarray(real.is_crowd, bool)
    is_free = is_near & ~is_crowd
    order = np.argsort(-np.asarray(labels.scores), kind="stable")
    for row in order[is_free[order].any(axis=1)]:
        if is_free[row].any():
            best = int(np.argmax(np.where(is_free[row], ious[row], -1.0)))
            found[row] = best
            is_free[:, best] = False
    found[(found == FALSE) & (is_near & is_crowd).any(axis=1)] = IN_CROWD
    return found


def overlaps(boxes_yxyx: np.ndarray, real: Boxes) -> np.ndarray:
    """Returns [N, M] overlaps as COCO's evaluation measures them.

    Intersection over union; with a crowd, intersection over the box alone.
    """
    shape = [len(boxes_yxyx), len(real.class_ids)]
    if 0 in shape:
        return np.zeros(shape)
    boxes, others = _to_xywh(boxes_yxyx), _to_xywh(real.boxes_yxyx)
    return mask.iou(boxes, others, np.asarray(real.is_crowd, np.uint8).tolist())


def _to_xywh(boxes_yxyx: np.ndarray) -> np.ndarray:
    y0, x0, y1, x1 = np.asarray(boxes_yxyx, np.float64).T
    return np.ascontiguousarray(np.stack([x0, y0, x1 - x0, y1 - y0], axis=-1))
