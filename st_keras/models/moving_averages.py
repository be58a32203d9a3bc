"""Keeps BatchNorm's moving averages, and makes replicas agree on them."""

import contextlib
from collections.abc import Iterable, Iterator

import tensorflow as tf


@contextlib.contextmanager
def kept(layers: Iterable[tf.keras.layers.Layer]) -> Iterator[None]:
    """Restores BatchNorms' averages after a pass that must not change them.

    Use it in each replica.

    Args:
      layers: Models or layers, with all layers inside them.
    """
    averages = _of(layers)
    before = [tf.identity(variable.read_value()) for variable in averages]
    yield
    for variable, value in zip(averages, before, strict=True):
        variable.assign(value)


def agree(models: Iterable[tf.keras.Model]) -> None:
    """Gives every replica the mean of all replicas' averages, as in a checkpoint.

    Otherwise a resumed run would continue with other averages than it had, and evaluate
    a picture with those of whichever replica sees it. Call it outside of the replicas,
    on all hosts.
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
