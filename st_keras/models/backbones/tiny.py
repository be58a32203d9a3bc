"""A residual backbone small enough to learn from scratch on two CPU cores."""

import tensorflow as tf

from st_keras.models.arguments import check_divides
from st_keras.models.layers import Norm, convolve

_STEM_FILTERS = 16
_FILTERS = {2: 24, 3: 48, 4: 64, 5: 96}  # By level.

layers = tf.keras.layers


def tiny(
    image_size_px: tuple[int, int],
    *,
    activation: str = "relu",
    norm: Norm | None = None,
) -> tf.keras.Model:
    """Returns a model from [B, H, W, 3] images to features of levels 2 to 5.

    A stem at stride 2, then one block of two 3x3 convolutions per level. Depthwise
    convolutions would save arithmetic but are slower than these on a CPU.

    Args:
      image_size_px: Height and width.
      activation: Name of a Keras activation.
      norm: BatchNorm; None: with short averages, for short runs.

    Returns:
      Outputs `{"2": ..., "5": ...}`, [B, H / 2^l, W / 2^l, C] each.
    """

    check_divides(image_size_px, 2 ** max(_FILTERS))
    norm = norm or Norm(momentum=0.95, epsilon=1e-3)  # For short runs.

    def unit(x, filters, size, stride, name):
        x = convolve(
            x,
            filters,
            size,
            stride=stride,
            padding="same",
            initializer="he_normal",
            name=f"{name}_conv",
        )
        return norm(x, f"{name}_norm")

    def block(x, filters, name):
        shortcut = unit(x, filters, 1, 2, f"{name}_shortcut")
        x = unit(x, filters, 3, 2, f"{name}_a")
        x = layers.Activation(activation, name=f"{name}_a_act")(x)
        x = unit(x, filters, 3, 1, f"{name}_b")
        x = layers.Add(name=f"{name}_add")([x, shortcut])
        return layers.Activation(activation, name=f"{name}_act")(x)

    images = layers.Input([*image_size_px, 3], name="images")
    x = unit(images, _STEM_FILTERS, 3, 2, "stem")
    x = layers.Activation(activation, name="stem_act")(x)
    features = {}
    for level, filters in _FILTERS.items():
        x = block(x, filters, f"level{level}")
        features[str(level)] = x
    return tf.keras.Model(images, features, name="backbone")
