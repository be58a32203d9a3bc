"""The decoder of DeepLabv3+: coarse features, refined along the edges of finer ones."""

import tensorflow as tf

from st_keras.models.layers import Bilinear, Norm, convolve

layers = tf.keras.layers


def deeplab_head(
    low_shape: tf.TensorShape,
    high_shape: tf.TensorShape,
    num_classes: int,
    *,
    low_level_filters: int = 48,
    filters: int = 256,
    convs: int = 2,
    activation: str = "relu",
    norm: Norm | None = None,
) -> tf.keras.Model:
    """Returns a model from two features to logits at the size of the finer one.

    Args:
      low_shape: [B, h, w, C], static; feature of the backbone at stride 4.
      high_shape: [B, h / n, w / n, C], static, for an integer n; output of the neck.
      num_classes: K.
      low_level_filters: Channels that the finer feature is reduced to, few so that it
        does not outweigh the coarser one.
      filters: Channels of the 3x3 convolutions after the two are joined.
      convs: How many of them.
      activation: Name of a Keras activation.
      norm: BatchNorm; None: the authors' of detection.

    Returns:
      Model from `{"low": ..., "high": ...}` to `{"logits": [B, h, w, K]}`, float32.

    Source: Chen et al. 2018, arXiv:1802.02611. Same function as tf-models-official's
    SegmentationHead with the feature fusion `deeplabv3plus`.
    """
    norm = norm or Norm()

    def unit(x, channels, size, name):
        x = convolve(x, channels, size, initializer=_normal(), name=f"{name}_conv")
        x = norm(x, f"{name}_norm")
        return layers.Activation(activation, name=f"{name}_act")(x)

    inputs = {
        "low": layers.Input(low_shape[1:], name="low"),
        "high": layers.Input(high_shape[1:], name="high"),
    }
    low = unit(inputs["low"], low_level_filters, 1, "low")
    factors = (low_shape[1] // high_shape[1], low_shape[2] // high_shape[2])
    high = Bilinear(factors, name="high_up")(inputs["high"])
    x = layers.Concatenate(name="join")([high, low])
    for number in range(convs):
        x = unit(x, filters, 3, f"decoder{number}")
    x = layers.Conv2D(
        num_classes, 1, kernel_initializer=_normal(), name="predict_conv"
    )(x)
    # The losses are float32 even where the model computes in bfloat16.
    logits = layers.Activation("linear", dtype="float32", name="logits")(x)
    return tf.keras.Model(inputs, {"logits": logits}, name="head")


def _normal():
    # A new one per layer: a shared one draws the same numbers again.
    return tf.keras.initializers.RandomNormal(stddev=0.01)
