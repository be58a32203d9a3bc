"""Rectangles of a picture that are painted over."""

import functools
from collections.abc import Callable

import tensorflow as tf

from st_keras.ops import boxes as box_ops


def square(center_yx, half_side, size_px) -> tf.Tensor:
    """Returns the part of squares that lies in the picture.

    Args:
      center_yx: [..., 2] float32.
      half_side: [...] float32, whole pixels.
      size_px: [2] float32, of the picture.

    Returns:
      [..., 4] float32.
    """
    return _around(tf.floor(center_yx), half_side[..., None], size_px)


def part_of_box(box_yxyx, center_yx, share, size_px) -> tf.Tensor:
    """Returns rectangles whose sides are a share of a box's sides.

    Args:
      box_yxyx: [..., 4] float32.
      center_yx: [..., 2] float32 in [0, 1), the rectangle's centre within the box.
      share: [...] float32 in [0, 1].
      size_px: [2] float32, of the picture.

    Returns:
      [..., 4] float32.
    """
    side = box_yxyx[..., 2:] - box_yxyx[..., :2]
    center = tf.floor(box_yxyx[..., :2] + center_yx * side)
    return _around(center, tf.floor(share[..., None] * side / 2), size_px)


def paint_over(pixels: tf.Tensor, cuts_yxyx: tf.Tensor, fill: int) -> tf.Tensor:
    """Returns the pixels with rectangles of one value.

    Args:
      pixels: [H, W, C] uint8.
      cuts_yxyx: [K, 4] float32 in whole pixels, inside of the image; empty ones paint
        nothing.
      fill: From 0 to 255.
    """
    shape = pixels.shape
    for cut in tf.unstack(tf.cast(cuts_yxyx, tf.int32)):
        is_there = tf.reduce_all(cut[2:] > cut[:2])
        paint = functools.partial(_paint, pixels, cut, fill)
        pixels = tf.cond(is_there, paint, functools.partial(tf.identity, pixels))
    return tf.ensure_shape(pixels, shape)


def put(pixels: tf.Tensor, content: tf.Tensor, window_yxyx: tf.Tensor) -> tf.Tensor:
    """Returns the pixels with one window replaced.

    Args:
      pixels: [H, W, C].
      content: [h, w, C], as large as the window.
      window_yxyx: [4] int32, inside of the pixels.
    """
    y0, x0, y1, x1 = tf.unstack(window_yxyx)
    middle = tf.concat([pixels[y0:y1, :x0], content, pixels[y0:y1, x1:]], axis=1)
    return tf.concat([pixels[:y0], middle, pixels[y1:]], axis=0)


def _around(center_yx, half, size_px) -> tf.Tensor:
    whole = tf.concat([center_yx - half, center_yx + half], -1)
    return box_ops.clip_to_window(whole, size_px)


def _paint(pixels, cut, fill) -> tf.Tensor:
    shape = tf.concat([cut[2:] - cut[:2], tf.shape(pixels)[2:]], 0)
    return put(pixels, tf.fill(shape, tf.cast(fill, tf.uint8)), cut)


def covered_share(
    boxes_yxyx: tf.Tensor,
    cuts_yxyx: tf.Tensor,
    area: Callable[[tf.Tensor], tf.Tensor] = box_ops.area,
) -> tf.Tensor:
    """Returns [N] float32, at most 1: how much of each box is painted over.

    Where rectangles overlap, the overlap counts twice.

    Args:
      boxes_yxyx: [N, 4] float32.
      cuts_yxyx: [K, 4] float32, in the same pixels.
      area: Takes [..., 4] boxes and returns [...], what of each counts; 0 of a box
        without area.
    """
    low = tf.maximum(boxes_yxyx[:, None, :2], cuts_yxyx[None, :, :2])
    high = tf.minimum(boxes_yxyx[:, None, 2:], cuts_yxyx[None, :, 2:])
    overlaps = tf.concat([low, tf.maximum(low, high)], axis=-1)
    covered = tf.reduce_sum(area(overlaps), axis=1)
    return tf.minimum(tf.math.divide_no_nan(covered, area(boxes_yxyx)), 1.0)
