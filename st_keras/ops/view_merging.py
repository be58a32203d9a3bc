"""Merges a network's logits for views of a picture into one map of its size.

Memory is bounded: the picture's map is made tile by tile, and only one tile at a time
holds a number for every class.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from st_keras.ops import host_xla
from st_keras.types import LabelMap, View

TILE_PX = 512
# For a single view, compiled shapes are multiples of `_STEP_PX` in height and width,
# with at most `_TOGETHER` classes: pictures of all sizes share a few programs, each
# compiled in a second.
_STEP_PX = 128
_TOGETHER = 8
_NEVER = -1e30  # A logit; the difference of two infinite ones would be NaN.


def merge(
    logits: list[np.ndarray],
    views: list[View],
    *,
    view_size_px: tuple[int, int],
    legacy: bool = False,
    tile_px: int = TILE_PX,
) -> LabelMap:
    """Returns the most probable class of every pixel of a picture.

    Logits are interpolated to the picture's own pixels and become probabilities there.
    Where tiles of one size overlap, each weighs by the distance to its edge, so that
    there is no seam. Then every size, mirrored or not, weighs the same.

    Args:
      logits: Of each view [h, w, K] float32.
      views: NumPy, of one picture; their images are not used.
      view_size_px: Height and width of the views.
      legacy: A cell of the logits lies on its first pixel, not on its middle.
      tile_px: Side of the tiles of the picture.

    Returns:
      Arrays [H, W]; the confidence is the mean probability, rounded to 1/255.
    """
    height, width = (int(side) for side in views[0].picture_size_px)
    placed = _place(logits, views, view_size_px, legacy)
    groups = len({place.group for place in placed})
    class_ids = np.empty([height, width], np.uint8)
    confidences = np.empty([height, width], np.uint8)
    num_classes = logits[0].shape[-1]
    with tf.device("cpu:0"):
        for top in range(0, height, tile_px):
            for left in range(0, width, tile_px):
                rows = slice(top, min(top + tile_px, height))
                columns = slice(left, min(left + tile_px, width))
                if len(placed) == 1:  # Then it alone decides on every pixel.
                    ids, shares = _read_one(placed[0], rows, columns)
                else:
                    shape = [rows.stop - top, columns.stop - left, num_classes]
                    total = tf.zeros(shape)
                    for place in placed:
                        total = _add(total, place, rows, columns)
                    ids, shares = _best(total, tf.constant(1.0 / groups))
                class_ids[rows, columns] = ids
                confidences[rows, columns] = shares
    return LabelMap(class_ids, confidences)


class _Axis(NamedTuple):
    """One axis of a view, with a value for each pixel of the picture that it sees."""

    start: int  # The first of these pixels.
    cells: np.ndarray  # [n] float32, where the pixel is, in cells.
    weights: np.ndarray  # [n] float32 in (0, 1]; tiles of a size add up to 1.


class _Place(NamedTuple):
    logits: tf.Tensor
    rows: _Axis
    columns: _Axis
    group: tuple  # Equal for tiles of one size, mirrored or not.


def _place(logits, views, view_size_px, legacy) -> list[_Place]:
    groups: dict[tuple, list[int]] = {}
    for number, view in enumerate(views):
        key = (*np.asarray(view.scale_yx).tolist(), bool(view.is_mirrored))
        groups.setdefault(key, []).append(number)
    placed = []
    for key, numbers in groups.items():
        members = [views[number] for number in numbers]
        weights = [_weights(members, axis, view_size_px[axis]) for axis in (0, 1)]
        # Two scales may round to one size: then every tile is there twice.
        places = {tuple(np.asarray(view.offset_yx).tolist()) for view in members}
        weights[0] = {
            offset: of_rows * len(places) / len(members)
            for offset, of_rows in weights[0].items()
        }
        for number, view in zip(numbers, members, strict=True):
            cells = logits[number][:, ::-1] if view.is_mirrored else logits[number]
            own = [weights[axis][float(view.offset_yx[axis])] for axis in (0, 1)]
            if not all(of_axis.any() for of_axis in own):
                continue  # Of few pixels, none has its centre in this tile.
            axes = [
                _axis(
                    view,
                    axis,
                    stride=view_size_px[axis] / cells.shape[axis],
                    count=cells.shape[axis],
                    weights=own[axis],
                    legacy=legacy,
                )
                for axis in (0, 1)
            ]
            placed.append(_Place(tf.constant(cells, tf.float32), *axes, key))
    return placed


def _weights(members: list[View], axis: int, view_px: int) -> dict[float, np.ndarray]:
    """Returns by offset the weight of each of the picture's pixels."""
    view = members[0]
    positions = _positions(view, axis)
    offsets = sorted({float(member.offset_yx[axis]) for member in members})
    # In pixels of the scaled picture; under one at the outermost pixels.
    to_edge = np.stack(
        [np.minimum(positions - at, at + view_px - positions) for at in offsets]
    )
    to_edge = np.maximum(to_edge, 0.0)
    total = to_edge.sum(axis=0)
    # Rounding can leave the last pixel a hair outside of every tile.
    nearest = np.abs(to_edge - to_edge.max(axis=0)) == 0.0
    to_edge = np.where(total > 0.0, to_edge, nearest)
    return dict(zip(offsets, to_edge / to_edge.sum(axis=0), strict=True))


def _positions(view: View, axis: int) -> np.ndarray:
    """Returns the centres of the picture's pixels, in pixels of the scaled picture."""
    count = int(view.picture_size_px[axis])
    return (np.arange(count) + 0.5) * float(view.scale_yx[axis])


def _axis(view, axis, *, stride, count, weights, legacy) -> _Axis:
    (seen,) = np.nonzero(weights > 0.0)
    start, stop = int(seen[0]), int(seen[-1]) + 1
    positions = _positions(view, axis)[start:stop] - float(view.offset_yx[axis])
    first = stride / 2  # Where the middle of the first cell lies.
    if legacy:
        is_turned = axis == 1 and bool(view.is_mirrored)
        first = stride - 0.5 if is_turned else 0.5
    # Cells beyond the picture see only the grey beside it.
    end = int(view.picture_size_px[axis]) * float(view.scale_yx[axis])
    last = math.floor((end - float(view.offset_yx[axis]) - first) / stride)
    cells = (positions - first) / stride
    cells = np.clip(cells, 0.0, min(max(last, 0), count - 1))
    return _Axis(start, cells.astype(np.float32), weights[start:stop].astype("float32"))


def _add(total: tf.Tensor, place: _Place, rows: slice, columns: slice) -> tf.Tensor:
    """Returns a tile's sum plus the weighted probabilities of a view's part of it."""
    inside = []
    for axis, tile in ((place.rows, rows), (place.columns, columns)):
        low = max(axis.start, tile.start)
        high = min(axis.start + len(axis.cells), tile.stop)
        if low >= high:
            return total
        own = slice(low - axis.start, high - axis.start)
        around = [low - tile.start, tile.stop - high]
        inside += [axis.cells[own], axis.weights[own], around]
    return _add_part(total, place.logits, *(tf.constant(part) for part in inside))


def _read_one(
    place: _Place, rows: slice, columns: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what `_best` would return for the sum of this one view.

    Takes a few classes at a time, vectorised over pixels: a third of the time that
    softmax, maximum and argmax over the last axis take.
    """
    in_rows = _between(place.logits, _filled_up(place.rows.cells[rows]), 0)
    cells = _filled_up(place.columns.cells[columns])
    num_classes = place.logits.shape[-1]
    together = math.ceil(num_classes / math.ceil(num_classes / _TOGETHER))
    # Dummy classes, so that all groups of classes are of one size.
    missing = [[0, 0], [0, 0], [0, -num_classes % together]]
    in_rows = tf.pad(in_rows, missing, constant_values=_NEVER)
    shape = [in_rows.shape[0], cells.shape[0]]
    top, ids, total = tf.fill(shape, _NEVER), tf.zeros(shape, tf.int32), tf.zeros(shape)
    look_at = _LOOKS[host_xla.is_allowed()]
    for first in range(0, num_classes, together):
        some = in_rows[..., first : first + together]
        top, ids, total = look_at(some, cells, tf.constant(first), top, ids, total)
    # The best one's exp(0) over the sum of all.
    shares = np.round(255.0 / total.numpy())
    inside = np.s_[: rows.stop - rows.start, : columns.stop - columns.start]
    return ids.numpy()[inside].astype(np.uint8), shares[inside].astype(np.uint8)


def _filled_up(cells: np.ndarray) -> tf.Tensor:
    """Returns positions, filled up with the last one to a multiple of `_STEP_PX`."""
    return tf.constant(np.pad(cells, (0, -len(cells) % _STEP_PX), mode="edge"))


def _look_at(logits, columns, first, top, ids, total):
    """Returns each pixel's highest logit, its class, and the sum of exp(logit - top).

    Args:
      logits: [H, w, K] of some classes.
      columns: [W] float32, where pixels are in cells.
      first: Id of the first of the classes.
      top: [H, W], of the classes before, as are `ids` and `total`.
    """
    by_class = tf.unstack(tf.transpose(logits, [2, 0, 1]))
    values = [_between(one, columns, 1) for one in by_class]
    before = top
    for number, value in enumerate(values):
        ids = tf.where(value > top, first + number, ids)
        top = tf.maximum(top, value)
    total *= tf.exp(before - top)
    return top, ids, total + tf.add_n([tf.exp(value - top) for value in values])


_LOOKS = {
    compiled: tf.function(_look_at, jit_compile=compiled, autograph=False)
    for compiled in (False, True)
}


@tf.function(reduce_retracing=True)
def _add_part(total, logits, rows, row_weights, above, columns, column_weights, left):
    part = _between(_between(logits, rows, 0), columns, 1)
    weights = row_weights[:, None] * column_weights
    part = tf.nn.softmax(part) * weights[..., None]
    return total + tf.pad(part, tf.stack([above, left, tf.zeros([2], tf.int32)]))


def _between(values: tf.Tensor, cells: tf.Tensor, axis: int) -> tf.Tensor:
    """Returns values interpolated along an axis at [n] positions inside of it."""
    low = tf.cast(cells, tf.int32)
    high = tf.minimum(low + 1, tf.shape(values)[axis] - 1)
    shape = [1] * len(values.shape)
    shape[axis] = -1
    share = tf.reshape(cells - tf.cast(low, tf.float32), shape)
    below = tf.gather(values, low, axis=axis)
    return below + (tf.gather(values, high, axis=axis) - below) * share


@tf.function(reduce_retracing=True)
def _best(total: tf.Tensor, factor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    shares = tf.reduce_max(total, axis=-1) * factor
    ids = tf.argmax(total, axis=-1, output_type=tf.int32)
    return tf.cast(ids, tf.uint8), tf.cast(tf.round(shares * 255.0), tf.uint8)
