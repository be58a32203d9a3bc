"""Atrous spatial pyramid pooling: one feature, seen at several distances."""

import tensorflow as tf

from st_keras.models.layers import Dropout, Norm, Upsample, convolve, global_average

layers = tf.keras.layers


def aspp(
    feature_shape: tf.TensorShape,
    *,
    rates: tuple[int, ...] = (6, 12, 18),
    filters: int = 256,
    dropout: float = 0.5,
    activation: str = "relu",
    norm: Norm | None = None,
) -> tf.keras.Model:
    """Returns a model from the last feature of a backbone to one of `filters` channels.

    A 1x1 convolution, a dilated 3x3 convolution per rate and the mean of the whole map
    run in parallel; a 1x1 convolution joins them.

    Args:
      feature_shape: [B, h, w, C], static.
      rates: Dilations of the 3x3 convolutions, 1 or more each.
      filters: Channels of each branch and of the output.
      dropout: Share of the activations that is dropped at the end while training.
      activation: Name of a Keras activation.
      norm: BatchNorm after each convolution; None: the authors' of detection.

    Returns:
      Model from one tensor to another, [B, h, w, filters].

    Raises:
      ValueError: A rate is below 1.

    Source: Chen et al. 2017, arXiv:1706.05587. Same function as tf-models-official's
    ASPP.
    """
    if not rates or min(rates) < 1:
        raise ValueError(f"`rates` must be 1 or more each, got {rates}.")
    norm = norm or Norm()

    def unit(x, size, name, dilation=1):
        x = convolve(x, filters, size, dilation=dilation, name=f"{name}_conv")
        x = norm(x, f"{name}_norm")
        return layers.Activation(activation, name=f"{name}_act")(x)

    feature = layers.Input(feature_shape[1:], name="feature")
    branches = [unit(feature, 1, "point")]
    for number, rate in enumerate(rates):
        branches.append(unit(feature, 3, f"dilated{number}", rate))
    pooled = global_average("pooled", keepdims=True)(feature)
    pooled = unit(pooled, 1, "pooled")
    # A single cell enlarges to the same map under any interpolation.
    size = tuple(feature_shape[1:3])
    branches.append(Upsample(size, name="pooled_up")(pooled))
    x = unit(layers.Concatenate(name="join")(branches), 1, "join")
    if dropout:
        x = Dropout(dropout, name="dropout")(x)
    return tf.keras.Model(feature, x, name="neck")
