"""Changes of colour; boxes stay where they are."""

import tensorflow as tf

_LUMA = (0.299, 0.587, 0.114)  # Red, green, blue; ITU-R BT.601, as PIL converts.


def jitter_color(image: tf.Tensor, seed: tf.Tensor, strength: float) -> tf.Tensor:
    """Returns the image with brightness, contrast and saturation changed at random.

    Each is multiplied by its own factor from [1 - strength, 1 + strength).

    Args:
      image: [H, W, 3] uint8.
      seed: [2] int32 or int64.
      strength: In [0, 1); 0 changes nothing.
    """
    if strength == 0.0:
        return image
    factors = tf.random.stateless_uniform([3], seed, 1.0 - strength, 1.0 + strength)
    pixels = tf.cast(image, tf.float32) * factors[0]
    grey = tf.tensordot(pixels, tf.constant(_LUMA), 1)[..., None]
    pixels = tf.reduce_mean(grey) + (pixels - tf.reduce_mean(grey)) * factors[1]
    grey = tf.tensordot(pixels, tf.constant(_LUMA), 1)[..., None]
    pixels = grey + (pixels - grey) * factors[2]
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)
