"""Which anchor learns which box."""

from typing import NamedTuple

import tensorflow as tf

from st_keras.ops.boxes import pairwise_iou


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
    not counted between the two. Besides, every box that counts owns the anchor it
    overlaps most, however little (the lower row wins an anchor that two boxes want).
    Rows of weight 0 match nothing and make nothing: without the mask, their best anchor
    would be anchor 0, and it would become a positive.

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
    counts = weights > 0.0
    if boxes_yxyx.shape[1] == 0:
        shape = [tf.shape(boxes_yxyx)[0], anchors_yxyx.shape[0]]
        nothing = tf.zeros(shape, tf.bool)
        return Matches(tf.zeros(shape, tf.int32), nothing, tf.logical_not(nothing))
    iou = pairwise_iou(anchors_yxyx[None], boxes_yxyx)  # [B, A, N]
    iou = tf.where(counts[:, None, :], iou, -1.0)
    best_iou = tf.reduce_max(iou, axis=2)
    box_index = tf.argmax(iou, axis=2, output_type=tf.int32)

    best_anchor = tf.argmax(iou, axis=1, output_type=tf.int32)  # [B, N]
    reaches = tf.logical_and(counts, tf.reduce_max(iou, axis=1) > 0.0)
    anchor_ids = tf.range(anchors_yxyx.shape[0])[None, :, None]
    owned = tf.logical_and(best_anchor[:, None, :] == anchor_ids, reaches[:, None, :])
    is_owned = tf.reduce_any(owned, axis=2)
    owner = tf.argmax(tf.cast(owned, tf.int32), axis=2, output_type=tf.int32)

    is_positive = tf.logical_or(best_iou >= positive_iou, is_owned)
    is_background = tf.logical_and(best_iou < negative_iou, tf.logical_not(is_owned))
    return Matches(
        box_index=tf.where(is_owned, owner, box_index),
        is_positive=is_positive,
        is_counted=tf.logical_or(is_positive, is_background),
    )
