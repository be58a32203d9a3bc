"""The end of a classifier: an average over the image, then a dense layer."""

import tensorflow as tf

from st_keras.models.layers import Dropout, Norm, convolve, global_average

layers = tf.keras.layers


def efficientnet_initializer() -> tf.keras.initializers.Initializer:
    """Returns a new initialiser for the last layer of the authors' EfficientNets.

    The variance is 1 / (3 * classes). A reused one gives the same weights again,
    whatever the seed of the process is by then.
    """
    return tf.keras.initializers.VarianceScaling(1 / 3, "fan_out", "uniform")


def classification_head(
    feature_shapes: dict[str, tf.TensorShape],
    num_classes: int,
    *,
    conv_filters: int = 0,
    dropout: float = 0.0,
    activation: str = "relu",
    norm: Norm | None = None,
    initializer: object = None,
) -> tf.keras.Model:
    """Returns a model from features to the logits of whole images.

    Several levels are averaged. Each is averaged over the image first, which equals
    enlarging the coarse ones (nearest) to the finest.

    Args:
      feature_shapes: [B, h, w, C] by level, static, equal C.
      num_classes: K.
      conv_filters: Channels of a 1x1 convolution before the averages, as in an
        EfficientNet; 0: none.
      dropout: Share of the averages that is dropped while training.
      activation: Name of the Keras activation after that convolution.
      norm: BatchNorm after that convolution; None: the authors'.
      initializer: Of the last layer; None: the authors' of ResNets and SpineNets.

    Returns:
      Model from a dict of features to `{"logits": [B, K]}`, float32.

    Raises:
      ValueError: There is a convolution and more than one level.

    Source: the authors' spinenet.py and efficientnet_model.py.
    """
    if conv_filters and len(feature_shapes) > 1:
        raise ValueError(
            "`feature_shapes` must have one level with `conv_filters`, got "
            f"{', '.join(feature_shapes)}."
        )
    inputs = {
        level: layers.Input(shape[1:], name=f"level{level}")
        for level, shape in feature_shapes.items()
    }
    features = list(inputs.values())
    if conv_filters:
        x = convolve(
            features[0],
            conv_filters,
            1,
            initializer=tf.keras.initializers.VarianceScaling(
                2.0, "fan_out", "untruncated_normal"
            ),
            name="top_conv",
        )
        x = (norm or Norm())(x, "top_norm")
        features = [layers.Activation(activation, name="top_act")(x)]
    pooled = [
        global_average(f"level{level}_pool")(feature)
        for level, feature in zip(inputs, features, strict=True)
    ]
    x = layers.Average(name="join")(pooled) if len(pooled) > 1 else pooled[0]
    if dropout:
        x = Dropout(dropout, name="dropout")(x)
    initializer = initializer or tf.keras.initializers.RandomNormal(stddev=0.01)
    x = layers.Dense(num_classes, kernel_initializer=initializer, name="predict")(x)
    # The losses are float32 even where the model computes in bfloat16.
    logits = layers.Activation("linear", dtype="float32", name="logits")(x)
    return tf.keras.Model(inputs, {"logits": logits}, name="head")
