"""Rectangles of a picture that are painted over."""

import tensorflow as tf

from st_keras.ops import boxes as box_ops


def square(center_yx, half_side, size_px) -> tf.Tensor:
    """Returns [4] float32, the part of a square that lies in the picture."""
    center = tf.floor(center_yx)
    whole = tf.concat([center - half_side, center + half_side], 0)
    return box_ops.clip_to_window(whole, size_px)


def part_of_box(box_yxyx, center_yx, share, size_px) -> tf.Tensor:
    """Returns [4] float32, a rectangle as long and as wide as a share of a box.

    Args:
      box_yxyx: [4] float32.
      center_yx: [2] float32 in [0, 1), the rectangle's centre within the box.
      share: [] float32 in [0, 1].
      size_px: [2] float32, of the picture.
    """
    side = box_yxyx[2:] - box_yxyx[:2]
    center = tf.floor(box_yxyx[:2] + center_yx * side)
    half = tf.floor(share * side / 2)
    return box_ops.clip_to_window(tf.concat([center - half, center + half], 0), size_px)


def paint_over(pixels: tf.Tensor, cuts_yxyx: tf.Tensor, fill: int) -> tf.Tensor:
    """Returns the pixels with rectangles of one value.

    Args:
      pixels: [H, W, C] uint8.
      cuts_yxyx: [K, 4] float32 in whole pixels; empty ones paint nothing.
      fill: From 0 to 255.
    """
    height, width, channels = tf.unstack(tf.shape(pixels))
    rows = tf.reshape(pixels, [height, width * channels])
    y = tf.range(height, dtype=tf.float32)
    x = tf.cast(tf.range(width * channels) // channels, tf.float32)
    for cut in tf.unstack(cuts_yxyx):
        in_rows = tf.cast((y >= cut[0]) & (y < cut[2]), tf.uint8)
        in_columns = tf.cast((x >= cut[1]) & (x < cut[3]), tf.uint8)
        # By arithmetic: choosing between two bytes is slower on a host.
        is_cut = in_rows[:, None] * in_columns[None, :]
        rows = rows * (1 - is_cut) + tf.cast(fill, tf.uint8) * is_cut
    return tf.reshape(rows, tf.shape(pixels))


def covered_share(boxes_yxyx: tf.Tensor, cuts_yxyx: tf.Tensor) -> tf.Tensor:
    """Returns [N] float32, at most 1: how much of each box is painted over.

    Where rectangles overlap, the overlap counts twice.

    Args:
      boxes_yxyx: [N, 4] float32.
      cuts_yxyx: [K, 4] float32, in the same pixels.
    """
    low = tf.maximum(boxes_yxyx[:, None, :2], cuts_yxyx[None, :, :2])
    high = tf.minimum(boxes_yxyx[:, None, 2:], cuts_yxyx[None, :, 2:])
    overlap = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    covered = tf.reduce_sum(overlap, axis=1)
    return tf.minimum(tf.math.divide_no_nan(covered, box_ops.area(boxes_yxyx)), 1.0)
