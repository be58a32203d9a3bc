"""Feature pyramid: coarse features are added to finer ones."""

import tensorflow as tf

from st_keras.models.layers import Norm


def fpn(
    feature_shapes: dict[str, tf.TensorShape],
    *,
    min_level: int = 3,
    max_level: int = 7,
    filters: int = 256,
    norm: Norm | None = None,
) -> tf.keras.Model:
    """Returns a model from features of a backbone to a pyramid of equal channels.

    It is that of tf-models-official, which equals the authors' with a ReLU before the
    coarsest level, whatever the activation of the model, and with Keras' default
    initialiser.

    Args:
      feature_shapes: [B, H / 2^l, W / 2^l, C] by level, static, from `min_level` on.
      min_level: Finest level of the pyramid.
      max_level: Coarsest level; those that the backbone lacks are made from its last.
      filters: Channels.
      norm: BatchNorm at the end of each level; None: the authors'.

    Returns:
      Outputs `{"3": ..., "7": ...}`, [B, H / 2^l, W / 2^l, filters] each.

    Source: Lin et al. 2016, arXiv:1612.03144.
    """
    from official.vision.modeling.decoders import fpn as garden

    norm = norm or Norm()
    pyramid = garden.FPN(
        feature_shapes,
        min_level,
        max_level,
        num_filters=filters,
        activation="relu",
        norm_momentum=norm.momentum,
        norm_epsilon=norm.epsilon,
        kernel_initializer="glorot_uniform",
    )
    # A plain model: Keras would not know their class when loading it.
    plain = tf.keras.Model(pyramid.input, pyramid.output, name="neck")
    if not norm.synchronized:
        return plain

    def ours(layer):
        is_norm = isinstance(layer, tf.keras.layers.BatchNormalization)
        # The others stay: new ones would draw, and so change all weights after them.
        return norm.layer(layer.name) if is_norm else layer

    return tf.keras.models.clone_model(plain, clone_function=ours)
