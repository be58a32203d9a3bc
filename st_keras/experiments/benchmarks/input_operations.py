"""Where an input pipeline's time goes: every operation of ours beside the peer's."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from st_keras.config import AugmentConfig
from st_keras.data import decode
from st_keras.data.augment import (
    cuts,
    geometry,
    operations,
    pixels,
    policies,
    rand_augment,
    warp,
)
from st_keras.data.augment.augmentation import Augmentation
from st_keras.data.augment.operations import MOVES, Step
from st_keras.experiments.benchmarks import input_ours, input_peer, rows
from st_keras.experiments.benchmarks.one_core import Pipeline
from st_keras.experiments.tables import align
from st_keras.ops import images
from st_keras.tasks.augmentation import build_augmentation
from st_keras.types import Example

NOTE = (
    "Operations on pixels and moves are at magnitude 8. A policy of ours joins its "
    "moves with flip, jitter and crop into one; the rows of single moves do not."
)
_MAGNITUDE = 8.0  # At 10, Solarize does nothing.
_WEAK, _STRONG = (0.8, 1.2), (0.5, 2.0)
_SIZE_PX = (640, 640)
_BEFORE_DECODING = ("decode JPEG", "decode record")


class Operation(NamedTuple):
    """Two ways to do one thing to an Example, or to a record."""

    ours: Callable
    peer: Callable | None  # None where the peer has no such operation.


def all_operations() -> dict[str, Operation]:
    """Returns every operation that is measured, by its display name."""
    argument_of = arguments()
    peers = input_peer.operations(argument_of)
    single = {
        name: Operation(_on_image(ours), _on_boxes(peers[name]))
        for name, ours in our_operations(argument_of).items()
    }
    s4, s2 = _augmentation("S4"), _augmentation("S2")
    jitter = _augmentation("S1", scale_min=_STRONG[0], scale_max=_STRONG[1])
    return {
        "decode JPEG": Operation(_decode_jpeg, None),
        "decode record": Operation(decode.decode_example, input_peer.decode_record),
        **single,
        "flip, jitter, crop": Operation(_augment(jitter), None),
        "normalise": Operation(
            _on_image(images.normalize), _on_image(input_peer.normalize)
        ),
        "flip, jitter, crop, normalise": Operation(
            _augment(jitter, normalize=True),
            _on_boxes(input_peer.jitter, scale=_STRONG, size_px=_SIZE_PX),
        ),
        "S4 drawn, nothing done": Operation(lambda example: _sample(s4, example), None),
        "S4, normalise": Operation(
            _augment(s4, normalize=True),
            _on_boxes(
                input_peer.whole_policy("randaugment"), scale=_STRONG, size_px=_SIZE_PX
            ),
        ),
        "S4": Operation(_augment(s4), None),
        "S2, normalise": Operation(
            _augment(s2, normalize=True),
            _on_boxes(
                input_peer.whole_policy("autoaugment"), scale=_WEAK, size_px=_SIZE_PX
            ),
        ),
        "S2": Operation(_augment(s2), None),
        "anchor targets": Operation(
            lambda example: input_ours.anchor_targets(example.labels, _SIZE_PX),
            lambda example: input_peer.anchor_targets(
                example.labels.boxes_yxyx, example.labels.class_ids, _SIZE_PX
            ),
        ),
    }


def our_operations(argument_of: dict[str, float]) -> dict[str, Callable]:
    """Returns our operations of an image [H, W, 3] uint8, by published name.

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
        center = tf.random.uniform([2]) * size
        square = cuts.square(center, tf.constant(argument_of["Cutout"]), size)
        return cuts.paint_over(image, square[None], warp.FILL_GREY)

    changes = {name: change(name) for name in pixels.OPERATIONS}
    return changes | {"Cutout": cut} | {name: move(name) for name in MOVES}


def arguments() -> dict[str, float]:
    """Returns the number each operation of RandAugment works with here."""
    menu = rand_augment.rand_augment(1, _MAGNITUDE)
    return {
        name: operations.argument(
            Step(name, 1.0, _MAGNITUDE), menu, authors_quirks=False
        )
        for name in rand_augment.OPERATIONS
    }


def measure(
    serialized: tf.data.Dataset, seconds: float, after_each: Callable[[], object]
) -> list[dict]:
    """Measures every operation on one core.

    Args:
      serialized: Records; their decoded pictures are kept in memory.
      seconds: Of processor time, for each operation and side.
      after_each: Called after each operation.

    Returns:
      Rows with `name`, and in milliseconds per image `ours` and `peer` (or None). The
      first is the cost of handing over a decoded picture, which the others exclude.
    """
    decoded = serialized.map(decode.decode_example).cache()
    nothing = _milliseconds(decoded, lambda example: example.image, seconds)
    found = [{"name": "hand over picture", "ours": nothing, "peer": nothing}]
    after_each()
    for name, operation in all_operations().items():
        is_early = name in _BEFORE_DECODING
        source, less = (serialized, 0.0) if is_early else (decoded, nothing)
        row = {"name": name}
        for side, function in operation._asdict().items():
            if function is None:
                row[side] = None
                continue
            spent = _milliseconds(source, function, seconds)
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
        ours, peer = row["ours"], row["peer"]
        told = [f"{ours:.2f}", "-" if peer is None else f"{peer:.2f}"]
        told.append(f"{peer / ours:.1f}" if ours and peer is not None else "-")
        cells.append([row["name"], *told])
    return align(cells)


def jpeg_decode(serialized: tf.data.Dataset, seconds: float) -> float:
    """Returns the pictures per second that a core decodes if it does nothing else."""
    dataset = serialized.repeat().map(_decode_jpeg)
    return rows.per_second(Pipeline(dataset).measure(seconds))


def _milliseconds(dataset, function, seconds: float) -> float:
    return rows.milliseconds(Pipeline(dataset.repeat().map(function)).measure(seconds))


def _augmentation(policy: str, **changes) -> Augmentation:
    config = AugmentConfig(policy=policy, **changes)
    return build_augmentation(config, policies.DETECTION, _SIZE_PX)


def _sample(augmentation: Augmentation, example: Example):
    # A new draw for every picture, with no seed passed in.
    seed = tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32)
    size_px = tf.shape(example.image)[:2]
    return augmentation.sample(size_px, example.labels.boxes_yxyx, seed)


def _augment(augmentation: Augmentation, *, normalize: bool = False) -> Callable:
    def call(example):
        changes = _sample(augmentation, example)
        image = augmentation.apply(example.image, changes)
        image = images.normalize(image) if normalize else image
        return image, augmentation.apply_to_boxes(example.labels, changes)

    return call


def _on_image(function) -> Callable:
    return lambda example: function(example.image)


def _on_boxes(function, **settings) -> Callable:
    """Turns a function of an image and boxes in shares into one of an Example."""

    def call(example):
        size = tf.cast(tf.shape(example.image)[:2], tf.float32)
        shares = example.labels.boxes_yxyx / tf.concat([size, size], 0)
        return function(example.image, shares, **settings)

    return call


def _decode_jpeg(serialized):
    return decode.decode_image(decode.decode_encoded(serialized))
