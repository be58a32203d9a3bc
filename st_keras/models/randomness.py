"""Where the layers of a model get their random numbers from."""

import contextlib
import contextvars
import zlib
from collections.abc import Iterator

import tensorflow as tf

_seed: contextvars.ContextVar[tf.Tensor | None] = contextvars.ContextVar(
    "seed", default=None
)


@contextlib.contextmanager
def seeded(seed: tf.Tensor) -> Iterator[None]:
    """Makes random layers called inside depend on `seed` and their names alone.

    With a seed made from the step, a killed and resumed run draws what it would have
    drawn. With XLA, the numbers differ from those without.

    Args:
      seed: [2] int32; a different one for each step and replica.
    """
    token = _seed.set(seed)
    try:
        yield
    finally:
        _seed.reset(token)


def uniform(shape, layer_name: str) -> tf.Tensor:
    """Returns float32 numbers in [0, 1) of that shape.

    Outside of `seeded`, as in Keras' own `fit`, they come from TensorFlow's global
    generator, which `tf.random.set_seed` starts.
    """
    seed = _seed.get()
    if seed is None:
        return tf.random.uniform(shape)
    seed = fold_in(seed, zlib.crc32(layer_name.encode()) & 0x7FFFFFFF)
    return tf.random.stateless_uniform(shape, seed)


def fold_in(seed: tf.Tensor, number: tf.Tensor | int) -> tf.Tensor:
    """Returns another [2] int32 seed for each int32 number."""
    number = tf.cast(number, tf.int32)
    return tf.random.experimental.stateless_fold_in(seed, number)
