"""Changes of an image's pixels where they are; boxes stay where they are.

Semantics are PIL's (`ImageOps`, `ImageEnhance`), to one level of 255, contrast to two.
Those of tf-models-official and TensorFlow Addons give the same, but they gather or
choose byte by byte; these are arithmetic on whole rows, and most take less than half
the time (`tools/benchmark.py --suite input`).

Every image is [H, W, 3] uint8, and the second argument is the [] float32 that
`operations.argument` gives for the operation. Where only a part of the image is the
picture, as on a canvas of fixed size, `window_yxyx` [4] int32 says which: statistics
are taken from there. What becomes of the pixels around it does not matter.
"""

from collections.abc import Callable

import tensorflow as tf

_LUMA = (0.299, 0.587, 0.114)  # Red, green, blue; ITU-R BT.601, as PIL converts.


def auto_contrast(image, _, window_yxyx=None) -> tf.Tensor:
    """Stretches each channel so that its darkest pixel is 0, its brightest 255."""
    if window_yxyx is None:
        low, high = tf.reduce_min(image, [0, 1]), tf.reduce_max(image, [0, 1])
    else:
        inside = inside_window(image, window_yxyx)
        low = tf.reduce_min(tf.where(inside, image, 255), [0, 1])
        high = tf.reduce_max(tf.where(inside, image, 0), [0, 1])
    low, high = tf.cast(low, tf.float32), tf.cast(high, tf.float32)
    is_flat = high <= low
    scale = tf.where(is_flat, 1.0, 255.0 / tf.where(is_flat, 1.0, high - low))
    return _scale_channels(image, scale, tf.where(is_flat, 0.0, -low * scale))


def equalize(image, _, window_yxyx=None) -> tf.Tensor:
    """Maps each channel so that all its levels are about equally frequent."""
    counts = _histograms(image, window_yxyx)
    levels = tf.range(256)
    last = tf.reduce_max(tf.where(counts > 0, levels, 0), axis=1)
    total = tf.reduce_sum(counts, axis=1)
    step = (total - tf.gather(counts, last, batch_dims=1)) // 255
    below = tf.cumsum(counts, axis=1, exclusive=True)
    table = (step[:, None] // 2 + below) // tf.maximum(step, 1)[:, None]
    table = tf.where(step[:, None] > 0, tf.minimum(table, 255), levels)
    if window_yxyx is None:
        return _look_up_pairs(image, table)
    return _look_up(image, table)


def invert(image, _, window_yxyx=None) -> tf.Tensor:
    """Turns every level l into 255 - l."""
    return tf.bitwise.invert(image)


def posterize(image, bits, window_yxyx=None) -> tf.Tensor:
    """Keeps the leading bits of every level."""
    dropped = tf.bitwise.left_shift(1, 8 - tf.cast(bits, tf.int32)) - 1
    return tf.bitwise.bitwise_and(image, tf.cast(255 - dropped, tf.uint8))


def solarize(image, threshold, window_yxyx=None) -> tf.Tensor:
    """Inverts every level that is not below the threshold."""
    # In two steps, since a threshold of 256 does not fit a byte.
    below_it = tf.cast(tf.clip_by_value(threshold, 0.0, 255.0), tf.uint8)
    inverts = tf.cast(image >= below_it, tf.uint8) * tf.cast(
        threshold < 256.0, tf.uint8
    )
    return tf.bitwise.bitwise_xor(image, inverts * 255)


def solarize_add(image, summand, window_yxyx=None) -> tf.Tensor:
    """Adds to every level below 128; at most 127, so that none overflows."""
    return image + tf.cast(image < 128, tf.uint8) * tf.cast(summand, tf.uint8)


def color(image, factor, window_yxyx=None) -> tf.Tensor:
    """Fades towards grey below 1, away from it above."""
    mix = factor * tf.eye(3) + (1.0 - factor) * tf.constant(_LUMA)[:, None]
    pixels = tf.reshape(tf.cast(image, tf.float32), [-1, 3])
    return _to_bytes(tf.reshape(tf.matmul(pixels, mix), tf.shape(image)))


def contrast(image, factor, window_yxyx=None) -> tf.Tensor:
    """Fades towards the mean brightness of the image below 1, away from it above."""
    pixels = tf.cast(image, tf.float32)
    if window_yxyx is None:
        means = tf.reduce_mean(pixels, axis=[0, 1])
    else:
        inside = inside_window(image, window_yxyx)
        size = tf.cast(window_yxyx[2:] - window_yxyx[:2], tf.float32)
        means = tf.reduce_sum(tf.where(inside, pixels, 0.0), [0, 1])
        means /= tf.maximum(size[0] * size[1], 1.0)
    grey = tf.floor(tf.reduce_sum(means * tf.constant(_LUMA)) + 0.5)
    return _to_bytes(grey + factor * (pixels - grey))


def contrast_of_authors(image, factor, window_yxyx=None) -> tf.Tensor:
    """Fades as in the authors' code: towards the mean of a histogram, not the image's.

    That mean is the number of pixels / 256, which is white for any image of 256 x 256.
    """
    size = tf.shape(image)[:2]
    if window_yxyx is not None:
        size = window_yxyx[2:] - window_yxyx[:2]
    grey = tf.minimum(tf.cast(size[0] * size[1], tf.float32) / 256.0, 255.0)
    pixels = tf.cast(image, tf.float32)
    return _to_bytes(grey + factor * (pixels - grey))


def brightness(image, factor, window_yxyx=None) -> tf.Tensor:
    """Fades towards black below 1, away from it above."""
    return _to_bytes(factor * tf.cast(image, tf.float32))


def sharpness(image, factor, window_yxyx=None) -> tf.Tensor:
    """Fades towards a smoothed image below 1, away from it above; not at the border."""
    sharper = tf.cond(
        tf.reduce_min(tf.shape(image)[:2]) > 2,
        lambda: _sharpen(image, factor),
        lambda: image,
    )
    if window_yxyx is None:
        return sharper
    smaller = window_yxyx + tf.constant([1, 1, -1, -1])
    return tf.where(inside_window(image, smaller), sharper, image)


OPERATIONS: dict[str, Callable] = {
    "AutoContrast": auto_contrast,
    "Equalize": equalize,
    "Invert": invert,
    "Posterize": posterize,
    "Solarize": solarize,
    "SolarizeAdd": solarize_add,
    "Color": color,
    "Contrast": contrast,
    "Brightness": brightness,
    "Sharpness": sharpness,
}
AUTHORS_OPERATIONS = OPERATIONS | {"Contrast": contrast_of_authors}


def inside_window(image: tf.Tensor, window_yxyx: tf.Tensor) -> tf.Tensor:
    """Returns [H, W, 1] bool: whether a pixel lies in a window of whole pixels."""
    y = tf.range(tf.shape(image)[0])[:, None, None]
    x = tf.range(tf.shape(image)[1])[None, :, None]
    y0, x0, y1, x1 = tf.unstack(window_yxyx)
    return (y >= y0) & (y < y1) & (x >= x0) & (x < x1)


def _to_bytes(pixels: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.clip_by_value(pixels + 0.5, 0.0, 255.0), tf.uint8)


def _sharpen(image, factor) -> tf.Tensor:
    pixels = tf.cast(image, tf.float32)
    rows = pixels[:-2] + pixels[1:-1] + pixels[2:]
    # 3 x 3 pixels, the one in the middle five times as heavy: 13 in all.
    total = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] + 4.0 * pixels[1:-1, 1:-1]
    smooth = tf.floor(total / 13.0 + 0.5)
    inner = _to_bytes(smooth + factor * (pixels[1:-1, 1:-1] - smooth))
    middle = tf.concat([image[1:-1, :1], inner, image[1:-1, -1:]], axis=1)
    return tf.concat([image[:1], middle, image[-1:]], axis=0)


def _scale_channels(image, scale, offset) -> tf.Tensor:
    # A row is one vector: broadcasting a vector of 3 over an image runs at a quarter of
    # the speed.
    height, width = tf.unstack(tf.shape(image)[:2])
    rows = tf.reshape(tf.cast(image, tf.float32), [height, width * 3])
    rows = rows * tf.tile(scale, [width]) + tf.tile(offset, [width])
    return _to_bytes(tf.reshape(rows, tf.shape(image)))


def _histograms(image, window_yxyx) -> tf.Tensor:
    """Returns [3, 256] int32, how often each level occurs."""
    pixels = tf.cast(image, tf.int32)
    if window_yxyx is None:
        width = tf.shape(image)[1]
        rows = tf.reshape(pixels, [-1, width * 3]) + tf.tile([0, 256, 512], [width])
        return tf.reshape(tf.histogram_fixed_width(rows, [0, 767], 768), [3, 256])
    # Counted by a matrix product, which every accelerator is made for.
    inside = tf.cast(inside_window(image, window_yxyx), tf.float32)
    high = tf.one_hot(pixels // 16, 16) * inside[..., None]
    low = tf.one_hot(pixels % 16, 16)
    counts = tf.einsum("hwci,hwcj->cij", high, low)
    return tf.cast(tf.round(tf.reshape(counts, [3, 256])), tf.int32)


def _look_up(image: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
    """Returns an image mapped by a [3, 256] table, without a gather per pixel."""
    pixels = tf.cast(image, tf.int32)
    by_high = tf.reshape(tf.cast(table, tf.float32), [3, 16, 16])
    rows = tf.einsum("hwci,cij->hwcj", tf.one_hot(pixels // 16, 16), by_high)
    found = tf.reduce_sum(rows * tf.one_hot(pixels % 16, 16), axis=-1)
    return tf.cast(found + 0.5, tf.uint8)


def _look_up_pairs(image: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
    """Returns an image mapped by a [3, 256] table, two bytes at a time.

    The number of look-ups sets the cost, so two neighbours form one of 65536 levels.
    """
    values = tf.reshape(image, [-1])
    missing = (-tf.size(values)) % 6  # Red-green, blue-red, green-blue: a round of six.
    pairs = tf.reshape(tf.pad(values, [[0, missing]]), [-1, 2])
    pairs = tf.cast(tf.bitcast(pairs, tf.uint16), tf.int32)
    pairs += tf.tile([0, 65536, 131072], [tf.size(pairs) // 3])
    tables = [
        table[first][None, :] + 256 * table[second][:, None]
        for first, second in ((0, 1), (2, 0), (1, 2))
    ]
    both = tf.cast(tf.reshape(tf.stack(tables), [-1]), tf.uint16)
    found = tf.gather_nd(both, pairs[:, None])  # Half the time of a plain gather.
    found = tf.reshape(tf.bitcast(found, tf.uint8), [-1])
    return tf.reshape(found[: tf.size(values)], tf.shape(image))
