"""How right pseudo labels are, where the truth is known."""

import numpy as np
from pycocotools import mask

from st_keras.types import Labels

THRESHOLDS = tuple(np.round(np.arange(0.05, 0.96, 0.05), 2).tolist())
_MATCH_IOU = 0.5


def precision_and_recall(
    truth: dict[str, Labels],
    pseudo: dict[str, Labels],
    *,
    thresholds: tuple[float, ...] = THRESHOLDS,
) -> list[dict[str, float]]:
    """Returns precision, recall and boxes per picture at each score threshold.

    A pseudo box is right if it overlaps a true box of its class by an IoU of 0.5 or
    more that no better-scored pseudo box has taken. Boxes in crowds count neither way.

    Args:
      truth: Human labels by image id, NumPy, pixels.
      pseudo: Pseudo labels with scores by image id, in the same pixels.
      thresholds: Scores from which a pseudo box is kept.

    Returns:
      A row per threshold: `min_score`, `precision` and `recall` in [0, 1] (precision
      is 0 where nothing is kept), `boxes_per_image`.

    Raises:
      ValueError: A picture of `pseudo` has no truth.
    """
    missing = sorted(set(pseudo) - set(truth))
    if missing:
        raise ValueError(
            f"No truth for {len(missing)} of {len(pseudo)} pictures, such as "
            f"{missing[0]!r}."
        )
    scores, is_right, true_boxes = [], [], 0
    for image_id, labels in pseudo.items():
        real = truth[image_id]
        true_boxes += int(np.sum(~np.asarray(real.is_crowd, bool)))
        image_scores, image_right = _match(real, labels)
        scores.append(image_scores)
        is_right.append(image_right)
    all_scores = np.concatenate(scores) if scores else np.zeros(0)
    all_right = np.concatenate(is_right) if is_right else np.zeros(0, bool)
    rows = []
    for threshold in thresholds:
        kept = all_scores >= threshold
        right = int(all_right[kept].sum())
        rows.append(
            {
                "min_score": float(threshold),
                "precision": right / max(int(kept.sum()), 1),
                "recall": right / max(true_boxes, 1),
                "boxes_per_image": float(kept.sum() / max(len(pseudo), 1)),
            }
        )
    return rows


def _match(real: Labels, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
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


def _overlaps(boxes_yxyx: np.ndarray, real: Labels) -> np.ndarray:
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
