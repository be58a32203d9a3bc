"""BatchNorm's moving averages: to keep them, and to make replicas agree on them."""

import contextlib
from collections.abc import Iterable, Iterator

import tensorflow as tf


@contextlib.contextmanager
def kept(layers: Iterable[tf.keras.layers.Layer]) -> Iterator[None]:
    """Gives BatchNorms back the averages they had before a pass that must not count.

    To be used in each replica.

    Args:
      layers: Models or layers, with all that is in them.
    """
    averages = _of(layers)
    before = [tf.identity(variable.read_value()) for variable in averages]
    yield
    for variable, value in zip(averages, before, strict=True):
        variable.assign(value)


def agree(models: Iterable[tf.keras.Model]) -> None:
    """Gives every replica the mean of all replicas' averages, as a checkpoint has it.

    Otherwise a run would go on from its own checkpoint with other numbers than it had,
    and judge a picture by the averages of the replica that sees it. Outside of the
    replicas, and on all hosts.
    """
    for average in _of(models):
        average.assign(average.read_value())


def _of(layers: Iterable[tf.keras.layers.Layer]) -> list[tf.Variable]:
    return [
        variable
        for layer in layers
        for part in (layer, *layer.submodules)
        if isinstance(part, tf.keras.layers.BatchNormalization)
        for variable in (part.moving_mean, part.moving_variance)
    ]
