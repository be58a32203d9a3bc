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

    Args:
      images: [..., 3] uint8, red, green and blue from 0 to 255.
      dtype: Of the result: what the model computes in, its `compute_dtype`.

    Raises:
      ValueError: The images are not uint8, or do not have three channels.
    """
    check_pictures(images=images)
    scaled = tf.cast(images, tf.float32) / 255.0
    normalized = (scaled - MEAN_RGB) / tf.constant(STDDEV_RGB)
    return tf.cast(normalized, dtype)


def check_pictures(**pictures: tf.Tensor) -> None:
    """Refuses, by name, what is not [..., 3] uint8.

    Raises:
      ValueError: Names the dtype or the shape.
    """
    check_bytes(**pictures)
    for name, picture in pictures.items():
        if picture.shape[-1] not in (3, None):
            raise ValueError(
                f"`{name}` must have 3 channels, red, green and blue, got shape "
                f"{tuple(picture.shape)}."
            )


def check_bytes(**pixels: tf.Tensor) -> None:
    """Refuses, by name, what is not uint8; it costs nothing in a graph.

    Floats in [0, 1] would be taken for nearly black, or for nearly unsure.

    Raises:
      ValueError: Names the dtype.
    """
    for name, values in pixels.items():
        dtype = tf.as_dtype(values.dtype)
        if dtype != tf.uint8:
            raise ValueError(
                f"`{name}` must be uint8, got {dtype.name}; scale it to 0 to 255, "
                "round it and cast it."
            )
