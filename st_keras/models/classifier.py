"""A classifier of images on any backbone, to train backbones with."""

import tensorflow as tf

from st_keras.models.arguments import check_at_least, check_known, check_style
from st_keras.models.backbones import build_backbone
from st_keras.models.backbones.efficientnet import own_norm
from st_keras.models.heads.classification import (
    classification_head,
    efficientnet_initializer,
)
from st_keras.models.layers import Norm, assemble

_EFFICIENTNET = "efficientnet_"
# The authors' for ImageNet, by size; other backbones have none.
_DROPOUT = {
    **{"b0": 0.2, "b1": 0.2, "b2": 0.3, "b3": 0.3, "b4": 0.4, "b5": 0.4, "b6": 0.5},
    **{"b7": 0.5, "l2": 0.5},
}
_TOP_WIDENS = 4  # Factor on the channels at an EfficientNet's last convolution.


def classifier(
    image_size_px: tuple[int, int],
    num_classes: int,
    *,
    backbone: str = "resnet50",
    activation: str = "relu",
    norm: Norm | None = None,
    dropout: float | None = None,
    drop_connect: float | None = None,
    flavor: str = "authors",
) -> tf.keras.Model:
    """Returns a classifier as a functional Keras model with static shapes.

    Args:
      image_size_px: Height and width, as the backbone needs them: multiples of 128 on
        a SpineNet, of 32 on a ResNet.
      num_classes: K.
      backbone: A key of `models.BACKBONES`. The head uses all five levels of a
        SpineNet, and the last feature of the others.
      activation: Name of a Keras activation. An EfficientNet keeps swish.
      norm: BatchNorm; None: the authors' of detection. An EfficientNet keeps its
        momentum and epsilon.
      dropout: Share of the averaged features dropped while training; None: the
        authors', which is none except for EfficientNets.
      drop_connect: Share of examples for which the backbone's last residual branch is
        dropped while training; None: the backbone's own.
      flavor: Whose weights the backbone is for; see `build_backbone`.

    Returns:
      Model from [B, H, W, 3] normalised images to `{"logits": [B, K]}`, float32. Its
      parts are the layers "backbone" and "head".

    Raises:
      ValueError: There is no such backbone, or a size does not fit it.
    """
    norm = norm or Norm()
    _check(image_size_px, num_classes, dropout)
    check_style(activation, drop_connect, flavor)
    extractor = build_backbone(
        backbone,
        image_size_px,
        activation=activation,
        norm=norm,
        flavor=flavor,
        drop_connect=drop_connect,
    )
    return classifier_on(
        extractor,
        image_size_px,
        num_classes,
        backbone=backbone,
        activation=activation,
        norm=norm,
        dropout=dropout,
    )


def classifier_on(
    extractor: tf.keras.Model,
    image_size_px: tuple[int, int],
    num_classes: int,
    *,
    backbone: str,
    activation: str = "relu",
    norm: Norm | None = None,
    dropout: float | None = None,
) -> tf.keras.Model:
    """Returns a classifier whose backbone is that of another model, layer by layer.

    Only its head is new: both models train the same backbone weights.

    Args:
      extractor: The layer "backbone" of a model.
      image_size_px: Height and width, as for `classifier`; the other model may have
        another size.
      num_classes: K.
      backbone: The extractor's key in `models.BACKBONES`.
      activation: As for `classifier`.
      norm: As for `classifier`.
      dropout: As for `classifier`.

    Returns:
      Model as `classifier` returns it.

    Raises:
      ValueError: A number is out of range.
    """
    norm = norm or Norm()
    _check(image_size_px, num_classes, dropout)
    images = tf.keras.layers.Input([*image_size_px, 3], name="images")
    if extractor.input_shape[1:3] != tuple(image_size_px):
        # A functional model takes pictures of one size. Its layers take any.
        extractor = tf.keras.models.clone_model(
            extractor,
            tf.keras.layers.Input([*image_size_px, 3], name="images"),
            clone_function=lambda layer: layer,
        )
    features = extractor(images)
    if not backbone.startswith("spinenet"):
        features = {"5": features["5"]}
    top = {"activation": activation, "norm": norm, "dropout": dropout or 0.0}
    if backbone.startswith(_EFFICIENTNET):
        top |= {"activation": "swish", "norm": own_norm(norm)}
        top["initializer"] = efficientnet_initializer()
        top["conv_filters"] = _TOP_WIDENS * features["5"].shape[-1]
        if dropout is None:
            top["dropout"] = _DROPOUT[backbone.removeprefix(_EFFICIENTNET)]
    head = classification_head(
        {level: feature.shape for level, feature in features.items()},
        num_classes,
        **top,
    )
    return assemble(images, head(features), "classifier")


def _check(
    image_size_px: tuple[int, int], num_classes: int, dropout: float | None
) -> None:
    """Refuses what does not fit, before any layer is built."""
    check_known(image_size_px)
    check_at_least(2, num_classes=num_classes)
    if dropout is not None and not 0.0 <= dropout < 1.0:
        raise ValueError(f"`dropout` must be in [0, 1), got {dropout}.")
