"""What the weights of a model are called: `backbone/stem_conv/kernel`."""

import tensorflow as tf


def named_weights(model: tf.keras.Model) -> dict[str, tf.Variable]:
    """Returns every weight of a model by its address, PART/LAYER/WEIGHT.

    Args:
      model: One that `st_keras.models` builds, or one part of it.

    Raises:
      ValueError: Two weights would have the same address.
    """
    found = {}
    for part, layers in part_layers(model).items():
        for name, layer in layers.items():
            for variable in layer.weights:
                address = f"{part}/{name}/{leaf(variable.name)}"
                if address in found:
                    raise ValueError(
                        f"`model` must not have two weights of one name: {address}."
                    )
                found[address] = variable
    return found


def part_layers(
    model: tf.keras.Model,
) -> dict[str, dict[str, tf.keras.layers.Layer]]:
    """Returns the layers that have weights, by part and name."""
    parts = {}
    for layer in model.layers:
        if isinstance(layer, tf.keras.Model):
            parts[layer.name] = {inner.name: inner for inner in _weighted(layer)}
        elif layer.weights:
            parts.setdefault(model.name, {})[layer.name] = layer
    return {part: layers for part, layers in parts.items() if layers}


def part_models(model: tf.keras.Model) -> dict[str, tf.keras.Model]:
    """Returns the parts that are models themselves; a bare part is its only one."""
    inner = [layer for layer in model.layers if isinstance(layer, tf.keras.Model)]
    return {part.name: part for part in inner or [model]}


def leaf(name: str) -> str:
    """Returns the last part of a variable's name: `kernel` of `conv/kernel:0`."""
    return name.split("/")[-1].split(":")[0]


def _weighted(model: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    nested = [layer for layer in model.layers if isinstance(layer, tf.keras.Model)]
    if nested:
        raise ValueError(
            f"`model` must not nest models in its parts, got {nested[0].name} in "
            f"{model.name}."
        )
    return [layer for layer in model.layers if layer.weights]
