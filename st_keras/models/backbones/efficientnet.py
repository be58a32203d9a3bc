"""EfficientNet: inverted bottlenecks, scaled in width and depth together."""

import dataclasses
import math

import tensorflow as tf

from st_keras.models.arguments import check_known, check_style
from st_keras.models.layers import Dropout, Norm, convolve, squeeze_excite

layers = tf.keras.layers

_SQUEEZE = 0.25  # Share of a block's input channels.
_TOP_LEVEL = 5


@dataclasses.dataclass(frozen=True)
class Stage:
    """Blocks of one number of channels, at scale 1."""

    repeats: int
    kernel: int
    stride: int  # Of the first block.
    expand: int
    filters: int
    level: int  # Of the output.


STAGES = (
    Stage(1, 3, 1, 1, 16, 1),
    Stage(2, 3, 2, 6, 24, 2),
    Stage(2, 5, 2, 6, 40, 3),
    Stage(3, 3, 2, 6, 80, 4),
    Stage(3, 5, 1, 6, 112, 4),
    Stage(4, 5, 2, 6, 192, 5),
    Stage(1, 3, 1, 6, 320, 5),
)
_STEM_FILTERS = 32


@dataclasses.dataclass(frozen=True)
class Scaling:
    """How the sizes of EfficientNet differ."""

    width: float
    depth: float


SCALINGS = {
    "b0": Scaling(1.0, 1.0),
    "b1": Scaling(1.0, 1.1),
    "b2": Scaling(1.1, 1.2),
    "b3": Scaling(1.2, 1.4),
    "b4": Scaling(1.4, 1.8),
    "b5": Scaling(1.6, 2.2),
    "b6": Scaling(1.8, 2.6),
    "b7": Scaling(2.0, 3.1),
    "l2": Scaling(4.3, 5.3),
}


def efficientnet(
    model_id: str,
    image_size_px: tuple[int, int],
    *,
    norm: Norm | None = None,
    drop_connect: float = 0.2,
    output_stride: int = 32,
) -> tf.keras.Model:
    """Returns a model from [B, H, W, 3] images to features of levels 2 to 5.

    Args:
      model_id: b0 to b7, or l2.
      image_size_px: Height and width.
      norm: BatchNorm; None: the authors' for this family, momentum 0.99 and epsilon
        1e-3.
      drop_connect: Share of examples for which the last block's branch is dropped
        while training; earlier ones drop less.
      output_stride: 8, 16 or 32 pixels per cell of the last features. Under 32,
        dilation replaces the strides beyond it.

    Returns:
      Outputs `{"2": ..., "5": ...}`, [B, H / s, W / s, C] each, rounded up, where
      level l has the stride s = 2^l, or the output stride if that is smaller. The last
      convolution of the classifier is not among them: the authors' detectors build it
      without using it, and its weights have no gradient.

    Raises:
      ValueError: There is no such size or output stride, the image size is unknown, or
        the share is out of range.

    Source: Tan and Le 2019, arXiv:1905.11946, and the authors' efficientnet_model.py.
    tf-models-official has no l2, and drops all branches alike.
    """
    if model_id not in SCALINGS:
        raise ValueError(
            f"`model_id` must be one of {', '.join(SCALINGS)}, got {model_id!r}."
        )
    if output_stride not in (8, 16, 32):
        raise ValueError(f"`output_stride` must be 8, 16 or 32, got {output_stride}.")
    check_known(image_size_px)
    check_style("swish", drop_connect)
    norm = norm or own_norm(Norm())
    scaling = SCALINGS[model_id]
    images = layers.Input([*image_size_px, 3], name="images")
    x = convolve(
        images,
        round_filters(_STEM_FILTERS, scaling.width),
        3,
        stride=2,
        padding="same",
        initializer=_initializer(),
        name="stem_conv",
    )
    x = layers.Activation("swish", name="stem_act")(norm(x, "stem_norm"))
    count = sum(round_repeats(stage.repeats, scaling.depth) for stage in STAGES)
    features, number, stride, dilation = {}, 0, 2, 1
    for stage in STAGES:
        for repeat in range(round_repeats(stage.repeats, scaling.depth)):
            own_stride = stage.stride if repeat == 0 else 1
            own_dilation = dilation
            if own_stride > 1 and stride * own_stride > output_stride:
                dilation *= own_stride  # Of the blocks after this one.
                own_stride = 1
            stride *= own_stride
            x = _block(
                x,
                round_filters(stage.filters, scaling.width),
                stage,
                f"block{number}",
                norm=norm,
                stride=own_stride,
                dilation=own_dilation,
                drop=drop_connect * number / count,
            )
            number += 1
        # Each level keeps the output of its last stage.
        features[str(stage.level)] = x
    taps = {str(level): features[str(level)] for level in range(2, _TOP_LEVEL + 1)}
    return tf.keras.Model(images, taps, name="backbone")


def own_norm(norm: Norm) -> Norm:
    """Returns the family's BatchNorm, synchronised if the given one is.

    The authors' detectors and segmenters set BatchNorm everywhere but here.
    """
    return Norm(momentum=0.99, epsilon=1e-3, synchronized=norm.synchronized)


def round_filters(filters: int, width: float) -> int:
    """Returns channels at a width: a multiple of 8, at least 8, at most 10% less."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def round_repeats(repeats: int, depth: float) -> int:
    """Returns the number of blocks of a stage at a depth."""
    return math.ceil(repeats * depth)


def _block(x, filters, stage: Stage, name, *, norm, stride, dilation, drop):
    """Applies an inverted bottleneck: expand, depthwise, squeeze-excite, project."""
    channels = x.shape[-1]
    y = x
    if stage.expand > 1:
        y = convolve(
            y,
            channels * stage.expand,
            1,
            initializer=_initializer(),
            name=f"{name}_expand_conv",
        )
        y = norm(y, f"{name}_expand_norm")
        y = layers.Activation("swish", name=f"{name}_expand_act")(y)
    y = layers.DepthwiseConv2D(
        stage.kernel,
        stride,
        padding="same",
        dilation_rate=dilation,
        use_bias=False,
        depthwise_initializer=_initializer(),
        name=f"{name}_depthwise_conv",
    )(y)
    y = norm(y, f"{name}_depthwise_norm")
    y = layers.Activation("swish", name=f"{name}_depthwise_act")(y)
    y = squeeze_excite(
        y,
        int(channels * _SQUEEZE),
        "swish",
        f"{name}_se",
        make_initializer=_initializer,
    )
    y = convolve(y, filters, 1, initializer=_initializer(), name=f"{name}_project_conv")
    y = norm(y, f"{name}_project_norm")
    if channels != filters or stride > 1:
        return y
    if drop:
        y = Dropout(drop, per_example=True, name=f"{name}_drop")(y)
    return layers.Add(name=f"{name}_add")([y, x])


def _initializer():
    # A new one per layer: a shared one draws the same numbers again.
    return tf.keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
