"""Two towers over every pyramid level: which class, and which offset of the box."""

import math

import tensorflow as tf

from st_keras.models.layers import Norm

layers = tf.keras.layers

_PRIOR = 0.01  # Share of anchors that are taken for an object at the start.


def box_head(
    feature_shapes: dict[str, tf.TensorShape],
    num_classes: int,
    *,
    convs: int = 4,
    filters: int = 256,
    anchors_per_cell: int = 9,
    separable: bool = False,
    activation: str = "relu",
    norm: Norm | None = None,
) -> tf.keras.Model:
    """Returns a model from a pyramid to logits and offsets of all anchors.

    A tower's convolutions are shared by the levels, its BatchNorm is not.

    Args:
      feature_shapes: [B, h, w, C] by level, static, equal C.
      num_classes: K logits per anchor.
      convs: 3x3 convolutions per tower before the predictor.
      filters: Their channels.
      anchors_per_cell: Scales times aspect ratios.
      separable: Depthwise-separable convolutions, for phones.
      activation: Name of a Keras activation.
      norm: BatchNorm; None: the authors'.

    Returns:
      Outputs `logits` [B, A, K] and `offsets` [B, A, 4], both float32, anchors from
      the finest level to the coarsest.

    Source: Lin et al. 2017, arXiv:1708.02002, and the authors' heads.py. The head of
    tf-models-official cannot reload its weights from a `.keras` file.
    """
    norm = norm or Norm()
    levels = sorted(feature_shapes, key=int)
    inputs = {
        level: layers.Input(feature_shapes[level][1:], name=f"level{level}")
        for level in levels
    }

    def convolution(channels, name, stddev, bias=0.0):
        bias_initializer = tf.keras.initializers.Constant(bias)
        if separable:
            return layers.SeparableConv2D(
                channels,
                3,
                padding="same",
                bias_initializer=bias_initializer,
                name=name,
            )
        return layers.Conv2D(
            channels,
            3,
            padding="same",
            kernel_initializer=tf.keras.initializers.RandomNormal(stddev=stddev),
            bias_initializer=bias_initializer,
            name=name,
        )

    def tower(name, width, bias, output):
        shared = [
            convolution(filters, f"{name}{number}_conv", 0.01)
            for number in range(convs)
        ]
        predictor = convolution(
            anchors_per_cell * width, f"{name}_predict_conv", 1e-5, bias
        )
        rows = []
        for level in levels:
            x = inputs[level]
            for number, conv in enumerate(shared):
                unit = f"{name}{number}_level{level}"
                x = norm(conv(x), f"{unit}_norm")
                x = layers.Activation(activation, name=f"{unit}_act")(x)
            rows.append(
                layers.Reshape([-1, width], name=f"{name}_level{level}")(predictor(x))
            )
        joined = layers.Concatenate(axis=1, name=f"{name}_joined")(rows)
        # The losses are float32 even where the model computes in bfloat16.
        return layers.Activation("linear", dtype="float32", name=output)(joined)

    bias = -math.log((1 - _PRIOR) / _PRIOR)
    outputs = {
        "logits": tower("class", num_classes, bias, "logits"),
        "offsets": tower("box", 4, 0.0, "offsets"),
    }
    return tf.keras.Model(inputs, outputs, name="head")
