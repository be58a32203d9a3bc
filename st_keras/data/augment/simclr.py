"""The colours and the blur of SimCLR's views (arXiv:2002.05709, appendix A)."""

import functools

import tensorflow as tf

from st_keras.data.augment import pixels

_JITTER_SHARE = 0.8  # Of the views.
_GREY_SHARE = 0.2
_BLUR_SHARE = 0.5
_FACTORS = 0.8  # At full strength: brightness, contrast, saturation are 1 +- this.
_HUE = 0.2  # Turns of the colour wheel to either side, at full strength.
_SIGMAS_PX = (0.1, 2.0)
_KERNEL_SHARE = 0.1  # Of the height.


def distort(
    image: tf.Tensor, seed: tf.Tensor, *, color_strength: float, blur: bool
) -> tf.Tensor:
    """Changes the colours of a view, and perhaps makes it grey or blurs it.

    Args:
      image: [H, W, 3] uint8, static height.
      seed: [2] int32 or int64.
      color_strength: In [0, 1]; at 0, colours stay, and no view becomes grey.
      blur: Whether half of the views are blurred.

    Returns:
      [H, W, 3] uint8.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    happens = tf.random.stateless_uniform([3], seeds[0])
    if color_strength:
        image = tf.cond(
            happens[0] < _JITTER_SHARE,
            lambda: _jitter(image, seeds[1], color_strength),
            lambda: image,
        )
        image = tf.cond(
            happens[1] < _GREY_SHARE,
            functools.partial(pixels.color, image, 0.0),
            functools.partial(tf.identity, image),
        )
    if blur:
        sigma = tf.random.stateless_uniform([], seeds[2], *_SIGMAS_PX)
        image = tf.cond(
            happens[2] < _BLUR_SHARE,
            functools.partial(gaussian_blur, image, sigma),
            functools.partial(tf.identity, image),
        )
    return image


def gaussian_blur(image: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Returns an image smoothed by a kernel of a tenth of its height.

    Args:
      image: [H, W, 3] uint8, static height.
      sigma: [] float32, pixels.
    """
    reach = max(1, int(image.shape[0] * _KERNEL_SHARE) // 2)
    steps = tf.range(-reach, reach + 1, dtype=tf.float32)
    kernel = tf.nn.softmax(-(steps**2) / (2.0 * sigma**2))
    size = 2 * reach + 1
    smooth = tf.cast(image, tf.float32)
    # The border is repeated: zeros would darken it.
    padding = [[reach, reach], [reach, reach], [0, 0]]
    smooth = tf.pad(smooth, padding, "SYMMETRIC")[None]
    for shape in ([size, 1], [1, size]):
        taps = tf.tile(tf.reshape(kernel, [*shape, 1, 1]), [1, 1, 3, 1])
        smooth = tf.nn.depthwise_conv2d(smooth, taps, [1, 1, 1, 1], "VALID")
    return tf.ensure_shape(tf.cast(smooth[0] + 0.5, tf.uint8), image.shape)


def _jitter(image, seed, strength: float) -> tf.Tensor:
    """Changes brightness, contrast, saturation and hue, in a random order."""
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    reach = _FACTORS * strength
    factors = tf.random.stateless_uniform([3], seeds[0], 1.0 - reach, 1.0 + reach)
    turn = tf.random.stateless_uniform([], seeds[1], -1.0, 1.0) * _HUE * strength
    order = tf.argsort(tf.random.stateless_uniform([4], seeds[2]))
    for place in range(4):
        todo = [
            functools.partial(pixels.brightness, image, factors[0]),
            functools.partial(pixels.contrast, image, factors[1]),
            functools.partial(pixels.color, image, factors[2]),
            functools.partial(tf.image.adjust_hue, image, turn),
        ]
        image = tf.ensure_shape(tf.switch_case(order[place], todo), image.shape)
    return image
