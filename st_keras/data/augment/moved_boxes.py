"""What is seen of a box after a move."""

import tensorflow as tf

from st_keras.data.augment import geometry
from st_keras.ops import boxes as box_ops

_CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0))  # Round a unit square.


def move_boxes(
    boxes_yxyx: tf.Tensor, matrix: tf.Tensor, target_size_px: tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Moves boxes with their pixels and cuts them at the edges of the target.

    A box that is turned or sheared becomes a parallelogram; what is returned is the
    smallest box around the part of it that is seen. (The smallest box around all of
    it, cut at the edges, can be much larger.)

    Args:
      boxes_yxyx: [N, 4] float32 in pixels of the original.
      matrix: [2, 3] float32 map from the original to the target.
      target_size_px: Height and width of the target.

    Returns:
      [N, 4] float32 boxes in pixels of the target, zeros where nothing is seen, and
      [N] float32, the share of each box's area that is seen; 0 of a box without area.
    """
    low, side = tf.split(boxes_yxyx[:, None, :], 2, axis=-1)
    side -= low
    shape = _apply(matrix, low + tf.constant(_CORNERS) * side)
    size = tf.constant(target_size_px, tf.float32)
    window = tf.constant(_CORNERS) * size
    window_in_box = _apply(geometry.inverse(matrix), window) - low
    window_in_box = tf.math.divide_no_nan(window_in_box, side)
    window = tf.broadcast_to(window, tf.shape(shape))
    # Around what is seen run the box's sides, where they are inside the target, and
    # the target's edges, where they are inside the box. An edge along a side must
    # count once, so there the box is without its border.
    starts, ends, is_there = [], [], []
    for corners, in_unit_square, with_border in (
        (shape, shape / size, True),
        (window, window_in_box, False),
    ):
        first, last, crosses = _inside_unit_square(in_unit_square, with_border)
        way = tf.roll(corners, -1, axis=1) - corners
        starts.append(corners + first[..., None] * way)
        ends.append(corners + last[..., None] * way)
        is_there.append(crosses)
    starts, ends = tf.concat(starts, 1), tf.concat(ends, 1)
    determinant = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    whole = box_ops.area(boxes_yxyx) * tf.abs(determinant)
    # A mirrored box is run around the other way.
    turns = tf.concat([tf.fill([4], tf.sign(determinant)), tf.ones([4])], axis=0)
    twice = starts[..., 0] * ends[..., 1] - starts[..., 1] * ends[..., 0]
    twice = tf.where(tf.concat(is_there, 1), twice * turns, 0.0)
    seen = tf.abs(tf.reduce_sum(twice, axis=1)) / 2
    share = tf.minimum(tf.math.divide_no_nan(seen, whole), 1.0)
    points = tf.concat([starts, ends], axis=1)
    counts = tf.concat([*is_there, *is_there], axis=1)[..., None]
    around = tf.concat(
        [
            tf.reduce_min(tf.where(counts, points, points.dtype.max), axis=1),
            tf.reduce_max(tf.where(counts, points, points.dtype.min), axis=1),
        ],
        axis=-1,
    )
    around = box_ops.clip_to_window(around, size)
    return tf.where(share[:, None] > 0.0, around, 0.0), share


def _apply(matrix: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    return tf.einsum("...ci,ji->...cj", points, matrix[:, :2]) + matrix[:, 2]


def _inside_unit_square(corners: tf.Tensor, with_border: bool):
    """Returns where the sides of [N, 4, 2] polygons enter and leave the unit square.

    As shares of each side's way, [N, 4] each, and whether there is any such part.
    """
    way = tf.roll(corners, -1, axis=1) - corners
    runs_along = tf.abs(way) < 1e-7
    safe = tf.where(runs_along, 1.0, way)
    at_0, at_1 = -corners / safe, (1.0 - corners) / safe
    first = tf.where(runs_along, 0.0, tf.minimum(at_0, at_1))
    last = tf.where(runs_along, 1.0, tf.maximum(at_0, at_1))
    first = tf.maximum(tf.reduce_max(first, axis=-1), 0.0)
    last = tf.minimum(tf.reduce_min(last, axis=-1), 1.0)
    if with_border:
        between = tf.logical_and(corners >= 0.0, corners <= 1.0)
    else:
        between = tf.logical_and(corners > 0.0, corners < 1.0)
    between = tf.reduce_all(tf.logical_or(between, ~runs_along), axis=-1)
    return first, last, tf.logical_and(between, first < last)
