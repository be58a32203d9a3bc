"""A residual backbone small enough to learn from scratch on two CPU cores."""

import tensorflow as tf

_STEM_FILTERS = 16
_FILTERS = {2: 24, 3: 48, 4: 64, 5: 96}  # By level.

layers = tf.keras.layers


def tiny(
    image_size_px: tuple[int, int],
    *,
    activation: str = "relu",
    batch_norm_momentum: float = 0.95,
    batch_norm_epsilon: float = 1e-3,
    sync_batch_norm: bool = False,
) -> tf.keras.Model:
    """Returns a model from [B, H, W, 3] images to features of levels 2 to 5.

    A stem at stride 2, then one block of two 3x3 convolutions per level. Depthwise
    convolutions would save arithmetic but are slower than these on a CPU.

    Returns:
      Outputs `{"2": ..., "5": ...}`, [B, H / 2^l, W / 2^l, C] each.
    """

    def normalize(x, name):
        return layers.BatchNormalization(
            momentum=batch_norm_momentum,
            epsilon=batch_norm_epsilon,
            synchronized=sync_batch_norm,
            name=f"{name}_norm",
        )(x)

    def convolve(x, filters, size, stride, name):
        x = layers.Conv2D(
            filters,
            size,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=name,
        )(x)
        return normalize(x, name)

    def block(x, filters, name):
        shortcut = convolve(x, filters, 1, 2, f"{name}_shortcut")
        x = convolve(x, filters, 3, 2, f"{name}_conv1")
        x = layers.Activation(activation, name=f"{name}_act1")(x)
        x = convolve(x, filters, 3, 1, f"{name}_conv2")
        x = layers.Add(name=f"{name}_add")([x, shortcut])
        return layers.Activation(activation, name=f"{name}_act2")(x)

    images = layers.Input([*image_size_px, 3], name="images")
    x = convolve(images, _STEM_FILTERS, 3, 2, "stem")
    x = layers.Activation(activation, name="stem_act")(x)
    features = {}
    for level, filters in _FILTERS.items():
        x = block(x, filters, f"level{level}")
        features[str(level)] = x
    return tf.keras.Model(images, features, name="tiny")
