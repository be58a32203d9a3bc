"""Whether a saved model computes what another one would with its weights."""

import json
import zipfile

import tensorflow as tf

_CONFIG = "config.json"  # In a `.keras` file.
# Of a layer: with other values of these, the same weights are another function.
_SETTINGS = (
    *("strides", "padding", "dilation_rate", "pool_size", "activation", "epsilon"),
    *("size", "factor"),
)


def differences(model: tf.keras.Model, path: str) -> list[str]:
    """Returns where a `.keras` file has another setting in a layer of the same name.

    Args:
      model: That is to get the file's weights.
      path: The file. Others do not say how they compute: nothing is returned.
    """
    if not path.endswith(".keras"):
        return []
    with zipfile.ZipFile(path) as archive:
        theirs = dict(_settings(json.loads(archive.read(_CONFIG)), ""))
    ours = dict(_settings(json.loads(model.to_json()), ""))
    return [
        f"{name} is {_plain(theirs[name])} in the file and {_plain(value)} here"
        for name, value in ours.items()
        if name in theirs and _plain(theirs[name]) != _plain(value)
    ]


def _settings(layer: dict, above: str):
    """Yields (PART/LAYER.SETTING, value) of a layer and of those inside of it."""
    config = layer.get("config", {})
    for inner in config.get("layers", ()):
        name = inner.get("config", {}).get("name", "")
        yield from _settings(inner, f"{above}/{name}" if above else name)
    if "layers" not in config:
        yield from (
            (f"{above}.{setting}", config[setting])
            for setting in _SETTINGS
            if setting in config
        )


def _plain(value: object) -> str:
    return json.dumps(value)
