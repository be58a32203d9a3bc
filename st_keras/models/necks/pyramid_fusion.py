"""All levels of a pyramid, enlarged to one size and added."""

import tensorflow as tf

from st_keras.models.layers import Bilinear

layers = tf.keras.layers


def pyramid_fusion(
    feature_shapes: dict[str, tf.TensorShape], *, level: int = 2
) -> tf.keras.Model:
    """Returns a model from a pyramid to one map of a finer level.

    Args:
      feature_shapes: [B, H / 2^l, W / 2^l, C] by level, static, equal C.
      level: Of the output; no feature of the backbone enters at it.

    Returns:
      Model to [B, H / 2^level, W / 2^level, C], float32.

    Raises:
      ValueError: A feature is finer than the level, or the channels differ.

    Source: the authors' segmentation_model.py.
    """
    finest = min(int(name) for name in feature_shapes)
    if finest < level:
        raise ValueError(
            f"`level` must be {finest}, of the finest feature, or less, got {level}."
        )
    channels = sorted({shape[-1] for shape in feature_shapes.values()})
    if len(channels) > 1:
        raise ValueError(f"`feature_shapes` must have equal channels, got {channels}.")
    inputs = {
        name: layers.Input(shape[1:], name=f"level{name}")
        for name, shape in feature_shapes.items()
    }
    enlarged = [
        # As in the authors' code, with which their weights were trained.
        Bilinear(2 ** (int(name) - level), legacy=True, name=f"level{name}_up")(feature)
        for name, feature in inputs.items()
    ]
    fused = layers.Add(name="join", dtype="float32")(enlarged)
    return tf.keras.Model(inputs, fused, name="fusion")
