"""Where an input pipeline's time goes: every operation of ours beside the peer's."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from st_keras.data import decode
from st_keras.data.augment import (
    augmentation,
    cuts,
    geometry,
    operations,
    pixels,
    rand_augment,
    warp,
)
from st_keras.data.augment.operations import MOVES, Step
from st_keras.experiments.benchmarks import input_ours, input_peer, rows
from st_keras.experiments.benchmarks.one_core import Pipeline
from st_keras.experiments.tables import align
from st_keras.ops import images

_MAGNITUDE = 8.0  # At 10, Solarize does nothing.
_SCALE = (0.5, 2.0)
_SIZE_PX = (640, 640)


class Operation(NamedTuple):
    """Two ways to do one thing to a `types.Example`."""

    ours: Callable
    peer: Callable


def all_operations() -> dict[str, Operation]:
    """Returns every operation that is measured, by what a reader calls it."""
    argument_of = _arguments()
    peers = input_peer.operations(argument_of)
    found = {
        "decode the JPEG": Operation(_decode_jpeg, _decode_jpeg),
        "decode the record": Operation(_decode_ours, _decode_peer),
    }
    found |= {
        name: Operation(_on_image(ours), _on_image_and_boxes(peers[name]))
        for name, ours in our_operations(argument_of).items()
    }
    return found | {
        "normalise": Operation(
            _on_image(images.normalize), _on_image(input_peer.normalize)
        ),
        "flip, jitter, crop, normalise": Operation(
            _jitter_ours,
            _on_image_and_boxes(
                lambda image, boxes: input_peer.jitter(image, boxes, _SCALE, _SIZE_PX)
            ),
        ),
        "anchor targets": Operation(
            lambda example: input_ours.anchor_targets(example.labels, _SIZE_PX),
            lambda example: input_peer.anchor_targets(
                example.labels.boxes_yxyx, example.labels.class_ids, _SIZE_PX
            ),
        ),
    }


def our_operations(argument_of: dict[str, float]) -> dict[str, Callable]:
    """Returns ours as functions of an image [H, W, 3] uint8, by published name.

    Args:
      argument_of: The number each operation works with.
    """

    def change(name):
        return lambda image: pixels.OPERATIONS[name](
            image, tf.constant(argument_of[name])
        )

    def move(name):
        def moved(image):
            size = tf.cast(tf.shape(image)[:2], tf.float32)
            argument = tf.constant(argument_of[name])
            matrix = geometry.move_of((name,), tf.constant(0), argument, size)
            return warp.move_image(image, matrix)

        return moved

    def cut(image):
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        center = tf.random.stateless_uniform([2], [1, 2]) * size
        square = cuts.square(center, argument_of["Cutout"], size)
        return cuts.paint_over(image, square[None], warp.FILL_GREY)

    changes = {name: change(name) for name in pixels.OPERATIONS}
    return changes | {"Cutout": cut} | {name: move(name) for name in MOVES}


def measure(
    serialized: tf.data.Dataset, seconds: float, after_each: Callable[[], object]
) -> list[dict]:
    """Measures every operation on one core.

    Args:
      serialized: Records; their decoded pictures are kept in memory.
      seconds: Of processor time, for each operation and side.
      after_each: Called after each operation.

    Returns:
      Rows with `name`, and in milliseconds per image `ours` and `peer`; the time to
      hand over a decoded picture, which is not in the others, is the first row.
    """
    decoded = serialized.map(decode.decode_example).cache()
    nothing = _milliseconds(decoded, lambda example: example.image, seconds)
    found = [{"name": "hand over a picture", "ours": nothing, "peer": nothing}]
    after_each()
    for name, operation in all_operations().items():
        is_on_records = name.startswith("decode")
        source = serialized if is_on_records else decoded
        less = 0.0 if is_on_records else nothing
        row = {"name": name}
        for side in operation._fields:
            spent = _milliseconds(source, getattr(operation, side), seconds)
            row[side] = round(max(spent - less, 0.0), 3)
        found.append(row)
        after_each()
    return found


def count() -> int:
    """Returns how often `measure` calls `after_each`."""
    return len(all_operations()) + 1


def format_operations(measured: list[dict]) -> str:
    """Returns what `measure` found as an aligned table."""
    cells = [["ms per image on one core", "ours", "peer", "ratio"]]
    for row in measured:
        ratio = f"{row['peer'] / row['ours']:.1f}" if row["ours"] else "-"
        cells.append([row["name"], f"{row['ours']:.2f}", f"{row['peer']:.2f}", ratio])
    return align(cells)


def jpeg_decode(serialized: tf.data.Dataset, seconds: float) -> float:
    """Returns the pictures per second that a core decodes if it does nothing else."""
    dataset = serialized.repeat().map(_decode_jpeg)
    return rows.per_second(Pipeline(dataset).measure(seconds))


def _milliseconds(dataset, operation, seconds: float) -> float:
    # The picture's elements come as one argument, also where they are a tuple.
    mapped = dataset.repeat().map(_as_one_argument(operation))
    return rows.milliseconds(Pipeline(mapped).measure(seconds))


def _as_one_argument(operation):
    def call(*elements):
        if len(elements) == 1:
            return operation(elements[0])
        return operation(decode.Example(*elements))

    return call


def _arguments() -> dict[str, float]:
    menu = rand_augment.rand_augment(1, _MAGNITUDE)
    return {
        name: operations.argument(
            Step(name, 1.0, _MAGNITUDE), menu, authors_quirks=False
        )
        for name in rand_augment.OPERATIONS
    }


def _on_image(function) -> Callable:
    return lambda example: function(example.image)


def _on_image_and_boxes(function) -> Callable:
    def call(example):
        size = tf.cast(tf.shape(example.image)[:2], tf.float32)
        shares = example.labels.boxes_yxyx / tf.concat([size, size], 0)
        return function(example.image, shares)

    return call


def _decode_jpeg(serialized):
    return decode.decode_image(decode.decode_encoded(serialized))


def _decode_ours(serialized):
    return decode.decode_example(serialized)


def _decode_peer(serialized):
    return input_peer.decode_record(serialized)


def _jitter_ours(example):
    shown = geometry.jitter(
        tf.shape(example.image)[:2],
        _SIZE_PX,
        # Another draw for every picture, without a seed to hand on.
        tf.cast(tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32), tf.int64),
        scale_min=_SCALE[0],
        scale_max=_SCALE[1],
        flip_probability=0.5,
    )
    labels = augmentation.move_labels(
        example.labels, shown, _SIZE_PX, min_visible_share=0.25
    )
    shown_image = warp.warp_image(example.image, shown, _SIZE_PX)
    return images.normalize(shown_image), labels
