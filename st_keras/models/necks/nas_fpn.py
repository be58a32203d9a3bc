"""NAS-FPN: a searched way of joining the levels of a pyramid, repeated."""

import dataclasses

import tensorflow as tf

from st_keras.models.layers import Norm, Upsample

layers = tf.keras.layers

MIN_LEVEL, MAX_LEVEL = 3, 7


@dataclasses.dataclass(frozen=True)
class Node:
    """Makes the next feature of a cell from two made before it."""

    level: int
    merge: str  # sum or attention
    parents: tuple[int, int]
    is_output: bool = False


# Features 0 to 4 are the levels 3 to 7 that come in; the first node makes feature 5.
NODES = (
    Node(4, "attention", (1, 3)),
    Node(4, "sum", (1, 5)),
    Node(3, "sum", (0, 6), is_output=True),
    Node(4, "sum", (6, 7), is_output=True),
    Node(5, "attention", (7, 8), is_output=True),
    Node(7, "attention", (6, 9), is_output=True),
    Node(6, "attention", (9, 10), is_output=True),
)
INPUTS = MAX_LEVEL - MIN_LEVEL + 1


def nas_fpn(
    feature_shapes: dict[str, tf.TensorShape],
    *,
    filters: int = 256,
    repeats: int = 7,
    separable: bool = True,
    activation: str = "relu",
    norm: Norm | None = None,
) -> tf.keras.Model:
    """Returns a model from features of a backbone to a pyramid of levels 3 to 7.

    Args:
      feature_shapes: [B, H / 2^l, W / 2^l, C] by level, static, from level 3 on;
        the levels up to 7 that are missing are pooled from the last.
      filters: Channels of the pyramid.
      repeats: Cells, each with weights of its own.
      separable: Depthwise-separable convolutions.
      activation: Name of a Keras activation.
      norm: BatchNorm; None: the authors'.

    Returns:
      Outputs `{"3": ..., "7": ...}`, [B, H / 2^l, W / 2^l, filters] each.

    Raises:
      ValueError: The levels do not start at 3, have a gap or go beyond 7, or the
        coarsest would not have whole cells.

    Source: Ghiasi et al. 2019, arXiv:1904.07392, and the authors' nasfpn.py. Same
    function as tf-models-official's, whose layers have no names of their own.
    """
    levels = sorted(int(level) for level in feature_shapes)
    _check_features(levels, feature_shapes)
    norm = norm or Norm()
    convolution = layers.SeparableConv2D if separable else layers.Conv2D

    def narrow(x, level):
        if x.shape[-1] == filters:
            return x
        x = convolution(filters, 1, padding="same", name=f"level{level}_conv")(x)
        return norm(x, f"level{level}_norm")

    inputs = {
        str(level): layers.Input(feature_shapes[str(level)][1:], name=f"level{level}")
        for level in levels
    }
    features = [narrow(inputs[str(level)], level) for level in levels]
    for level in range(levels[-1] + 1, MAX_LEVEL + 1):
        pool = layers.MaxPooling2D(2, padding="same", name=f"level{level}_pool")
        features.append(pool(features[-1]))

    def after_merge(x, name):
        x = layers.Activation(activation, name=f"{name}_act")(x)
        x = convolution(filters, 3, padding="same", name=f"{name}_conv")(x)
        return norm(x, f"{name}_norm")

    for cell in range(repeats):
        features = _cell(features, f"cell{cell}", after_merge)
    outputs = {
        str(MIN_LEVEL + index): feature for index, feature in enumerate(features)
    }
    return tf.keras.Model(inputs, outputs, name="neck")


def _check_features(levels: list[int], feature_shapes) -> None:
    fits = levels == list(range(MIN_LEVEL, MIN_LEVEL + len(levels)))
    if not levels or not fits or levels[-1] > MAX_LEVEL:
        raise ValueError(
            f"`feature_shapes` must have levels {MIN_LEVEL}, 4, 5, to {MAX_LEVEL} at "
            f"most, without a gap, got {levels}."
        )
    height, width = feature_shapes[str(MIN_LEVEL)][1:3]
    cells = 2 ** (MAX_LEVEL - MIN_LEVEL)
    if not height or not width or height % cells or width % cells:
        raise ValueError(
            f"`feature_shapes` must have multiples of {cells} cells at level "
            f"{MIN_LEVEL}, got {height} x {width}."
        )


def _cell(features: list[tf.Tensor], name: str, after_merge) -> list[tf.Tensor]:
    """Returns five new features of the five levels."""
    features = list(features)
    levels = list(range(MIN_LEVEL, MAX_LEVEL + 1))
    uses = [0] * INPUTS
    outputs = {}
    for index, node in enumerate(NODES):
        node_name = f"{name}_node{index + INPUTS}"
        first, second = node.parents
        # Attention lets the coarser parent weigh the channels of the finer one.
        coarse, fine = (
            (first, second) if levels[first] >= levels[second] else (second, first)
        )
        coarser = _resample(
            features[coarse], levels[coarse], node.level, f"{node_name}_coarse"
        )
        finer = _resample(features[fine], levels[fine], node.level, f"{node_name}_fine")
        if node.merge == "attention":
            share = layers.GlobalMaxPooling2D(keepdims=True, name=f"{node_name}_max")(
                coarser
            )
            share = layers.Activation("sigmoid", name=f"{node_name}_share")(share)
            finer = layers.Multiply(name=f"{node_name}_weigh")([finer, share])
        joined = [coarser, finer]
        uses[first] += 1
        uses[second] += 1
        if node.is_output:
            # A feature that nothing has used is added to the output of its level.
            for number, feature in enumerate(features):
                if not uses[number] and levels[number] == node.level:
                    joined.append(feature)
                    uses[number] += 1
        x = after_merge(layers.Add(name=f"{node_name}_join")(joined), node_name)
        features.append(x)
        levels.append(node.level)
        uses.append(0)
        if node.is_output:
            outputs[node.level] = x
    return [outputs[level] for level in sorted(outputs)]


def _resample(x: tf.Tensor, level: int, target: int, name: str) -> tf.Tensor:
    factor = 2 ** abs(target - level)
    if target > level:
        pool = layers.MaxPooling2D(factor, padding="same", name=f"{name}_pool")
        return pool(x)
    if target < level:
        return Upsample(factor, name=f"{name}_up")(x)
    return x
