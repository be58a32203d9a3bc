"""SimCLR's model: any backbone, and a head that is thrown away after training."""

import tensorflow as tf

from st_keras.models.arguments import check_at_least, check_known, check_style
from st_keras.models.backbones import build_backbone
from st_keras.models.layers import Norm, assemble, global_average

layers = tf.keras.layers


def simclr(
    image_size_px: tuple[int, int],
    *,
    backbone: str = "resnet50",
    activation: str = "relu",
    norm: Norm | None = None,
    projection_layers: int = 3,
    projection_dim: int = 128,
    drop_connect: float | None = None,
    flavor: str = "authors",
) -> tf.keras.Model:
    """Returns SimCLR's model as a functional Keras model with static shapes.

    Args:
      image_size_px: Height and width, as for `classifier`.
      backbone: A key of `models.BACKBONES`. The head uses all five levels of a
        SpineNet, and the last feature of the others.
      activation: Name of a Keras activation, of the backbone and the projection. An
        EfficientNet keeps swish.
      norm: BatchNorm; None: the authors' of detection. An EfficientNet keeps its
        momentum and epsilon.
      projection_layers: Of the head; all but the last keep the number of channels.
      projection_dim: D.
      drop_connect: As for `classifier`.
      flavor: Whose weights the backbone is for; see `build_backbone`.

    Returns:
      Model from [B, H, W, 3] normalised images to `{"projection": [B, D]}`, float32,
      not scaled to unit length. Its parts are the layers "backbone" and "head".

    Raises:
      ValueError: There is no such backbone, or a size does not fit it.

    Source: Chen et al. 2020, arXiv:2002.05709 and, for three layers, 2006.10029.
    """
    norm = norm or Norm()
    check_known(image_size_px)
    check_style(activation, drop_connect, flavor)
    check_at_least(
        1, projection_layers=projection_layers, projection_dim=projection_dim
    )
    extractor = build_backbone(
        backbone,
        image_size_px,
        activation=activation,
        norm=norm,
        flavor=flavor,
        drop_connect=drop_connect,
    )
    images = layers.Input([*image_size_px, 3], name="images")
    features = extractor(images)
    if not backbone.startswith("spinenet"):
        features = {"5": features["5"]}
    head = _projection_head(
        {level: feature.shape for level, feature in features.items()},
        projection_layers,
        projection_dim,
        activation=activation,
        norm=norm,
    )
    return assemble(images, head(features), "simclr")


def _projection_head(feature_shapes, count, dim, *, activation, norm):
    inputs = {
        level: layers.Input(shape[1:], name=f"level{level}")
        for level, shape in feature_shapes.items()
    }
    pooled = [
        global_average(f"level{level}_pool")(feature)
        for level, feature in inputs.items()
    ]
    x = layers.Average(name="join")(pooled) if len(pooled) > 1 else pooled[0]
    channels = x.shape[-1]
    for number in range(1, count + 1):
        is_last = number == count
        x = layers.Dense(
            dim if is_last else channels,
            use_bias=False,  # BatchNorm has one.
            kernel_initializer=tf.keras.initializers.RandomNormal(stddev=0.01),
            name=f"projection{number}",
        )(x)
        x = norm(x, f"projection{number}_norm")
        if not is_last:
            x = layers.Activation(activation, name=f"projection{number}_act")(x)
    # The loss is float32 even where the model computes in bfloat16.
    x = layers.Activation("linear", dtype="float32", name="projection")(x)
    return tf.keras.Model(inputs, {"projection": x}, name="head")
