"""Moves pixels on a canvas of fixed size, in operations that compile with XLA.

Does inside a training step what `warp` does on the host. The picture lies in a window
of the canvas.
"""

import tensorflow as tf

from st_keras.data.augment import geometry as maps
from st_keras.data.augment.pixels import inside_window


def warp(
    pixels: tf.Tensor,
    matrix: tf.Tensor,
    window_yxyx: tf.Tensor,
    target_size_px: tuple[int, int],
    *,
    fill: int,
) -> tf.Tensor:
    """Returns a picture under a map, bilinear.

    Args:
      pixels: [H, W, C] uint8, the canvas; static shape.
      matrix: [2, 3] float32 map from the canvas to the target.
      window_yxyx: [4] int32, the picture on the canvas.
      target_size_px: Height and width of the result.
      fill: What is outside of the picture, from 0 to 255.

    Returns:
      [*target_size_px, C] uint8.
    """
    height, width, channels = pixels.shape
    flat = tf.reshape(pixels, [height * width, channels])
    top_px, left_px, bottom_px, right_px = tf.unstack(window_yxyx)
    back = maps.inverse(matrix)
    target_y = tf.range(target_size_px[0], dtype=tf.float32)[:, None] + 0.5
    target_x = tf.range(target_size_px[1], dtype=tf.float32)[None, :] + 0.5
    # Pixel i has its centre at i + 0.5.
    y = back[0, 0] * target_y + back[0, 1] * target_x + back[0, 2] - 0.5
    x = back[1, 0] * target_y + back[1, 1] * target_x + back[1, 2] - 0.5
    top, left = tf.floor(y), tf.floor(x)
    down, right = (y - top)[..., None], (x - left)[..., None]

    def take(row, column):
        row, column = tf.cast(row, tf.int32), tf.cast(column, tf.int32)
        inside = (row >= top_px) & (row < bottom_px)
        inside &= (column >= left_px) & (column < right_px)
        index = tf.where(inside, row * width + column, 0)
        return tf.where(
            inside[..., None], tf.gather(flat, index), tf.cast(fill, tf.uint8)
        )

    def between(row):
        first = tf.cast(take(row, left), tf.float32)
        return first + right * (tf.cast(take(row, left + 1), tf.float32) - first)

    upper = between(top)
    value = upper + down * (between(top + 1) - upper)
    return tf.cast(value + 0.5, tf.uint8)


def paint_over(image: tf.Tensor, cuts_yxyx: tf.Tensor, *, fill: int) -> tf.Tensor:
    """Returns the canvas with rectangles of one value.

    Args:
      image: [H, W, C] uint8.
      cuts_yxyx: [K, 4] float32 in whole pixels; empty ones paint nothing.
      fill: From 0 to 255.
    """
    is_cut = tf.zeros([*image.shape[:2], 1], tf.bool)
    for cut in tf.unstack(tf.cast(cuts_yxyx, tf.int32)):
        is_cut |= inside_window(image, cut)
    return tf.where(is_cut, tf.cast(fill, tf.uint8), image)


def within(
    image: tf.Tensor, matrix: tf.Tensor, window_yxyx: tf.Tensor, *, fill: int
) -> tf.Tensor:
    """Returns a canvas with one window moved inside its own edges.

    Args:
      image: [H, W, 3] uint8.
      matrix: [2, 3] float32 map from pixels of the window to pixels of the window.
      window_yxyx: [4] int32.
      fill: Inside the window, where it was moved away from.
    """
    corner = tf.cast(window_yxyx[:2], tf.float32)
    # There and back: the window's corner is the origin of its pixels.
    offset = corner + matrix[:, 2] - tf.reduce_sum(matrix[:, :2] * corner, axis=1)
    on_canvas = tf.concat([matrix[:, :2], offset[:, None]], axis=1)
    size = (image.shape[0], image.shape[1])
    moved = warp(image, on_canvas, window_yxyx, size, fill=fill)
    return tf.where(inside_window(image, window_yxyx), moved, image)
