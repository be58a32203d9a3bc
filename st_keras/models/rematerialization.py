"""Recomputes a backbone's activations for the gradient instead of keeping them.

A step usually keeps each layer's output until the backward pass reaches it. Here a
block of a backbone keeps only its inputs; the backward pass computes the rest again.
Memory then holds the inside of one block instead of all, and a step computes the
backbone once more: a third more work.

Source: Chen et al. 2016, arXiv:1604.06174.
"""

import contextlib
import contextvars
import inspect
import re
from collections.abc import Iterator, Sequence

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from st_keras.models import moving_averages

# By the names that backbones give their layers: `stem`, `level3_0` of a ResNet,
# `block12` of an EfficientNet; of a SpineNet `block4` (how its parents are joined) and
# `block4_0`, its first repeat.
_BLOCK = re.compile(r"[a-z]+\d*(_\d+)?(?=_)")

# A layer's use in this model is its first; a classifier of joint training adds another.
_HERE = 0

Values = dict[int, tf.Tensor]  # By the symbolic tensor they stand for.

# Replicas are traced in threads that take turns, so each has a switch of its own.
_is_on = contextvars.ContextVar("is_on", default=False)


class Rematerialization:
    """Runs a model's backbone block by block, while it is switched on."""

    def __init__(self, model: tf.keras.Model, *, is_compiled: bool):
        """Finds the blocks; the model is unchanged until this is switched on.

        Args:
          model: With a part "backbone", a functional model.
          is_compiled: Whether XLA compiles the step. XLA drops control dependencies
            and so would merge the two computations; its own barrier prevents that.

        Raises:
          ValueError: Blocks depend on each other in a cycle, or there is no backbone.
        """
        self._backbone = model.get_layer("backbone")
        self._blocks = _in_order(self._backbone)
        self._is_compiled = is_compiled
        # Bypasses Keras, which would look for weights in any attribute of a layer.
        object.__setattr__(self._backbone, "call", self._call)

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Makes training calls of the model keep less; use it inside other contexts.

        Other calls, and what the model computes, do not change.
        """
        token = _is_on.set(True)
        try:
            yield
        finally:
            _is_on.reset(token)

    def _call(self, images, training=None, mask=None):
        if not (training and _is_on.get()):
            return type(self._backbone).call(self._backbone, images, training, mask)
        values = {id(self._backbone.input): images}
        for block in self._blocks:
            outputs = self._forgetting(block, [values[key] for key in block.inputs])
            values |= dict(zip(block.outputs, outputs, strict=True))
        return tf.nest.map_structure(
            lambda output: values[id(output)], self._backbone.output
        )

    def _forgetting(self, block: "_Block", inputs: list[tf.Tensor]) -> list[tf.Tensor]:
        """Returns a block's outputs, keeping only `inputs` for the gradient."""
        # Computed again with the same draws, and differentiated in the same way.
        context = contextvars.copy_context()

        @tf.custom_gradient
        def run(*inputs):
            def backward(*upstream, variables=()):
                again, upstream = self._after(inputs, upstream)
                variables = list(variables)
                with (
                    moving_averages.kept(block.layers),
                    tf.GradientTape(watch_accessed_variables=False) as tape,
                ):
                    tape.watch([again, variables])
                    outputs = context.run(block, again)
                gradients = tape.gradient(outputs, [*again, *variables], upstream)
                return gradients[: len(again)], gradients[len(again) :]

            return block(inputs), backward

        return run(*inputs)

    def _after(self, inputs, upstream):
        """Returns both unchanged, the first only after the second is computed."""
        with tf.control_dependencies(upstream):
            inputs = [tf.identity(x) for x in inputs]
        if self._is_compiled:
            both = xla.optimization_barrier(*inputs, *upstream)
            inputs, upstream = both[: len(inputs)], both[len(inputs) :]
        return inputs, list(upstream)


class _Block:
    """Some layers of a functional model, each used once in it."""

    def __init__(self):
        self.layers: list[tf.keras.layers.Layer] = []
        self.inputs: list[int] = []  # What comes from other blocks.
        self.outputs: list[int] = []  # What other blocks, or the caller, want.

    def close(self, wanted: set[int]) -> None:
        """Finds inputs and outputs, once all layers are added in topological order.

        Args:
          wanted: Keys of the tensors that other blocks or the model's caller need.
        """
        made = [_makes(layer) for layer in self.layers]
        needed = dict.fromkeys(key for layer in self.layers for key in _needs(layer))
        self.inputs = [key for key in needed if key not in made]
        self.outputs = [key for key in made if key in wanted]

    def __call__(self, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Applies the layers in training mode."""
        values: Values = dict(zip(self.inputs, inputs, strict=True))
        for layer in self.layers:
            taken = layer.get_input_at(_HERE)
            x = tf.nest.map_structure(lambda one: values[id(one)], taken)
            values[_makes(layer)] = layer(x, **_flags(layer))
        return [values[key] for key in self.outputs]


def _in_order(model: tf.keras.Model) -> list[_Block]:
    """Returns the blocks of a functional model, in topological order."""
    blocks: dict[str, _Block] = {}
    for layer in model.layers:  # In topological order.
        if not isinstance(layer, tf.keras.layers.InputLayer):
            found = _BLOCK.match(layer.name)
            name = found[0] if found else layer.name
            blocks.setdefault(name, _Block()).layers.append(layer)
    of_caller = {id(output) for output in tf.nest.flatten(model.output)}
    for block in blocks.values():
        others = (one for one in blocks.values() if one is not block)
        needs = (_needs(layer) for other in others for layer in other.layers)
        block.close(of_caller.union(*needs))
    ordered: list[_Block] = []
    have = {id(model.input)}
    while waiting := [block for block in blocks.values() if block not in ordered]:
        ready = [block for block in waiting if have.issuperset(block.inputs)]
        if not ready:
            raise ValueError(f"The blocks of {model.name!r} need each other.")
        ordered += ready
        have.update(key for block in ready for key in block.outputs)
    return ordered


def _needs(layer: tf.keras.layers.Layer) -> list[int]:
    return [id(one) for one in tf.nest.flatten(layer.get_input_at(_HERE))]


def _makes(layer: tf.keras.layers.Layer) -> int:
    return id(layer.get_output_at(_HERE))


def _flags(layer: tf.keras.layers.Layer) -> dict[str, bool]:
    takes = inspect.signature(layer.call).parameters
    return {"training": True} if "training" in takes else {}
