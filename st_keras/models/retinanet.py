"""RetinaNet: a backbone, a feature pyramid, and two towers shared by its levels."""

import tensorflow as tf

from st_keras.models.arguments import (
    check_at_least,
    check_divides,
    check_style,
)
from st_keras.models.backbones import build_backbone
from st_keras.models.heads.boxes import box_head
from st_keras.models.layers import Norm, assemble
from st_keras.models.necks.fpn import fpn
from st_keras.models.necks.nas_fpn import nas_fpn

NECKS = ("fpn", "nas_fpn", "none")


def retinanet(
    image_size_px: tuple[int, int],
    num_classes: int,
    *,
    backbone: str = "resnet50",
    neck: str = "",
    min_level: int = 3,
    max_level: int = 7,
    neck_filters: int = 256,
    neck_repeats: int = 7,
    head_convs: int = 4,
    head_filters: int = 256,
    separable: bool = False,
    anchors_per_cell: int = 9,
    activation: str = "relu",
    norm: Norm | None = None,
    drop_connect: float | None = None,
    flavor: str = "authors",
) -> tf.keras.Model:
    """Returns a detector as a functional Keras model with static shapes.

    Args:
      image_size_px: Height and width, multiples of `2**max_level` and, on a SpineNet,
        of 128.
      num_classes: K logits per anchor; there is no background class.
      backbone: A key of `models.BACKBONES`.
      neck: `fpn`, `nas_fpn` or `none`; empty: none on a SpineNet, otherwise fpn.
      min_level: Finest pyramid level, 2 to 5; level l has one cell every `2**l`
        pixels.
      max_level: Coarsest level.
      neck_filters: Channels of the pyramid.
      neck_repeats: Cells of a NAS-FPN.
      head_convs: 3x3 convolutions per tower before the predictor.
      head_filters: Their channels.
      separable: Depthwise-separable convolutions in the head, and in a NAS-FPN.
      anchors_per_cell: Scales times aspect ratios.
      activation: Name of a Keras activation. An EfficientNet keeps swish.
      norm: BatchNorm; None: the authors'. An EfficientNet keeps its momentum and
        epsilon.
      drop_connect: Share of examples for which the backbone's last residual branch is
        dropped while training; None: what the authors set for the backbone.
      flavor: Whose weights the backbone is for; see `build_backbone`.

    Returns:
      Model from [B, H, W, 3] normalised images to `logits` [B, A, K] and `offsets`
      [B, A, 4], both float32, anchors in the order of `ops.anchors.make_anchors`.
      Its parts are the layers "backbone", "neck" (if any) and "head".

    Raises:
      ValueError: A size does not divide, or there is no such backbone or neck.

    Source: Lin et al. 2017, arXiv:1708.02002.
    """
    norm = norm or Norm()
    neck = neck or ("none" if backbone.startswith("spinenet") else "fpn")
    check_style(activation, drop_connect, flavor)
    check_at_least(0, head_convs=head_convs)
    check_at_least(
        1,
        num_classes=num_classes,
        neck_filters=neck_filters,
        neck_repeats=neck_repeats,
        head_filters=head_filters,
        anchors_per_cell=anchors_per_cell,
    )
    _check(image_size_px, min_level, max_level, neck, backbone)
    extractor = build_backbone(
        backbone,
        image_size_px,
        activation=activation,
        norm=norm,
        flavor=flavor,
        drop_connect=drop_connect,
    )
    images = tf.keras.layers.Input([*image_size_px, 3], name="images")
    features = {
        level: feature
        for level, feature in extractor(images).items()
        if min_level <= int(level) <= max_level
    }
    shapes = {level: feature.shape for level, feature in features.items()}
    if neck == "fpn":
        pyramid = fpn(
            shapes,
            min_level=min_level,
            max_level=max_level,
            filters=neck_filters,
            norm=norm,
        )
        features = pyramid(features)
    elif neck == "nas_fpn":
        features = nas_fpn(
            shapes,
            filters=neck_filters,
            repeats=neck_repeats,
            separable=separable,
            activation=activation,
            norm=norm,
        )(features)
    head = box_head(
        {level: feature.shape for level, feature in features.items()},
        num_classes,
        convs=head_convs,
        filters=head_filters,
        anchors_per_cell=anchors_per_cell,
        separable=separable,
        activation=activation,
        norm=norm,
    )
    return assemble(images, head(features), f"retinanet_{backbone}")


def _check(image_size_px, min_level, max_level, neck, backbone) -> None:
    check_divides(image_size_px, 2**max_level, "2^max_level")
    if neck not in NECKS:
        raise ValueError(f"`neck` must be one of {', '.join(NECKS)}, got {neck!r}.")
    # Most backbones have features of levels 2 to 5.
    if not 2 <= min_level <= min(max_level, 5):
        raise ValueError(
            "`min_level` must be from 2 to 5 and at most `max_level`, got "
            f"{min_level} and {max_level}."
        )
    if neck != "fpn" and (min_level, max_level) != (3, 7):
        raise ValueError(
            f"`min_level` and `max_level` must be 3 and 7 with neck {neck!r}, got "
            f"{min_level} and {max_level}."
        )
    if neck == "none" and not backbone.startswith("spinenet"):
        raise ValueError(
            f"`neck` must be fpn or nas_fpn on {backbone}: only a SpineNet has "
            "features of all levels."
        )
    if neck != "none" and backbone.startswith("spinenet"):
        raise ValueError(
            f"`neck` must be none on {backbone}, which joins scales itself, got "
            f"{neck!r}."
        )
