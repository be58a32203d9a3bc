"""Feature extractors, by name."""

import functools

import tensorflow as tf

from st_keras.models.arguments import check_style
from st_keras.models.backbones.efficientnet import efficientnet, own_norm
from st_keras.models.backbones.resnet import resnet
from st_keras.models.backbones.spinenet import SCALINGS, spinenet
from st_keras.models.backbones.spinenet_mobile import spinenet_mobile
from st_keras.models.backbones.tiny import tiny
from st_keras.models.layers import Norm

_DEPTHS = (18, 34, 50, 101, 152, 200)
_EFFICIENTNETS = (*(f"b{number}" for number in range(8)), "l2")

_FLAVORED = ("resnet", *(f"spinenet_{size}" for size in SCALINGS))

BACKBONES = {
    "tiny": tiny,
    **{f"resnet{depth}": functools.partial(resnet, depth) for depth in _DEPTHS},
    **{f"spinenet_{size}": functools.partial(spinenet, size) for size in SCALINGS},
    "spinenet_mobile_49": spinenet_mobile,
    **{
        f"efficientnet_{size}": functools.partial(efficientnet, size)
        for size in _EFFICIENTNETS
    },
}


def build_backbone(
    name: str,
    image_size_px: tuple[int, int],
    *,
    activation: str | None = None,
    norm: Norm | None = None,
    flavor: str = "authors",
    drop_connect: float | None = None,
    **more: object,
) -> tf.keras.Model:
    """Returns the feature extractor of that name.

    Args:
      name: A key of `BACKBONES`.
      image_size_px: Height and width.
      activation: Name of a Keras activation; None: the backbone's, swish for SpineNets
        and relu for others. EfficientNets always keep their own, swish.
      norm: BatchNorm; None: the backbone's. EfficientNets always keep their own
        momentum and epsilon, as in the authors' code, and take only `synchronized`
        from it.
      flavor: Whose weights it must fit, where that makes a difference: `authors`; on a
        ResNet or SpineNet `tf_models`, for tf-models-official; on a ResNet `keras`,
        for tf.keras.applications.
      drop_connect: Share of examples for which the last residual branch is dropped
        while training; None: what the authors set for the backbone.
      **more: Arguments of this backbone alone, such as `output_stride`.

    Returns:
      Model "backbone" from [B, H, W, 3] normalised images to `{level: features}`.

    Raises:
      ValueError: There is none of that name, or the image size does not fit.
    """
    if name not in BACKBONES:
        raise ValueError(
            f"`backbone` must be one of {', '.join(BACKBONES)}, got {name!r}."
        )
    check_style(activation, drop_connect, flavor)
    if drop_connect is not None:
        more["drop_connect"] = drop_connect
    if name == "tiny" and more:
        raise ValueError(f"`{next(iter(more))}` is not a setting of the tiny backbone.")
    if name.startswith("efficientnet"):
        return BACKBONES[name](image_size_px, norm=norm and own_norm(norm), **more)
    if name.startswith(_FLAVORED):
        more["flavor"] = flavor
    if activation is not None:
        more["activation"] = activation
    return BACKBONES[name](image_size_px, norm=norm, **more)
