"""The paper's segmenter: a backbone, a NAS-FPN, and all its levels added up."""

import tensorflow as tf

from st_keras.models.arguments import (
    check_at_least,
    check_divides,
    check_style,
)
from st_keras.models.backbones import build_backbone
from st_keras.models.heads.segmentation import segmentation_head
from st_keras.models.layers import Norm, assemble
from st_keras.models.necks.nas_fpn import MAX_LEVEL, MIN_LEVEL, nas_fpn
from st_keras.models.necks.pyramid_fusion import pyramid_fusion


def nas_fpn_segmenter(
    image_size_px: tuple[int, int],
    num_classes: int,
    *,
    backbone: str = "efficientnet_b7",
    filters: int = 256,
    repeats: int = 7,
    separable: bool = True,
    head_convs: int = 3,
    activation: str = "relu",
    norm: Norm | None = None,
    drop_connect: float | None = None,
    flavor: str = "authors",
) -> tf.keras.Model:
    """Returns a segmenter as a functional Keras model with static shapes.

    Args:
      image_size_px: Height and width, multiples of 128.
      num_classes: K logits per cell, including the background if it is a class.
      backbone: A ResNet, an EfficientNet or the tiny one of `models.BACKBONES`.
      filters: Channels of pyramid and head.
      repeats: Cells of the NAS-FPN.
      separable: Depthwise-separable convolutions in the NAS-FPN.
      head_convs: 3x3 convolutions before the predictor.
      activation: Name of a Keras activation. An EfficientNet keeps swish.
      norm: BatchNorm; None: momentum 0.997 and epsilon 1e-3, as the authors' configs
        for PASCAL VOC. An EfficientNet keeps its momentum and epsilon.
      drop_connect: Share of examples for which the backbone's last residual branch is
        dropped while training; None: what the authors set for the backbone.
      flavor: Whose weights the backbone is for; see `build_backbone`.

    Returns:
      Model from [B, H, W, 3] normalised images to `{"logits": [B, H/4, W/4, K]}`,
      float32. Its parts are the layers "backbone", "neck", "fusion" and "head".

    Raises:
      ValueError: The image does not divide, or the backbone has no such features.

    Source: Zoph et al. 2020, arXiv:2006.06882, section 4.1, and the authors' configs.
    """
    check_divides(image_size_px, 2**MAX_LEVEL)
    check_style(activation, drop_connect, flavor)
    check_at_least(0, head_convs=head_convs)
    check_at_least(1, filters=filters, repeats=repeats)
    check_at_least(2, num_classes=num_classes)
    if backbone.startswith("spinenet"):
        raise ValueError(
            "`backbone` must be a ResNet, an EfficientNet or tiny: a SpineNet joins "
            f"scales itself, got {backbone!r}."
        )
    style = {"activation": activation, "norm": norm or Norm(epsilon=1e-3)}
    more = {"flavor": flavor, "drop_connect": drop_connect}
    extractor = build_backbone(backbone, image_size_px, **style, **more)
    images = tf.keras.layers.Input([*image_size_px, 3], name="images")
    features = {
        level: feature
        for level, feature in extractor(images).items()
        if int(level) >= MIN_LEVEL
    }
    neck = nas_fpn(
        {level: feature.shape for level, feature in features.items()},
        filters=filters,
        repeats=repeats,
        separable=separable,
        **style,
    )
    pyramid = neck(features)
    fusion = pyramid_fusion(
        {level: feature.shape for level, feature in pyramid.items()}
    )
    fused = fusion(pyramid)
    head = segmentation_head(fused.shape, num_classes, convs=head_convs, **style)
    return assemble(images, head(fused), "nas_fpn_segmenter")
