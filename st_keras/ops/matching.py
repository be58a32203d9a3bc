"""Which anchor learns which box."""

from typing import NamedTuple

import tensorflow as tf

from st_keras.ops.boxes import pairwise_iou

# Boxes matched at once: as many as a processor's cache can hold.
_ROWS_AT_A_TIME = 8


class Matches(NamedTuple):
    """The box of every anchor, and what the anchor is to learn from it."""

    box_index: tf.Tensor  # [B, A] int32; meaningful where `is_positive`.
    is_positive: tf.Tensor  # [B, A] bool: learns the class and offset of its box.
    is_counted: tf.Tensor  # [B, A] bool: False is neither box nor background.


def match_anchors(
    anchors_yxyx: tf.Tensor,
    boxes_yxyx: tf.Tensor,
    weights: tf.Tensor,
    *,
    positive_iou: float,
    negative_iou: float,
) -> Matches:
    """Gives each anchor the box it overlaps most, and each box its best anchor.

    An anchor is positive from `positive_iou` on, background below `negative_iou`, and
    not counted between the two. In addition, every box that counts owns the anchor it
    overlaps most, however little (the lower row wins an anchor that two boxes want).
    Rows of weight 0 match nothing: without the mask, their best anchor would be anchor
    0, and it would become a positive.

    Static shapes throughout, so that it can run on a TPU.

    Args:
      anchors_yxyx: [A, 4] float32, pixels.
      boxes_yxyx: [B, N, 4] float32, pixels.
      weights: [B, N] float32; 0 is padding.
      positive_iou: In [0, 1].
      negative_iou: In [0, positive_iou].

    Returns:
      Matches with leading axes [B, A].

    Source: Lin et al. 2017, arXiv:1708.02002, section 4; the forced matches as in the
    authors' anchor labeler.
    """
    batch, num_boxes = tf.shape(boxes_yxyx)[0], boxes_yxyx.shape[1]
    best_iou = tf.fill([batch, anchors_yxyx.shape[0]], -1.0)
    # The row of the best box, and of the first that owns the anchor; -1: none does.
    best_row = tf.zeros_like(best_iou, tf.int32)
    owner = best_row - 1
    if num_boxes != 0:
        if num_boxes is None:  # On a host.
            num_boxes = tf.shape(boxes_yxyx)[1]
        missing = -num_boxes % _ROWS_AT_A_TIME
        boxes_yxyx = tf.pad(boxes_yxyx, [[0, 0], [0, missing], [0, 0]])
        weights = tf.pad(weights, [[0, 0], [0, missing]])
        # Most rows are padding and come last: the loop ends after the last that counts.
        rows = tf.range(num_boxes + missing)
        stop = tf.reduce_max(tf.where(weights > 0.0, rows + 1, 0))
        _, best_iou, best_row, owner = tf.while_loop(
            lambda start, *_: start < stop,
            lambda start, *found: (
                start + _ROWS_AT_A_TIME,
                *_match_rows(start, anchors_yxyx, boxes_yxyx, weights, *found),
            ),
            (0, best_iou, best_row, owner),
        )
    is_owned = owner >= 0
    is_positive = tf.logical_or(best_iou >= positive_iou, is_owned)
    is_background = tf.logical_and(best_iou < negative_iou, tf.logical_not(is_owned))
    return Matches(
        box_index=tf.where(is_owned, owner, best_row),
        is_positive=is_positive,
        is_counted=tf.logical_or(is_positive, is_background),
    )


def _match_rows(
    start, anchors_yxyx, boxes_yxyx, weights, best_iou, best_row, owner
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns best overlap, its row and the owner, updated with the next boxes."""
    rows = start + tf.range(_ROWS_AT_A_TIME)
    boxes = tf.gather(boxes_yxyx, rows, axis=1)
    counts = tf.gather(weights, rows, axis=1)[..., None] > 0.0
    iou = tf.where(counts, pairwise_iou(boxes, anchors_yxyx[None]), -1.0)  # [B, n, A]
    top = tf.reduce_max(iou, axis=1)
    row = start + tf.argmax(iou, axis=1, output_type=tf.int32)

    reaches = tf.reduce_max(iou, axis=2) > 0.0
    best_anchor = tf.argmax(iou, axis=2, output_type=tf.int32)  # [B, n]
    anchor_ids = tf.range(anchors_yxyx.shape[0])
    owns = tf.logical_and(best_anchor[..., None] == anchor_ids, reaches[..., None])
    after = start + _ROWS_AT_A_TIME
    first = tf.reduce_min(tf.where(owns, rows[:, None], after), axis=1)
    is_new = tf.logical_and(first < after, owner < 0)
    return (
        tf.maximum(top, best_iou),
        tf.where(top > best_iou, row, best_row),
        tf.where(is_new, first, owner),
    )
