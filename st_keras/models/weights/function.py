"""What a model's layers compute from their weights, beyond what shapes show.

With other strides, paddings, activations or epsilons, the same weights are another
function, although every shape fits.
"""

import json
import os
from collections.abc import Iterator, Mapping

import tensorflow as tf

from st_keras.models.weights.source import Source

# Settings that change what comes out. Momentum and dropout matter in training only.
_SETTINGS = (
    *("strides", "padding", "dilation_rate", "pool_size"),
    *("activation", "epsilon"),
)
_SHOWN = 3  # Layers in a message.

Functions = dict[str, dict[str, dict[str, str]]]  # Settings by part and layer, as text.


def of_model(model: tf.keras.Model) -> Functions:
    """Returns the settings of each layer of each part."""
    inner = [layer for layer in model.layers if isinstance(layer, tf.keras.Model)]
    return {
        part.name: {
            layer.name: settings
            for layer in part.layers
            if (settings := _settings(layer.get_config()))
        }
        for part in inner or [model]
    }


def summary(model: tf.keras.Model) -> str:
    """Returns the activations and epsilons of each part, in words."""
    parts = {}
    for part, layers in of_model(model).items():
        found = {
            setting: ", ".join(
                dict.fromkeys(
                    layer[setting]
                    for layer in layers.values()
                    if layer.get(setting, "linear") not in ("linear", "sigmoid")
                )
            )
            for setting in ("activation", "epsilon")
        }
        told = [f"{setting} {value}" for setting, value in found.items() if value]
        parts.setdefault(" and ".join(told) or "none", []).append(part)
    return "; ".join(f"{', '.join(names)}: {told}" for told, names in parts.items())


def of_source(source: Source) -> tuple[Functions, str]:
    """Returns the settings of a file's layers, and where it was imported from.

    A `.keras` file has the settings in it; for others, the report of their import has
    them, in the file beside them. Both are empty where nothing is recorded.

    Raises:
      ValueError: The file beside it is damaged.
    """
    path = side_file(source.path)
    written = {}
    if os.path.isfile(path):
        try:
            with open(path, encoding="utf-8") as file:
                written = json.load(file)
            found, origin = written.get("functions", {}), written.get("origin", "")
            for layers in found.values():
                for settings in layers.values():
                    settings.items()
        except (ValueError, AttributeError):
            raise ValueError(
                f"{path}: damaged, or no report of an import; delete it if the weights "
                "beside it are known to be of this model."
            ) from None
    else:
        found, origin = {}, ""
    config = getattr(source, "config", {})
    return (_of_config(config) if config else found), (origin if found else "")


def side_file(path: str) -> str:
    """Returns the name of the import report beside a file of weights."""
    return f"{path}.report.json"


def differences(ours: Functions, theirs: Functions) -> dict[str, str]:
    """Returns why parts that both have would compute different things, by part."""
    refusals = {}
    for part in ours.keys() & theirs.keys():
        found = list(_differing(ours[part], theirs[part]))
        if found:
            more = len(found) - _SHOWN
            refusals[part] = (
                f"{len(found)} layers of the {part} differ, so that the same weights "
                f"would be another function: {'; '.join(found[:_SHOWN])}"
                f"{f'; and {more} more' if more > 0 else ''}. Build the model so, or "
                "import the published file again for this model"
            )
    return refusals


def _differing(
    ours: Mapping[str, Mapping[str, str]], theirs: Mapping[str, Mapping[str, str]]
) -> Iterator[str]:
    thinned = _dilated_for_strides(ours, theirs)
    for layer in dict.fromkeys([*ours, *theirs]):
        if layer in thinned or layer.removesuffix("_pad") in thinned:
            continue
        if layer in ours and layer in theirs:
            mine, other = ours[layer], theirs[layer]
            for name in dict.fromkeys([*mine, *other]):
                if name == "dilation_rate" and thinned:
                    continue
                if mine.get(name) != other.get(name):
                    yield (
                        f"`{layer}` has {name} {other.get(name)} in the file and "
                        f"{mine.get(name)} in the model"
                    )
                    break
        elif layer.endswith("_pad"):
            where = "model" if layer in ours else "file"
            yield f"`{layer}` is only in the {where}"


def _dilated_for_strides(ours, theirs) -> set[str]:
    """Returns the layers that have a stride on one side only.

    Segmenters dilate the convolutions of a classifier's last stages instead of striding
    them, with the same weights on purpose, and more of them for maps of finer stride:
    where a side has dilation in a part, these layers may differ.
    """
    if not (_is_dilated(ours) or _is_dilated(theirs)):
        return set()
    return {
        layer
        for layer in ours.keys() & theirs.keys()
        if _is_strided(ours[layer]) != _is_strided(theirs[layer])
    }


def _is_strided(settings: Mapping[str, str]) -> bool:
    return settings.get("strides", "[1, 1]") != "[1, 1]"


def _is_dilated(layers: Mapping[str, Mapping[str, str]]) -> bool:
    return any(
        settings.get("dilation_rate", "[1, 1]") != "[1, 1]"
        for settings in layers.values()
    )


def _of_config(config: Mapping) -> Functions:
    """Returns the settings of each layer in a Keras config of a model."""
    inner = [layer for layer in _layers(config) if _layers(layer)]
    return {
        part["config"]["name"]: {
            layer["config"]["name"]: settings
            for layer in _layers(part)
            if (settings := _settings(layer["config"]))
        }
        for part in inner or ([config] if _layers(config) else [])
    }


def _layers(layer: Mapping) -> list[Mapping]:
    config = layer.get("config", {})
    # Of a Sequential model, Keras once wrote a list of layers, without a name.
    return config.get("layers", []) if isinstance(config, Mapping) else []


def _settings(config: Mapping) -> dict[str, str]:
    found = {name: config[name] for name in _SETTINGS if name in config}
    # The same text from Python and from JSON.
    return {name: _text(value) for name, value in found.items()}


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
