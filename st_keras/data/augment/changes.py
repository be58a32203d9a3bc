"""What is done to one picture: all is sampled here, and only carried out elsewhere.

So the host can decide and an accelerator execute, and a change can be repeated.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from st_keras.data.augment import cuts, geometry, operations
from st_keras.data.augment.box_contents import BoxContents
from st_keras.data.augment.geometry import Geometry
from st_keras.data.augment.operations import Menu
from st_keras.ops import boxes

REFERENCE_SIDE_PX = 640.0  # Of the pictures the published lengths are made for.
LENGTHS = tuple(
    name for name in operations.NAMES if name.startswith(("Translate", "Cutout"))
)
_SIGNED = (
    *operations.MOVES,
    *(f"{name}{operations.IN_BOXES}" for name in operations.MOVES),
)
COLOR_JITTER = ("Brightness", "Contrast", "Color")  # After the menu, in this order.
_BOX_SHARE = 1 / 3  # The authors change each box with a third of the probability.


class Changes(NamedTuple):
    """K operations on one picture, and how it is shown after them.

    Cuts and contents of boxes come from the menu alone.
    """

    # [K] int32, index in `operations.NAMES`; the menu's, then `COLOR_JITTER`.
    operations: Any
    arguments: Any  # [K] float32.
    cuts_yxyx: Any  # [K, 4] float32, pixels of the picture; zeros cut nothing.
    contents: Any  # BoxContents with a leading K; () where the policy has none.
    geometry: Geometry
    window_yxyx: Any  # [4] int32, where the picture lies in what is changed.


def sample(
    menu: Menu,
    size_px: tf.Tensor,
    boxes_yxyx: tf.Tensor,
    jitter: tf.Tensor,
    target_size_px: tuple[int, int],
    seed: tf.Tensor,
    *,
    color_strength: float,
    authors_quirks: bool,
) -> Changes:
    """Samples what is done to a picture.

    Args:
      menu: What to sample from.
      size_px: [2] int32 height and width of the picture.
      boxes_yxyx: [N, 4] float32, its boxes; none is legal, and so are rows without
        area, as padding has.
      jitter: [2, 3] float32 map to the target if the menu moves nothing.
      target_size_px: Height and width of the network's input.
      seed: [2] int32 or int64.
      color_strength: Brightness, contrast and saturation are each multiplied by a
        factor from [1 - strength, 1 + strength), besides what the menu does.
      authors_quirks: Lengths are in pixels whatever the picture's size, and other
        numbers as in the authors' code; otherwise lengths grow with the picture.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 6))
    size = tf.cast(size_px, tf.float32)
    # Of a box that reaches out of the picture, what is there can be changed.
    boxes_yxyx = boxes.clip_to_window(boxes_yxyx, size)
    unit = 1.0 if authors_quirks else tf.reduce_max(size) / REFERENCE_SIDE_PX
    ids, probabilities, arguments = _sample_rows(menu, seeds[0], authors_quirks)
    slots = menu.slots
    in_boxes = is_one_of(ids, operations.BOX_CONTENTS)
    happens = tf.random.stateless_uniform([slots], seeds[1]) < probabilities
    ids = tf.where(in_boxes | happens, ids, 0)
    arguments = tf.where(is_one_of(ids, LENGTHS), arguments * unit, arguments)
    arguments = tf.where(
        is_one_of(ids, operations.MOVES),
        arguments * _signs([slots], seeds[2]),
        arguments,
    )
    contents = ()
    if not menu.operations.isdisjoint(operations.BOX_CONTENTS):
        chances = tf.where(in_boxes, probabilities * _BOX_SHARE, 0.0)
        contents = _sample_contents(ids, arguments, boxes_yxyx, chances, seeds[3])
    cuts_yxyx = tf.zeros([slots, 4])
    if not menu.operations.isdisjoint(operations.CUTS):
        cuts_yxyx = _sample_cuts(ids, arguments, boxes_yxyx, size, seeds[4])
    if color_strength:
        factors = tf.random.stateless_uniform(
            [3], seeds[5], 1.0 - color_strength, 1.0 + color_strength
        )
        ids = tf.concat([ids, [_index(name) for name in COLOR_JITTER]], 0)
        arguments = tf.concat([arguments, factors], 0)
    return Changes(
        operations=ids,
        arguments=arguments,
        cuts_yxyx=cuts_yxyx,
        contents=contents,
        geometry=_geometry(menu, ids, arguments, jitter, size_px, target_size_px),
        window_yxyx=tf.concat([tf.zeros([2], tf.int32), size_px], 0),
    )


def is_one_of(ids: tf.Tensor, names) -> tf.Tensor:
    """Returns [...] bool: whether [...] int32 operation ids are among the names."""
    listed = tf.constant([name in names for name in operations.NAMES])
    return tf.gather(listed, ids)


def _sample_rows(menu: Menu, seed, authors_quirks):
    """Returns the ids, probabilities and arguments of the sampled steps, [K] each."""
    length = menu.slots // menu.draws
    ids, probabilities, arguments = [], [], []
    for row in menu.rows:
        missing = [0] * (length - len(row))
        names = [operations.plain_name(step.operation) for step in row]
        ids.append([_index(name) for name in names] + missing)
        probabilities.append([step.probability for step in row] + missing)
        values = [
            operations.argument(step, menu, authors_quirks=authors_quirks)
            for step in row
        ]
        arguments.append(values + missing)
    if not menu.rows:
        return tf.zeros([0], tf.int32), tf.zeros([0]), tf.zeros([0])
    sampled = tf.random.stateless_uniform(
        [menu.draws], seed, maxval=len(menu.rows), dtype=tf.int32
    )
    return tuple(
        tf.reshape(tf.gather(tf.constant(table, dtype), sampled), [-1])
        for table, dtype in (
            (ids, tf.int32),
            (probabilities, tf.float32),
            (arguments, tf.float32),
        )
    )


def _sample_contents(ids, arguments, boxes_yxyx, chances, seed) -> BoxContents:
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    shape = [tf.size(ids), tf.shape(boxes_yxyx)[0]]
    chosen = tf.random.stateless_uniform(shape, seeds[0]) < chances[:, None]
    chosen &= _has_area(boxes_yxyx)
    order = tf.random.stateless_uniform(shape, seeds[1]) + tf.where(chosen, 0.0, 1.0)
    order = tf.argsort(order, axis=1)
    kept = tf.cast(tf.gather(chosen, order, batch_dims=1), tf.float32)
    signs = _signs(shape, seeds[2])
    signs = tf.where(is_one_of(ids, _SIGNED)[:, None], signs, 1.0)
    return BoxContents(
        boxes_yxyx=tf.gather(boxes_yxyx, order) * kept[..., None],
        arguments=arguments[:, None] * signs * kept,
        centers_yx=tf.random.stateless_uniform([*shape, 2], seeds[3]),
    )


def _sample_cuts(ids, arguments, boxes_yxyx, size, seed) -> tf.Tensor:
    """Returns [K, 4]; zeros where the operation is no cut."""
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    slots = ids.shape[0]
    places = tf.random.stateless_uniform([slots, 2], seeds[0])
    has_area = _has_area(boxes_yxyx)
    count = tf.reduce_sum(tf.cast(has_area, tf.int32))
    # Padding goes to the end, so that it is never chosen.
    order = tf.argsort(tf.cast(has_area, tf.int32), direction="DESCENDING", stable=True)
    in_order = tf.gather(tf.where(has_area[:, None], boxes_yxyx, 0.0), order)
    # A row of zeros stands for the box of a picture that has none.
    in_order = tf.concat([in_order, tf.zeros([1, 4])], 0)
    chosen = tf.random.stateless_uniform([slots], seeds[1]) * tf.cast(count, tf.float32)
    box = tf.gather(in_order, tf.minimum(tf.cast(chosen, tf.int32), count))
    square = cuts.square(places * size, tf.round(arguments), size)
    part = cuts.part_of_box(box, places, arguments, size)
    is_square = (ids == _index("Cutout"))[:, None]
    is_part = (ids == _index("BBox_Cutout"))[:, None]
    return tf.where(is_square, square, tf.where(is_part, part, 0.0))


def _has_area(boxes_yxyx: tf.Tensor) -> tf.Tensor:
    """Returns [N] bool: whether there are pixels in each box to change."""
    return tf.reduce_all(boxes_yxyx[:, 2:] > boxes_yxyx[:, :2], axis=1)


def _geometry(menu, ids, arguments, jitter, size_px, target_size_px) -> Geometry:
    if menu.operations.isdisjoint(operations.MOVES):
        return geometry.straight(jitter, size_px, target_size_px)
    size = tf.cast(size_px, tf.float32)
    moves = geometry.move_of(operations.NAMES, ids, arguments, size)
    first, *others = tf.unstack(moves[: menu.slots])
    for move in others:
        first = geometry.compose(move, first)
    return geometry.after(jitter, first, size_px, target_size_px)


def _signs(shape, seed) -> tf.Tensor:
    return tf.where(tf.random.stateless_uniform(shape, seed) < 0.5, -1.0, 1.0)


def _index(name: str) -> int:
    return operations.NAMES.index(name)
