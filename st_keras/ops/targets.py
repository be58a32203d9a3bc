"""What each anchor of a RetinaNet is to learn from the box it is matched to."""

from typing import NamedTuple

import tensorflow as tf

from st_keras.ops.box_coding import encode_boxes
from st_keras.ops.matching import Matches
from st_keras.types import Boxes


class Targets(NamedTuple):
    """The targets of every anchor, as the losses of `losses.detection` take them."""

    class_targets: tf.Tensor  # [B, A, K] bool; none in a row is background.
    offset_targets: tf.Tensor  # [B, A, 4] float32; meaningful where positive.
    weights: tf.Tensor | None  # [B, A] float32; that of the box, 1 if there is none.
    num_positives: tf.Tensor  # [] float32, over the batch.


def anchor_targets(
    labels: Boxes, matches: Matches, anchors_yxyx: tf.Tensor, num_classes: int
) -> Targets:
    """Returns class and offsets that each anchor is to predict.

    Args:
      labels: [B, N, ...], pixels of the network input; N is static, and may be 0.
      matches: Of these labels, from `ops.matching.match_anchors`.
      anchors_yxyx: [A, 4] float32, pixels.
      num_classes: K.

    Returns:
      Targets; `weights` is None, which is 1 for all, if N is 0.
    """
    is_positive = matches.is_positive
    num_positives = tf.reduce_sum(tf.cast(is_positive, tf.float32))
    if labels.boxes_yxyx.shape[1] == 0:
        nothing = tf.zeros_like(is_positive, tf.float32)[..., None]
        return Targets(
            class_targets=tf.cast(nothing * tf.zeros([num_classes]), tf.bool),
            offset_targets=nothing * tf.zeros([4]),
            weights=None,
            num_positives=num_positives,
        )
    index = matches.box_index
    class_ids = tf.gather(labels.class_ids, index, batch_dims=1)
    class_ids = tf.where(is_positive, class_ids, -1)
    matched = tf.gather(labels.boxes_yxyx, index, batch_dims=1)
    weights = tf.gather(labels.weights, index, batch_dims=1)
    return Targets(
        class_targets=class_ids[..., None] == tf.range(num_classes),
        offset_targets=encode_boxes(matched, anchors_yxyx),
        weights=tf.where(is_positive, weights, 1.0),
        num_positives=num_positives,
    )
