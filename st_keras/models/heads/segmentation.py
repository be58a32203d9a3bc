"""A few convolutions and a class for every cell."""

import tensorflow as tf

from st_keras.models.layers import Norm

layers = tf.keras.layers


def segmentation_head(
    feature_shape: tf.TensorShape,
    num_classes: int,
    *,
    convs: int = 3,
    activation: str = "relu",
    norm: Norm | None = None,
) -> tf.keras.Model:
    """Returns a model from a map to logits of its size.

    Args:
      feature_shape: [B, h, w, C], static; the convolutions keep the C channels.
      num_classes: K.
      convs: 3x3 convolutions before the predictor.
      activation: Name of a Keras activation.
      norm: BatchNorm; None: the authors'.

    Returns:
      Model to `{"logits": [B, h, w, K]}`, float32.

    Source: the authors' heads.py.
    """
    norm = norm or Norm()

    def convolve(x, filters, size, name):
        return layers.Conv2D(
            filters,
            size,
            padding="same",
            kernel_initializer=tf.keras.initializers.RandomNormal(stddev=0.01),
            name=name,
        )(x)

    feature = layers.Input(feature_shape[1:], name="feature")
    x = feature
    for number in range(convs):
        x = convolve(x, feature_shape[-1], 3, f"unit{number}_conv")
        x = norm(x, f"unit{number}_norm")
        x = layers.Activation(activation, name=f"unit{number}_act")(x)
    x = convolve(x, num_classes, 1, "predict_conv")
    # The losses are float32 even where the model computes in bfloat16.
    logits = layers.Activation("linear", dtype="float32", name="logits")(x)
    return tf.keras.Model(feature, {"logits": logits}, name="head")
