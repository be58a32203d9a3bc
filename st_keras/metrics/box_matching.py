"""Which pseudo boxes are right: those that overlap a true one nobody has taken."""

import numpy as np
from pycocotools import mask

from st_keras.types import Boxes

_MATCH_IOU = 0.5


def match(real: Boxes, labels: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """Returns score and rightness of each pseudo box that is not inside a crowd."""
    order = np.argsort(-labels.scores, kind="stable")
    overlaps = _overlaps(labels.boxes_yxyx, real)
    taken = np.zeros(len(real.class_ids), bool)
    scores, right = [], []
    for row in order:
        same_class = real.class_ids == labels.class_ids[row]
        overlap = np.where(same_class, overlaps[row], 0.0)
        free = np.where(taken | real.is_crowd, 0.0, overlap)
        best = int(np.argmax(free)) if free.size else -1
        is_match = best >= 0 and free[best] >= _MATCH_IOU
        if not is_match and np.any(real.is_crowd & (overlap > 0)):
            continue
        if is_match:
            taken[best] = True
        scores.append(labels.scores[row])
        right.append(is_match)
    return np.asarray(scores, np.float32), np.asarray(right, bool)


def _overlaps(boxes_yxyx: np.ndarray, real: Boxes) -> np.ndarray:
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
