"""Inspects all values in the layers of a model, on the forward and backward pass."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(kw_only=True)
class Seen:
    """A summary of some tensors: which rows are finite, and the largest value."""

    rows: np.ndarray | None = None  # [B] bool, False where a row is not all finite.
    shape: tuple[int, ...] = ()  # Of the first one.
    largest: float = 0.0  # Of the finite absolute values.

    @property
    def is_finite(self) -> bool:
        return self.rows is None or bool(self.rows.all())

    def add(self, tensor: tf.Tensor) -> None:
        """Takes in a tensor, row by row if the others have as many rows."""
        values = np.asarray(tf.cast(tensor, tf.float32))
        finite = np.isfinite(values)
        rows = finite.reshape([len(values), -1]).all(axis=1) if values.ndim else finite
        if self.rows is None:
            self.rows, self.shape = np.atleast_1d(rows), values.shape
        elif self.rows.shape == rows.shape:
            self.rows = self.rows & rows
        elif not rows.all():
            self.rows = np.zeros_like(self.rows)
        if finite.any():
            largest = float(np.abs(values[finite]).max())
            self.largest = max(self.largest, largest)


@dataclasses.dataclass(kw_only=True)
class Call:
    """One use of a layer in one replica."""

    layer: str  # Name, after those of the models it is in.
    kind: str  # Class of the layer.
    replica: int
    inputs: Seen = dataclasses.field(default_factory=Seen)
    outputs: Seen = dataclasses.field(default_factory=Seen)
    # Of the loss, with respect to the inputs and the outputs.
    input_gradients: Seen = dataclasses.field(default_factory=Seen)
    output_gradients: Seen = dataclasses.field(default_factory=Seen)
    # When the backward pass reached it; infinite if it never did.
    turn: float = math.inf


class Probes:
    """The calls of a model's layers, in the order in which they are made."""

    def __init__(self):
        self.calls: list[Call] = []
        self._turns = 0

    @contextlib.contextmanager
    def on(self, model: tf.keras.Model) -> Iterator[None]:
        """Watches every layer of a functional model while the context lasts.

        Works eagerly only, as it reads the values. The results of forward and backward
        passes do not change.
        """
        found = list(_layers(model))
        originals = [layer.call for _, layer in found]
        for (name, layer), original in zip(found, originals, strict=True):
            layer.call = self._watched(name, layer, original)
        try:
            yield
        finally:
            for (_, layer), original in zip(found, originals, strict=True):
                layer.call = original

    def watch(self, nest, forward: Seen, backward: Seen, on_back: Callable = int):
        """Returns the nest, whose float tensors and their gradients are now watched.

        Args:
          nest: Of tensors and other things, which pass through.
          forward: Takes in the values.
          backward: Takes in the gradients.
          on_back: Called when a gradient comes.
        """

        def look(tensor):
            if not tf.is_tensor(tensor) or not tensor.dtype.is_floating:
                return tensor
            forward.add(tensor)

            @tf.custom_gradient
            def same(x):
                def back(gradient):
                    backward.add(gradient)
                    on_back()
                    return gradient

                return tf.identity(x), back

            return same(tensor)

        return tf.nest.map_structure(look, nest)

    def _watched(self, name: str, layer, original: Callable) -> Callable:
        def call(*args, **kwargs):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            made = Call(
                layer=name, kind=type(layer).__name__, replica=int(replica or 0)
            )
            self.calls.append(made)

            def on_back():
                self._turns += 1
                made.turn = min(made.turn, self._turns)

            args, kwargs = self.watch((args, kwargs), made.inputs, made.input_gradients)
            outputs = original(*args, **kwargs)
            return self.watch(outputs, made.outputs, made.output_gradients, on_back)

        return call


def _layers(model: tf.keras.Model, prefix: str = ""):
    """Yields name and layer of each layer that computes something, once each."""
    for layer in model.layers:
        if isinstance(layer, tf.keras.Model):
            yield from _layers(layer, f"{prefix}{layer.name}/")
        elif not isinstance(layer, tf.keras.layers.InputLayer):
            yield prefix + layer.name, layer
