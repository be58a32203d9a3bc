"""All levels of a pyramid, enlarged to one size and added."""

import tensorflow as tf

layers = tf.keras.layers


@tf.keras.utils.register_keras_serializable("st_keras")
class LegacyBilinear(layers.Layer):
    """Enlarges a map as TensorFlow 1 did: cell i of the input sits on cell i * factor.

    Today's resizing puts the centres of cells on each other, half a cell away, and the
    authors' weights have learned the old way. Computes in float32, as theirs.
    """

    def __init__(self, factor: int, **kwargs):
        """Makes the layer.

        Args:
          factor: Of height and width, a whole number.
          **kwargs: Of every Keras layer; its type is float32 whatever they say.

        Raises:
          ValueError: The factor is not a whole number, 1 or more.
        """
        super().__init__(**kwargs | {"dtype": "float32"})
        if factor != int(factor) or factor < 1:
            raise ValueError(f"`factor` must be 1, 2, 3 or so on, got {factor}.")
        self.factor = factor

    def call(self, x):
        size = [side * self.factor for side in x.shape[1:3]]
        return tf.raw_ops.ResizeBilinear(
            images=x, size=size, align_corners=False, half_pixel_centers=False
        )

    def get_config(self):
        return super().get_config() | {"factor": self.factor}


def pyramid_fusion(
    feature_shapes: dict[str, tf.TensorShape], *, level: int = 2
) -> tf.keras.Model:
    """Returns a model from a pyramid to one map of a finer level.

    Args:
      feature_shapes: [B, H / 2^l, W / 2^l, C] by level, static, equal C.
      level: Of what comes out; no feature of the backbone enters at it.

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
        LegacyBilinear(2 ** (int(name) - level), name=f"level{name}_up")(feature)
        for name, feature in inputs.items()
    ]
    fused = layers.Add(name="join", dtype="float32")(enlarged)
    return tf.keras.Model(inputs, fused, name="fusion")
