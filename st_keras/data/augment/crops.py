"""A random part of a picture that fills the network's input, to train classifiers."""

import dataclasses

import tensorflow as tf

from st_keras.data.augment import geometry

_TRIES = 10  # As the authors'.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crop:
    """Which parts of a picture training sees.

    Source: Szegedy et al. 2014, arXiv:1409.4842, section 6.
    """

    area_min: float = 0.08  # Of the picture's area, drawn evenly between the two.
    area_max: float = 1.0
    aspect_min: float = 3 / 4  # Width over height, its logarithm drawn evenly.
    aspect_max: float = 4 / 3


def crop_map(
    original_size_px: tf.Tensor,
    target_size_px: tuple[int, int],
    seed: tf.Tensor,
    crop: Crop,
    *,
    flip_probability: float,
) -> tf.Tensor:
    """Returns a random [2, 3] map for `geometry.straight`: cut, and perhaps mirror.

    Args:
      original_size_px: [2] int32 height and width.
      target_size_px: Height and width of the network's input, which the part fills
        whatever its own aspect is.
      seed: [2] int32 or int64.
      crop: What to draw from.
      flip_probability: Of mirroring left to right.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    part = _part(original_size_px, seeds[0], crop)
    size = tf.cast(original_size_px, tf.float32)
    start = tf.random.stateless_uniform([2], seeds[1]) * (size - part)
    target = tf.constant(target_size_px, tf.float32)
    scale = target / part
    offset = -start * scale
    flips = tf.random.stateless_uniform([], seeds[2]) < flip_probability
    # Mirrored at the middle of the target: x becomes width - x.
    x_scale = tf.where(flips, -scale[1], scale[1])
    x_offset = tf.where(flips, target[1] - offset[1], offset[1])
    return geometry.scale_and_move(scale[0], x_scale, [offset[0], x_offset])


def crop_scale(
    original_size_px: tf.Tensor,
    target_size_px: tuple[int, int],
    seed: tf.Tensor,
    crop: Crop,
) -> tf.Tensor:
    """Returns how large `crop_map` shows a pixel, [] float32, on its longer side."""
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    part = _part(original_size_px, seeds[0], crop)
    return tf.reduce_max(tf.constant(target_size_px, tf.float32) / part)


def _part(original_size_px: tf.Tensor, seed: tf.Tensor, crop: Crop) -> tf.Tensor:
    """Returns the [2] float32 sides of the first part drawn that fits the picture."""
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    area = tf.random.stateless_uniform([_TRIES], seeds[0], crop.area_min, crop.area_max)
    log_min, log_max = (tf.math.log(a) for a in (crop.aspect_min, crop.aspect_max))
    even = tf.random.stateless_uniform([_TRIES], seeds[1])
    aspect = tf.exp(log_min + even * (log_max - log_min))
    size = tf.cast(original_size_px, tf.float32)
    shape = size[1] / size[0]
    # As shares of the picture's height and width: its size does not change the draw.
    shares = tf.stack([tf.sqrt(area * shape / aspect), tf.sqrt(area * aspect / shape)])
    fits = tf.reduce_all(shares <= 1.0, axis=0)
    first = tf.argmax(tf.cast(fits, tf.int32))
    # If a picture is too narrow for all of them: its largest part of a legal aspect.
    nearest = tf.clip_by_value(shape, crop.aspect_min, crop.aspect_max)
    largest = tf.minimum(tf.stack([shape / nearest, nearest / shape]), 1.0)
    return size * tf.where(tf.reduce_any(fits), shares[:, first], largest)
