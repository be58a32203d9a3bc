"""What is seen of a box after a move."""

import functools

import tensorflow as tf

from st_keras.data.augment import cuts, geometry
from st_keras.data.augment.geometry import Geometry
from st_keras.ops import boxes as box_ops
from st_keras.types import Boxes

_WHOLE = 1.0 - 1e-4  # The float32 share of a box that is seen as a whole, at least.
_NOTHING = 1e-5  # A share that is a rounding error.
_CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0))  # Round a unit square.


def move_boxes(
    boxes_yxyx: tf.Tensor, matrix: tf.Tensor, target_size_px: tuple[int, int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Moves boxes with their pixels and cuts them at the edges of the target.

    A box that is turned or sheared becomes a parallelogram; the result is the smallest
    box around its visible part. (The smallest box around all of it, cut at the edges,
    can be much larger.)

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
    shape = _moved_corners(boxes_yxyx, matrix)
    size = tf.constant(target_size_px, tf.float32)
    window = tf.constant(_CORNERS) * size
    window_in_box = geometry.apply(geometry.inverse(matrix), window) - low
    window_in_box = tf.math.divide_no_nan(window_in_box, side)
    window = tf.broadcast_to(window, tf.shape(shape))
    # Its corners are on the box's sides inside the target, and on the target's edges
    # inside the box.
    points, is_there = [], []
    for corners, in_unit_square in ((shape, shape / size), (window, window_in_box)):
        first, last, crosses = _inside_unit_square(in_unit_square)
        way = tf.roll(corners, -1, axis=1) - corners
        points += [corners + first[..., None] * way, corners + last[..., None] * way]
        is_there += [crosses, crosses]
    points = tf.concat(points, axis=1)
    is_there = tf.concat(is_there, axis=1)[..., None]
    around = tf.concat(
        [
            tf.reduce_min(tf.where(is_there, points, points.dtype.max), axis=1),
            tf.reduce_max(tf.where(is_there, points, points.dtype.min), axis=1),
        ],
        axis=-1,
    )
    around = box_ops.clip_to_window(around, size)
    determinant = matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0]
    whole = box_ops.area(boxes_yxyx) * tf.abs(determinant)
    share = tf.math.divide_no_nan(_area_inside(shape, size), whole)
    share = tf.where(share > _NOTHING, tf.minimum(share, 1.0), 0.0)
    return tf.where(share[:, None] > 0.0, around, 0.0), share


def move_labels(
    labels: Boxes,
    shown: Geometry,
    target_size_px: tuple[int, int],
    *,
    min_visible_share: float,
    cuts_yxyx: tf.Tensor | None = None,
) -> Boxes:
    """Moves boxes with their pixels and drops those that are hardly seen.

    Args:
      labels: [N, ...] in pixels of the original.
      shown: How the original is shown.
      target_size_px: Height and width of the network's input.
      min_visible_share: Boxes that show less of their area are dropped; so are all
        that show nothing.
      cuts_yxyx: [K, 4] float32, what is painted over, in pixels of the original.

    Returns:
      Labels with at most N rows, in pixels of the target, inside it.
    """
    moved, share = move_boxes(labels.boxes_yxyx, shown.matrix, target_size_px)
    if cuts_yxyx is not None:
        # Of what is in view: paint beside it hides nothing more.
        seen = functools.partial(
            _seen_area, matrix=shown.matrix, target_size_px=target_size_px
        )
        share *= 1.0 - cuts.covered_share(labels.boxes_yxyx, cuts_yxyx, seen)
    enough = share >= min(min_visible_share, _WHOLE)
    stays = tf.logical_and(share > _NOTHING, enough)
    return keep_rows(labels._replace(boxes_yxyx=moved), stays)


def keep_rows(labels: Boxes, stays: tf.Tensor) -> Boxes:
    """Returns the rows of [N, ...] labels where [N] bool is True."""
    rows = tf.where(stays)[:, 0]
    return Boxes(*(tf.gather(field, rows) for field in labels))


def _moved_corners(boxes_yxyx: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Returns [N, 4, 2], where a map takes the corners of boxes."""
    low, side = tf.split(boxes_yxyx[:, None, :], 2, axis=-1)
    return geometry.apply(matrix, low + tf.constant(_CORNERS) * (side - low))


def _seen_area(
    boxes_yxyx: tf.Tensor, matrix: tf.Tensor, target_size_px: tuple[int, int]
) -> tf.Tensor:
    """Returns [...], how much the target shows of [..., 4] boxes, in its pixels."""
    flat = tf.reshape(boxes_yxyx, [-1, 4])
    size = tf.constant(target_size_px, tf.float32)
    seen = _area_inside(_moved_corners(flat, matrix), size)
    # Of a line, the sum of its two sides is only nearly 0.
    seen = tf.where(box_ops.area(flat) > 0.0, seen, 0.0)
    return tf.reshape(seen, tf.shape(boxes_yxyx)[:-1])


def _inside_unit_square(corners: tf.Tensor):
    """Returns where the sides of [N, 4, 2] polygons enter and leave the unit square.

    Both are shares of each side's length, [N, 4] each; the third result is whether any
    part of the side is inside. Outside by a rounding error counts as inside.
    """
    way = tf.roll(corners, -1, axis=1) - corners
    runs_along = tf.abs(way) < _NOTHING
    safe = tf.where(runs_along, 1.0, way)
    at_0, at_1 = -corners / safe, (1.0 - corners) / safe
    first = tf.where(runs_along, 0.0, tf.minimum(at_0, at_1))
    last = tf.where(runs_along, 1.0, tf.maximum(at_0, at_1))
    first = tf.maximum(tf.reduce_max(first, axis=-1), 0.0)
    last = tf.minimum(tf.reduce_min(last, axis=-1), 1.0)
    between = tf.logical_and(corners >= -_NOTHING, corners <= 1.0 + _NOTHING)
    between = tf.reduce_all(tf.logical_or(between, ~runs_along), axis=-1)
    return first, last, tf.logical_and(between, first <= last)


def _area_inside(corners: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns [N], how much of [N, 4, 2] polygons lies in [0, size].

    The integral of x dy around the polygon, with y and x clipped to the target: a side
    along an edge, or just beside it, changes little. A side is cut into three pieces
    that stay straight when clipped, and no small area is the difference of two large
    numbers.
    """
    way = tf.roll(corners, -1, axis=1) - corners
    runs_along = tf.abs(way) < 1e-6
    safe = tf.where(runs_along, 1.0, way)
    at_low = tf.where(runs_along, 0.0, -corners / safe)
    at_high = tf.where(runs_along, 1.0, (size - corners) / safe)
    enters, leaves = tf.minimum(at_low, at_high), tf.maximum(at_low, at_high)
    first = tf.clip_by_value(enters[..., 0], 0.0, 1.0)
    last = tf.maximum(first, tf.clip_by_value(leaves[..., 0], 0.0, 1.0))
    stops = [
        first,
        tf.clip_by_value(enters[..., 1], first, last),
        tf.clip_by_value(leaves[..., 1], first, last),
        last,
    ]
    points = corners[:, :, None] + tf.stack(stops, -1)[..., None] * way[:, :, None]
    y, x = tf.unstack(tf.clip_by_value(points, 0.0, size), axis=-1)
    middle = (x[..., 1:] + x[..., :-1]) / 2
    return tf.abs(tf.reduce_sum(middle * (y[..., 1:] - y[..., :-1]), axis=[1, 2]))
