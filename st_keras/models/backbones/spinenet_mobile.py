"""SpineNet for phones: inverted bottlenecks in a searched order of scales."""

import tensorflow as tf

from st_keras.models.arguments import check_divides, check_style
from st_keras.models.backbones.scale_permuted import Block, walk
from st_keras.models.layers import Dropout, Norm, Upsample, convolve, squeeze_excite

layers = tf.keras.layers

_FILTERS = (8, 16, 24, 40, 80, 112, 112, 112)  # By level.
_ENDPOINT_FILTERS = 48
_EXPAND = 6
_SQUEEZE = 0.2  # Share of a block's input channels.
_STEM_BLOCKS = 2  # Feature 0 has level 1, feature 1 level 2.
_STRIDE = 128  # Of the coarsest level.

_BLOCKS = tuple(
    Block(level, "inverted", parents, is_output)
    for level, parents, is_output in (
        (2, (0, 1), False),
        (2, (1, 2), False),
        (4, (1, 2), False),
        (3, (3, 4), False),
        (4, (3, 5), False),
        (6, (4, 6), False),
        (4, (4, 6), False),
        (5, (7, 8), False),
        (7, (7, 9), False),
        (5, (9, 10), False),
        (5, (9, 11), False),
        (4, (6, 11), True),
        (3, (5, 11), True),
        (5, (8, 13), True),
        (7, (6, 15), True),
        (6, (13, 15), True),
    )
)


def spinenet_mobile(
    image_size_px: tuple[int, int],
    *,
    activation: str = "swish",
    norm: Norm | None = None,
    drop_connect: float = 0.0,
) -> tf.keras.Model:
    """Returns SpineNet-mobile-49, to features of levels 3 to 7.

    Args:
      image_size_px: Height and width, multiples of 128.
      activation: Name of a Keras activation.
      norm: BatchNorm; None: the authors'.
      drop_connect: Share of examples for which the last block's branch is dropped
        while training.

    Returns:
      Outputs `{"3": ..., "7": ...}`, [B, H / 2^l, W / 2^l, 48] each.

    Raises:
      ValueError: The image does not divide.

    Source: Du et al. 2020, arXiv:2010.11426, and the authors' spinenet_mbconv.py.
    """
    check_style(activation, drop_connect)
    check_divides(image_size_px, _STRIDE)
    norm = norm or Norm()

    def unit(x, name, layer):
        x = norm(layer(x), f"{name}_norm")
        return layers.Activation(activation, name=f"{name}_act")(x)

    def convolve_unit(x, filters, size, name, *, stride=1):
        def layer(x):
            return convolve(x, filters, size, stride=stride, name=f"{name}_conv")

        return unit(x, name, layer)

    def depthwise_unit(x, name, *, stride=1):
        if stride > 1:
            x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        depthwise = layers.DepthwiseConv2D(
            3,
            stride,
            padding="valid" if stride > 1 else "same",
            use_bias=False,
            depthwise_initializer="variance_scaling",
            name=f"{name}_conv",
        )
        return unit(x, name, depthwise)

    def inverted(x, filters, name, *, stride=1, drop=0.0):
        channels = x.shape[-1]
        y = convolve_unit(x, channels * _EXPAND, 1, f"{name}_expand")
        y = depthwise_unit(y, f"{name}_depthwise", stride=stride)
        y = squeeze_excite(y, int(channels * _SQUEEZE), activation, f"{name}_se")
        y = convolve(y, filters, 1, name=f"{name}_project_conv")
        y = norm(y, f"{name}_project_norm")
        if stride > 1 or filters != channels:
            return y
        if drop:
            y = Dropout(drop, per_example=True, name=f"{name}_drop")(y)
        return layers.Add(name=f"{name}_add")([y, x])

    def resample(x, parent, block, name):
        level = (1, 2)[parent] if parent < _STEM_BLOCKS else _block(parent).level
        for number in range(block.level - level):
            x = depthwise_unit(x, f"{name}_stride{number}", stride=2)
        if level > block.level:
            x = Upsample(2 ** (level - block.level), name=f"{name}_up")(x)
        x = convolve(x, _FILTERS[block.level], 1, name=f"{name}_widen_conv")
        return norm(x, f"{name}_widen_norm")

    def transform(x, block, depth, name):
        return inverted(x, _FILTERS[block.level], name, drop=drop_connect * depth)

    images = layers.Input([*image_size_px, 3], name="images")
    x = convolve_unit(images, _FILTERS[0], 3, "stem", stride=2)
    first = inverted(x, _FILTERS[1], "stem0")
    second = inverted(first, _FILTERS[2], "stem1", stride=2)
    outputs = walk(
        _BLOCKS,
        [first, second],
        resample=resample,
        transform=transform,
        activation=activation,
    )
    endpoints = {
        str(level): convolve_unit(
            outputs[level], _ENDPOINT_FILTERS, 1, f"endpoint{level}"
        )
        for level in sorted(outputs)
    }
    return tf.keras.Model(images, endpoints, name="backbone")


def _block(feature: int) -> Block:
    return _BLOCKS[feature - _STEM_BLOCKS]
