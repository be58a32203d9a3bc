"""Small files of published kinds, with weights by name, and how to compare."""

import numpy as np
import tensorflow as tf

from tests.models import reference


def write_tf1(prefix, values: dict) -> str:
    """Writes a checkpoint as TF1 does: names and arrays, no objects."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(values),
        shape_and_slices=[""] * len(values),
        tensors=[tf.constant(value) for value in values.values()],
    )
    return str(prefix)


def authors_values(model, pairs_by_part: dict) -> dict:
    """Returns values by the authors' names for the parts of a model."""
    values = {}
    for part, pairs in pairs_by_part.items():
        layers = {layer.name: layer for layer in model.get_layer(part).layers}
        for layer, scope in pairs:
            for weight in layers[layer].weights:
                name = f"{scope}/{leaf(weight)}"
                values[name] = reference.variable_value(name, tuple(weight.shape))
    return values


def randomize(model) -> None:
    """Gives every weight another value; BatchNorm statistics are far from 0 and 1."""
    for number, weight in enumerate(model.weights):
        value = reference.variable_value(f"{number}/{leaf(weight)}", weight.shape)
        weight.assign(value)


def pictures(height_px=128, width_px=256):
    return reference.input_image(height_px, width_px)


def assert_same(ours, theirs, tolerance=1e-5) -> None:
    """Compares outputs, relative to the largest of them."""
    assert ours.keys() == theirs.keys()
    for name in ours:
        value, expected = np.asarray(ours[name]), np.asarray(theirs[name])
        assert value.shape == expected.shape, name
        assert np.abs(expected).max() > 0.01, f"{name}: too small to tell anything"
        error = np.abs(value - expected).max() / np.abs(expected).max()
        assert error < tolerance, f"{name}: off by {error:.2e}"


def leaf(weight) -> str:
    return weight.name.split("/")[-1].split(":")[0]
