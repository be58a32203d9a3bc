"""Plans for the weights files of `tf.keras.applications`."""

import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from st_keras.models.weights.addresses import part_layers, part_models
from st_keras.models.weights.hdf5 import Hdf5
from st_keras.models.weights.plan import Pick, Plan
from st_keras.models.weights.scopes import recognize, strip_root
from st_keras.ops import images

_MARKS = ("conv1_conv", "stem_conv")  # First layers of its ResNets, EfficientNets.
_RESNET_EPSILON = 1.001e-5
_EFFICIENTNET_EPSILON = 1e-3
_BLOCK = re.compile(r"block(\d+)([a-z])_")
# The authors' names for the layers of a block, and Keras'.
_IN_BLOCK = {
    "depthwise_conv2d": "dwconv",
    "se/conv2d": "se_reduce",
    "se/conv2d_1": "se_expand",
}
_EXPANDED = {
    "conv2d": "expand_conv",
    "tpu_batch_normalization": "expand_bn",
    "tpu_batch_normalization_1": "bn",
    "conv2d_1": "project_conv",
    "tpu_batch_normalization_2": "project_bn",
}
_PLAIN = {
    "tpu_batch_normalization": "bn",
    "conv2d": "project_conv",
    "tpu_batch_normalization_1": "project_bn",
}
_ENDS = {
    "stem/conv2d": "stem_conv",
    "stem/tpu_batch_normalization": "stem_bn",
    "head/conv2d": "top_conv",
    "head/tpu_batch_normalization": "top_bn",
    "head/dense": "predictions",
    "dense": "predictions",
}
_STRIDES = (
    "ResNets of tf.keras.applications take the stride of a stage in its first 1x1 "
    "convolution, this model in the 3x3 convolution: the same weights would be "
    'another function; build it with flavor="keras"'
)
_RELU = (
    "ResNets of tf.keras.applications have ReLU, this model another activation: the "
    'same weights would be another function; build it with activation="relu"'
)
# Its ResNets take BGR pixels minus these, here in the order of red, green, blue.
_THEIR_MEAN_RGB = np.float32([123.68, 116.779, 103.939])
_PIXELS_PER_UNIT = 255.0 * np.float32(images.STDDEV_RGB)  # Of a normalised input.


def is_applications(source: Hdf5) -> bool:
    """Tells from its layers' names whether a file is of `tf.keras.applications`."""
    return bool(source.layers) and any(mark in source.layers for mark in _MARKS)


def plan_applications(
    model: tf.keras.Model,
    wanted: Mapping[str, tuple[int, ...]],
    source: Hdf5,
) -> Plan:
    """Plans by the authors' names, which are translated to Keras'.

    Biases before a BatchNorm are folded into its mean, and a different epsilon into its
    variance, so that inference gives the same. A ResNet's input normalisation is folded
    into its first convolution.
    """
    is_resnet = "conv1_conv" in source.layers
    family, epsilon = (
        ("ResNet", _RESNET_EPSILON)
        if is_resnet
        else ("EfficientNet", _EFFICIENTNET_EPSILON)
    )
    plan = Plan(f"{family} of tf.keras.applications", explain=_explain)
    for part, layers in part_layers(model).items():
        addresses = [name for name in wanted if name.startswith(f"{part}/")]
        names = _keras_names(part, layers, source, is_resnet)
        if not names:
            reason = f"a {family} file of tf.keras.applications has no such {part}"
            plan.lacking.update(dict.fromkeys(addresses, reason))
            continue
        if part == "backbone" and is_resnet and not _strides_first(layers):
            plan.refusals[part] = _STRIDES
        elif part == "backbone" and is_resnet and not _has_relu(part_models(model)):
            plan.refusals[part] = _RELU
        plan.claims[part] = ("conv", "block", "stem_") if part == "backbone" else ()
        for address in addresses:
            _, layer, weight = address.split("/")
            if layer in names:
                ours = getattr(layers[layer], "epsilon", epsilon)
                plan.picks[address] = _pick(
                    names[layer],
                    weight,
                    source,
                    epsilon - ours,
                )
            else:
                plan.lacking[address] = "the file's network is not so deep"
    plan.notes = _notes(source)
    return plan


def _has_relu(parts: Mapping[str, tf.keras.Model]) -> bool:
    relu = tf.keras.activations.relu
    return all(
        layer.activation is relu
        for layer in parts["backbone"].layers
        if isinstance(layer, tf.keras.layers.Activation)
    )


def _strides_first(layers: Mapping[str, tf.keras.layers.Layer]) -> bool:
    return layers["level3_0_a_conv"].strides == (2, 2)


def _keras_names(part, layers, source, is_resnet) -> dict[str, str]:
    """Returns Keras' name for each of our layers that has one."""
    pairs = recognize(part, layers)
    if pairs is None:
        return {}
    scopes, root = strip_root(pairs)
    if part == "backbone" and is_resnet != root.startswith("resnet"):
        return {}
    if is_resnet:
        names = {ours: _resnet_name(ours) for ours in scopes}
    else:
        names = _efficientnet_names(scopes, source)
    return {ours: name for ours, name in names.items() if name}


def _resnet_name(ours: str) -> str:
    if ours.startswith("stem_"):
        return f"conv1_{_kind(ours)}"
    if match := re.fullmatch(r"level(\d)_(\d+)_(shortcut|a|b|c)_(conv|norm)", ours):
        unit = ("shortcut", "a", "b", "c").index(match[3])
        return f"conv{match[1]}_block{int(match[2]) + 1}_{unit}_{_kind(ours)}"
    return "predictions" if ours == "predict" else ""


def _kind(ours: str) -> str:
    return "bn" if ours.endswith("_norm") else "conv"


def _efficientnet_names(scopes: Mapping[str, str], source: Hdf5) -> dict[str, str]:
    found = {(int(m[1]), m[2]) for name in source.layers if (m := _BLOCK.match(name))}
    blocks = [f"block{stage}{letter}" for stage, letter in sorted(found)]
    names = {}
    for ours, scope in scopes.items():
        match = re.fullmatch(r"blocks_(\d+)/(.*)", scope)
        if not match:
            names[ours] = _ENDS.get(scope, "")
        elif int(match[1]) < len(blocks):
            block = blocks[int(match[1])]
            expands = f"{block}_expand_conv" in source.layers
            inner = _IN_BLOCK | (_EXPANDED if expands else _PLAIN)
            names[ours] = f"{block}_{inner[match[2]]}" if match[2] in inner else ""
    return names


def _pick(layer: str, weight: str, source: Hdf5, epsilon_change: float) -> Pick:
    name = f"{layer}/{layer}/{weight}:0"
    first = "conv1_conv/conv1_conv/{}:0"
    if name == first.format("kernel"):
        return Pick((name,), _of_normalized_rgb, "for normalised RGB instead of BGR")
    if layer == "conv1_bn" and weight == "moving_mean":
        return Pick(
            (name, first.format("bias"), first.format("kernel")),
            _less_bias_and_shift,
            "minus the convolution's bias and the difference of the input's means",
        )
    if weight == "moving_mean":
        conv = layer.removesuffix("bn") + "conv"
        bias = f"{conv}/{conv}/bias:0"
        if bias in source.shapes:
            return Pick((name, bias), np.subtract, "minus the convolution's bias")
    if weight == "moving_variance" and epsilon_change:
        return Pick(
            (name,),
            lambda variance: variance + np.float32(epsilon_change),
            "plus the difference of the epsilons",
        )
    return Pick((name,))


def _of_normalized_rgb(kernel: np.ndarray) -> np.ndarray:
    return kernel[:, :, ::-1] * _PIXELS_PER_UNIT[:, None]


def _less_bias_and_shift(mean, bias, kernel) -> np.ndarray:
    """Returns a mean that makes up for our input being 0 at another grey.

    It is not exact at the border of the picture: each side pads with its own 0, and
    these are half a grey level apart.
    """
    shift = 255.0 * np.float32(images.MEAN_RGB) - _THEIR_MEAN_RGB
    return mean - bias - np.einsum("hwio,i->o", kernel[:, :, ::-1], shift)


def _explain(name: str) -> str:
    if name.startswith(("top_", "predictions/", "probs/")):
        return "ImageNet classifier"
    if name.startswith("normalization/"):
        return "normalisation of the input, which st_keras does before the model"
    return ""


def _notes(source: Hdf5) -> list[str]:
    mean = "normalization/normalization/mean:0"
    if mean not in source.shapes:
        return []
    values = ", ".join(f"{value:.3g}" for value in np.ravel(source.value(mean)))
    return [f"the network's own input normalisation has the mean {values}"]
