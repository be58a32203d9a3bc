"""Overlaps of boxes."""

import tensorflow as tf


def pairwise_iou(boxes_yxyx: tf.Tensor, others_yxyx: tf.Tensor) -> tf.Tensor:
    """Returns the overlap of every box with every other, intersection over union.

    A box without area, such as a padding row, overlaps nothing: 0, never NaN.

    Args:
      boxes_yxyx: [..., A, 4] float32.
      others_yxyx: [..., N, 4] float32, in the same unit.

    Returns:
      [..., A, N] float32 in [0, 1].
    """
    first = [boxes_yxyx[..., :, None, i] for i in range(4)]
    second = [others_yxyx[..., None, :, i] for i in range(4)]
    height = tf.minimum(first[2], second[2]) - tf.maximum(first[0], second[0])
    width = tf.minimum(first[3], second[3]) - tf.maximum(first[1], second[1])
    intersection = tf.maximum(height, 0.0) * tf.maximum(width, 0.0)
    first_area = (first[2] - first[0]) * (first[3] - first[1])
    second_area = (second[2] - second[0]) * (second[3] - second[1])
    union = first_area + second_area - intersection
    return tf.math.divide_no_nan(intersection, union)


def clip_to_window(boxes_yxyx: tf.Tensor, size_px: tf.Tensor) -> tf.Tensor:
    """Cuts boxes at the edges of an image.

    Args:
      boxes_yxyx: [..., 4] float32, pixels.
      size_px: [..., 2] height and width, broadcast against the boxes' leading axes.

    Returns:
      [..., 4] float32; a box wholly outside has a height or width of 0.
    """
    size = tf.cast(size_px, boxes_yxyx.dtype)
    limit = tf.concat([size, size], axis=-1)
    return tf.maximum(tf.minimum(boxes_yxyx, limit), 0.0)


def area(boxes_yxyx: tf.Tensor) -> tf.Tensor:
    """Returns [...] height times width, square pixels, of [..., 4] boxes."""
    return (boxes_yxyx[..., 2] - boxes_yxyx[..., 0]) * (
        boxes_yxyx[..., 3] - boxes_yxyx[..., 1]
    )
