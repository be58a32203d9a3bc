"""From scored boxes to detections: non-maximum suppression per class."""

import math
from collections.abc import Callable

import tensorflow as tf

from st_keras.ops.boxes import pairwise_iou
from st_keras.types import Boxes

_CANDIDATES_PER_CLASS = 5000  # As the authors' code; enough for 640 px and more.

# How a box that overlaps a better one by `iou` is weakened. Published sigmas mean one
# or the other: 0.5 of the first is 0.25 of the second.
SOFT_NMS_FORMS: dict[str, Callable[[tf.Tensor, float], tf.Tensor]] = {
    # Bodla et al. 2017, arXiv:1704.04503, equation 3.
    "bodla": lambda iou, sigma: tf.exp(-tf.square(iou) / sigma),
    # tf.image.non_max_suppression_with_scores.
    "tensorflow": lambda iou, sigma: tf.exp(-tf.square(iou) / (2.0 * sigma)),
}


# Anchors are chosen in multiples of this, many times a vector's length: what is left
# over for part of a vector can differ in the last bit on a processor, and would depend
# on the other pictures of the batch.
_CHOSEN_AT_A_TIME = 256


def anchors_with_candidates(logits: tf.Tensor, min_score: float) -> tf.Tensor:
    """Returns [B, M] int32, in order, the anchors that suppression has to consider.

    Of tens of thousands, a trained model leaves some hundreds to consider. M is
    dynamic, so this does not compile with XLA.

    Args:
      logits: [B, A, K] float32.
      min_score: Anchors without a class above it are left out, except to fill up.
    """
    # A little lower: the final decision is by probability.
    least = math.log(min_score / (1.0 - min_score)) - 1e-3 if min_score else -math.inf
    is_one = tf.cast(tf.reduce_max(logits, axis=-1) > least, tf.int32)
    # Of no pictures, the largest number is the least of its type.
    most = tf.maximum(tf.reduce_max(tf.reduce_sum(is_one, axis=-1)), 0)
    chosen = (most // _CHOSEN_AT_A_TIME + 1) * _CHOSEN_AT_A_TIME
    # `top_k` returns equal numbers in the order of their index.
    return tf.math.top_k(is_one, tf.minimum(chosen, tf.shape(is_one)[1])).indices


def non_max_suppression(
    boxes_yxyx: tf.Tensor,
    probabilities: tf.Tensor,
    *,
    min_score: float,
    nms_iou: float,
    max_detections: int,
    soft_sigma: float = 0.0,
    soft_form: str = "tensorflow",
    xla: bool = False,
) -> Boxes:
    """Keeps, per class, the best of the boxes that overlap; then the best of all.

    Soft suppression keeps them all, and weakens each by its overlap with every better
    one.

    Args:
      boxes_yxyx: [B, A, 4] float32, shared by the classes; with `soft_sigma` or `xla`
        A is static.
      probabilities: [B, A, K] float32 in [0, 1].
      min_score: Boxes at or under it are never returned.
      nms_iou: Overlap above which the weaker box goes; unused by soft suppression.
      max_detections: N, rows per image.
      soft_sigma: How far soft suppression is from hard; 0: hard.
      soft_form: What sigma means, one of `SOFT_NMS_FORMS`.
      xla: Whether the result must compile with XLA, which has no kernel for the hard
        form; soft suppression always does.

    Returns:
      Labels [B, N, ...], best score first; padding rows have weight 0.

    Raises:
      ValueError: There is no such form.
    """
    if soft_form not in SOFT_NMS_FORMS:
        raise ValueError(
            f"`soft_form` must be one of {', '.join(SOFT_NMS_FORMS)}, got "
            f"{soft_form!r}."
        )

    def weaken(iou):
        if soft_sigma:
            return SOFT_NMS_FORMS[soft_form](iou, soft_sigma)
        return tf.cast(iou <= nms_iou, tf.float32)

    if soft_sigma or xla:
        found = _greedy(
            boxes_yxyx, probabilities, min_score, max_detections, weaken=weaken
        )
    else:
        found = tf.image.combined_non_max_suppression(
            boxes_yxyx[:, :, None, :],
            probabilities,
            max_output_size_per_class=max_detections,
            max_total_size=max_detections,
            iou_threshold=nms_iou,
            score_threshold=min_score,
            pad_per_class=False,
            clip_boxes=False,
        )
    boxes, scores, class_ids, counts = found
    is_real = tf.sequence_mask(counts, max_detections)
    return Boxes(
        boxes_yxyx=tf.where(is_real[..., None], boxes, 0.0),
        class_ids=tf.where(is_real, tf.cast(class_ids, tf.int32), 0),
        scores=tf.where(is_real, scores, 0.0),
        weights=tf.cast(is_real, tf.float32),
        is_crowd=tf.zeros_like(is_real),
    )


def _greedy(boxes_yxyx, probabilities, min_score, max_detections, *, weaken):
    """Takes the best box of all classes, weakens its neighbours, and so on.

    Taking a box raises no other's score, so boxes come out in order of score, as if
    each class had been processed alone and the results merged: N rounds in all.

    Args:
      weaken: Maps overlaps with the box just taken to factors in [0, 1].

    Returns:
      Boxes [B, N, 4], scores [B, N], class ids [B, N], their number [B].
    """
    candidates = min(_CANDIDATES_PER_CLASS, probabilities.shape[1])
    scores, anchors = tf.math.top_k(
        tf.transpose(probabilities, [0, 2, 1]), candidates, sorted=False
    )  # [B, K, M] each.
    batch, num_classes = tf.shape(scores)[0], scores.shape[1]
    images = tf.range(batch)

    def take_best(number, scores, boxes, best_scores, class_ids):
        best = tf.argmax(
            tf.reshape(scores, [batch, num_classes * candidates]), 1, tf.int32
        )
        class_id, place = best // candidates, best % candidates
        of_class = tf.stack([images, class_id], axis=-1)
        row = tf.gather_nd(scores, of_class)
        row_boxes = tf.gather(boxes_yxyx, tf.gather_nd(anchors, of_class), batch_dims=1)
        score = tf.gather(row, place, batch_dims=1)
        box = tf.gather(row_boxes, place, batch_dims=1)
        row *= weaken(pairwise_iou(box[:, None], row_boxes)[:, 0])
        # A box is taken once, whatever its overlap with itself.
        row = tf.where(tf.range(candidates) == place[:, None], 0.0, row)
        is_class = tf.range(num_classes) == class_id[:, None]
        return (
            number + 1,
            tf.where(is_class[..., None], row[:, None], scores),
            _put(boxes, number, box),
            _put(best_scores, number, score),
            _put(class_ids, number, class_id),
        )

    empty = [batch, max_detections]
    _, _, boxes, best_scores, class_ids = tf.while_loop(
        lambda number, *_: number < max_detections,
        take_best,
        (0, scores, tf.zeros([*empty, 4]), tf.zeros(empty), tf.zeros(empty, tf.int32)),
        maximum_iterations=max_detections,
    )
    counts = tf.reduce_sum(tf.cast(best_scores > min_score, tf.int32), axis=1)
    return boxes, best_scores, class_ids, counts


def _put(rows: tf.Tensor, number: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Returns [B, N, ...] rows with one of each image replaced."""
    is_row = tf.range(rows.shape[1]) == number
    is_row = tf.reshape(is_row, [1, -1] + [1] * (rows.shape.rank - 2))
    return tf.where(is_row, value[:, None], rows)
