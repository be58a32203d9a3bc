"""Pixels as the networks want them."""

import tensorflow as tf

# Of ImageNet, red, green, blue, for values in [0, 1]; every published checkpoint of
# the paper was trained with them.
MEAN_RGB = (0.485, 0.456, 0.406)
STDDEV_RGB = (0.229, 0.224, 0.225)


def normalize(images: tf.Tensor, dtype: tf.DType = tf.float32) -> tf.Tensor:
    """Returns [..., 3] zero-mean, unit-variance floats for uint8 RGB images.

    It runs on the device: an image crosses from the host as bytes, a quarter of the
    size of floats.
    """
    scaled = tf.cast(images, tf.float32) / 255.0
    normalized = (scaled - MEAN_RGB) / tf.constant(STDDEV_RGB)
    return tf.cast(normalized, dtype)
