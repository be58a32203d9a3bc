"""The weights by name and the input for which the authors' graph was run.

Each value follows from the authors' name of its variable, so a model whose weights
are made here must give what their graph gave: see tests/golden/README.md.
"""

import json
import pathlib
import zlib

import numpy as np

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def variable_value(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the float32 value of the authors' variable of that name."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    leaf = name.split("/")[-1]
    if "kernel" in leaf or "weight" in leaf:
        depthwise = "depthwise" in leaf
        fan = shape[0] * shape[1] if depthwise else int(np.prod(shape[:-1]))
        return (random.standard_normal(shape) * np.sqrt(1.0 / fan)).astype(np.float32)
    if leaf in ("gamma", "moving_variance"):
        return random.uniform(0.5, 1.5, shape).astype(np.float32)
    return (random.standard_normal(shape) * 0.1).astype(np.float32)


def input_image(height_px: int, width_px: int) -> np.ndarray:
    """Returns the [1, height, width, 3] float32 normalised input."""
    random = np.random.RandomState(7)
    return random.standard_normal((1, height_px, width_px, 3)).astype(np.float32)


def set_weights(model, pairs) -> None:
    """Gives every weight of a model its value by the authors' name.

    Args:
      model: One functional model, or a part of one.
      pairs: (our layer, authors' scope) of each layer that has weights, no more and
        no less, as `st_keras.models.authors` yields them.
    """
    scopes = dict(pairs)
    layers = {layer.name: layer for layer in model.layers if layer.weights}
    assert set(layers) == set(scopes), set(layers) ^ set(scopes)
    for name, layer in layers.items():
        for weight in layer.weights:
            leaf = weight.name.split("/")[-1].split(":")[0]
            value = variable_value(f"{scopes[name]}/{leaf}", tuple(weight.shape))
            weight.assign(value)


def golden(name: str) -> dict:
    """Returns what the authors' graph gave: per output shape, index and value."""
    return json.loads((GOLDEN / f"{name}.json").read_text())


def assert_matches(value: np.ndarray, expected: dict, tolerance: float = 1e-4) -> None:
    """Compares an output with the sampled values, relative to the largest of them."""
    assert list(value.shape) == expected["shape"]
    sampled = np.asarray(value).ravel()[expected["index"]]
    wanted = np.float32(expected["value"])
    error = np.abs(sampled - wanted).max() / np.abs(wanted).max()
    assert error < tolerance, f"off by {error:.2e}"


def assert_detector_matches(outputs: dict, expected: dict) -> None:
    """Compares a detector's joined rows with the authors' maps, level by level."""
    for name, theirs in (("logits", "class"), ("offsets", "box")):
        rows, start = outputs[name].numpy(), 0
        for level in range(3, 8):
            golden_map = expected[f"{theirs}_{level}"]
            size = int(np.prod(golden_map["shape"]))
            end = start + size // rows.shape[-1]
            values = rows[:, start:end].reshape(golden_map["shape"])
            assert_matches(values, golden_map)
            start = end
        assert start == rows.shape[1]
