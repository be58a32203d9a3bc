"""DeepLabv3+: a dilated backbone, a pyramid of poolings, and a decoder."""

import tensorflow as tf

from st_keras.models.arguments import (
    check_at_least,
    check_divides,
    check_style,
)
from st_keras.models.backbones import BACKBONES, build_backbone
from st_keras.models.backbones.resnet import DEPTHS
from st_keras.models.heads.deeplab import deeplab_head
from st_keras.models.layers import Norm, assemble
from st_keras.models.necks.aspp import aspp

# Of the pooling, by output stride: the same distances in the image.
_RATES = {8: (12, 24, 36), 16: (6, 12, 18), 32: (3, 6, 9)}
_MULTIGRID = (1, 2, 4)


def deeplab_v3_plus(
    image_size_px: tuple[int, int],
    num_classes: int,
    *,
    backbone: str = "resnet101",
    output_stride: int = 16,
    multigrid: tuple[int, ...] | None = None,
    aspp_rates: tuple[int, ...] | None = None,
    aspp_filters: int = 256,
    low_level_filters: int = 48,
    decoder_filters: int = 256,
    decoder_convs: int = 2,
    dropout: float = 0.5,
    activation: str = "relu",
    norm: Norm | None = None,
    flavor: str = "authors",
    drop_connect: float | None = None,
) -> tf.keras.Model:
    """Returns a segmenter as a functional Keras model with static shapes.

    Args:
      image_size_px: Height and width, multiples of the output stride.
      num_classes: K logits per cell, including the background if it is a class.
      backbone: `tiny`, a ResNet or an EfficientNet of `models.BACKBONES`.
      output_stride: Pixels per cell of the backbone's last feature: 8, 16 or 32;
        `tiny` has 32.
      multigrid: For a ResNet, as in `backbones.resnet`; None: 1, 2, 4, for as many
        blocks as there are, if the last stage is dilated.
      aspp_rates: Dilations of the pyramid; None: 6, 12, 18 at output stride 16, twice
        that at 8, half of it at 32.
      aspp_filters: Channels of the pyramid.
      low_level_filters: Channels that the backbone's feature at stride 4 is reduced to.
      decoder_filters: Channels of the decoder's 3x3 convolutions.
      decoder_convs: How many of them.
      dropout: Share of the pyramid's activations dropped while training.
      activation: Name of a Keras activation. An EfficientNet keeps swish.
      norm: BatchNorm; None: that of tf-models-official's DeepLabv3+. An EfficientNet
        keeps its momentum and epsilon.
      flavor: Whose weights the backbone is for; see `build_backbone`.
      drop_connect: Share of examples for which the backbone's last residual branch is
        dropped while training; None: the backbone's own.

    Returns:
      Model from [B, H, W, 3] normalised images to `{"logits": [B, H/4, W/4, K]}`,
      float32. Its parts are the layers "backbone", "neck" and "head".

    Raises:
      ValueError: The image does not divide, or a setting does not go with the backbone.

    Source: Chen et al. 2018, arXiv:1802.02611; the settings are those of
    tf-models-official for PASCAL VOC, except that its activation is swish.
    """
    check_style(activation, drop_connect, flavor)
    check_at_least(0, decoder_convs=decoder_convs)
    check_at_least(
        1,
        aspp_filters=aspp_filters,
        low_level_filters=low_level_filters,
        decoder_filters=decoder_filters,
    )
    _check_backbone(backbone, output_stride, multigrid)
    rates = aspp_rates or _RATES[output_stride]
    _check_numbers(image_size_px, num_classes, output_stride, rates, dropout)
    norm = norm or Norm(momentum=0.9997, epsilon=1e-3)
    style = {"activation": activation, "norm": norm}
    more = {"flavor": flavor, "drop_connect": drop_connect}
    if backbone != "tiny":
        more["output_stride"] = output_stride
    if backbone.startswith("resnet"):
        if multigrid is None and output_stride < 32:
            blocks = DEPTHS[int(backbone.removeprefix("resnet"))].repeats[-1]
            multigrid = _MULTIGRID[:blocks]
        more["multigrid"] = multigrid
    extractor = build_backbone(backbone, image_size_px, **style, **more)
    images = tf.keras.layers.Input([*image_size_px, 3], name="images")
    features = extractor(images)
    low, high = features["2"], features["5"]
    neck = aspp(
        high.shape,
        rates=rates,
        filters=aspp_filters,
        dropout=dropout,
        **style,
    )
    high = neck(high)
    head = deeplab_head(
        low.shape,
        high.shape,
        num_classes,
        low_level_filters=low_level_filters,
        filters=decoder_filters,
        convs=decoder_convs,
        **style,
    )
    outputs = head({"low": low, "high": high})
    return assemble(images, outputs, "deeplab_v3_plus")


def _check_backbone(backbone, output_stride, multigrid) -> None:
    families = ("tiny", "resnet", "efficientnet")
    if backbone not in BACKBONES or not backbone.startswith(families):
        choices = [name for name in BACKBONES if name.startswith(families)]
        raise ValueError(
            f"`backbone` must be one of {', '.join(choices)}, got {backbone!r}."
        )
    if output_stride not in _RATES:
        raise ValueError(
            f"`output_stride` must be one of 8, 16, 32, got {output_stride}."
        )
    if backbone == "tiny" and output_stride != 32:
        raise ValueError(
            "`output_stride` must be 32 on the tiny backbone, which is never dilated, "
            f"got {output_stride}."
        )
    if multigrid is not None and not backbone.startswith("resnet"):
        raise ValueError(
            f"`multigrid` must be None on {backbone}, as only ResNets have one, got "
            f"{multigrid}."
        )


def _check_numbers(image_size_px, num_classes, output_stride, rates, dropout) -> None:
    check_divides(image_size_px, output_stride, "the output stride")
    check_at_least(2, num_classes=num_classes)
    if min(rates) < 1:
        raise ValueError(f"`aspp_rates` must be 1 or more each, got {rates}.")
    if not 0.0 <= dropout < 1.0:
        raise ValueError(f"`dropout` must be in [0, 1), got {dropout}.")
