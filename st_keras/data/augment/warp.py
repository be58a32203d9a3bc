"""Shows an image or a label map under a geometry, on the host."""

import functools

import tensorflow as tf

from st_keras.data.augment import canvas, shrinking
from st_keras.data.augment import geometry as maps
from st_keras.data.augment.geometry import Geometry
from st_keras.ops import host_xla

_CANVASES = (2, 1)  # Sides of a static canvas, in those of the target; largest first.
_compiled_warp = tf.function(canvas.warp, jit_compile=True, autograph=False)
FILL_GREY = 128  # Outside the original: a constant, so that nothing has a ghost.
FILL_LABEL = 255  # Not to be learned.


def warp_image(
    image: tf.Tensor, geometry: Geometry, target_size_px: tuple[int, int]
) -> tf.Tensor:
    """Returns the image under a geometry, bilinear, filled with grey 128.

    Args:
      image: [H, W, 3] uint8.
      geometry: From the image to the target.
      target_size_px: Height and width of the result.

    Returns:
      [*target_size_px, 3] uint8, static shape.
    """
    return _warp(image, geometry, target_size_px, "BILINEAR", FILL_GREY)


def warp_label_map(
    label_map: tf.Tensor, geometry: Geometry, target_size_px: tuple[int, int]
) -> tf.Tensor:
    """Returns a label map under a geometry, nearest pixel, filled with 255.

    Args:
      label_map: [H, W, C] uint8; several that belong together, such as confidences,
        are its channels.
      geometry: From the label map to the target.
      target_size_px: Height and width of the result.

    Returns:
      [*target_size_px, C] uint8, static shape.
    """
    return _warp(label_map, geometry, target_size_px, "NEAREST", FILL_LABEL)


def letterbox(
    image: tf.Tensor, target_size_px: tuple[int, int]
) -> tuple[tf.Tensor, Geometry]:
    """Shows a picture as it is, as large as it fits, as evaluation and serving do.

    Args:
      image: [H, W, 3] uint8.
      target_size_px: Height and width of the result.

    Returns:
      [*target_size_px, 3] uint8, and the geometry from the image's own pixels.
    """
    scale = maps.fitting_scale(tf.shape(image)[:2], target_size_px)
    return _show(image, scale, maps.fit, target_size_px)


def center_crop(
    image: tf.Tensor, target_size_px: tuple[int, int], share: float
) -> tuple[tf.Tensor, Geometry]:
    """Shows the middle of a picture without a margin, as classifiers see it.

    Args:
      image: [H, W, 3] uint8.
      target_size_px: Height and width of the result.
      share: As `geometry.fill` takes it.

    Returns:
      [*target_size_px, 3] uint8, and the geometry from the image's own pixels.
    """
    scale = maps.filling_scale(tf.shape(image)[:2], target_size_px) / share
    fill = functools.partial(maps.fill, share=share)
    return _show(image, scale, fill, target_size_px)


def _show(image, scale, geometry_of, target_size_px) -> tuple[tf.Tensor, Geometry]:
    size = tf.shape(image)[:2]
    halvings = shrinking.halvings(scale)
    small = shrinking.shrink(image, halvings)
    shown = geometry_of(tf.shape(small)[:2], target_size_px)
    return (
        warp_image(small, shown, target_size_px),
        maps.before_shrinking(shown, shrinking.factor(halvings), size),
    )


def move_image(image: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Returns an image moved inside its own edges, bilinear, filled with grey 128.

    Args:
      image: [H, W, 3] uint8, at least one pixel.
      matrix: [2, 3] float32 map from the image to itself.
    """
    return _transform(image, matrix, tf.shape(image)[:2], "BILINEAR", FILL_GREY)


def _warp(pixels, geometry, target_size_px, interpolation, fill) -> tf.Tensor:
    warped = tf.cond(
        geometry.is_straight,
        lambda: _cut_and_resize(pixels, geometry, target_size_px, interpolation, fill),
        lambda: _bend(pixels, geometry.matrix, target_size_px, interpolation, fill),
    )
    warped.set_shape([*target_size_px, pixels.shape[-1]])
    return warped


def _cut_and_resize(pixels, geometry, target_size_px, interpolation, fill):
    y0, x0, y1, x1 = tf.unstack(geometry.source_yxyx)
    window = geometry.target_yxyx
    shown = tf.image.resize(
        pixels[y0:y1, x0:x1], window[2:] - window[:2], method=interpolation.lower()
    )
    shown = tf.cond(geometry.is_mirrored, lambda: tf.reverse(shown, [1]), lambda: shown)
    return _fill_around(_to_bytes(shown), window, target_size_px, fill)


def _bend(pixels, matrix, target_size_px, interpolation, fill):
    def transform():
        return _transform(pixels, matrix, target_size_px, interpolation, fill)

    # For labels: few channels, one pixel of four: fast enough.
    if interpolation == "NEAREST" or not host_xla.is_allowed():
        return transform()
    size = tf.shape(pixels)[:2]
    window = tf.concat([tf.zeros([2], tf.int32), size], 0)

    def compiled(canvas_px):
        room = tf.constant(canvas_px) - size
        padding = [[0, room[0]], [0, room[1]], [0, 0]]
        on_canvas = tf.ensure_shape(tf.pad(pixels, padding), [*canvas_px, 3])
        return _compiled_warp(on_canvas, matrix, window, target_size_px, fill=fill)

    # TensorFlow's own kernel takes twice as long, but takes any size.
    warped = transform
    for times in _CANVASES:
        canvas_px = tuple(times * side for side in target_size_px)
        fits = tf.reduce_all(size <= tf.constant(canvas_px))
        warped = functools.partial(
            tf.cond, fits, functools.partial(compiled, canvas_px), warped
        )
    return warped()


def _transform(pixels, matrix, target_size_px, interpolation, fill):
    size = tf.cast(tf.shape(pixels)[:2], tf.float32)
    window = _window_of(matrix, size, target_size_px)
    back = maps.inverse(matrix)
    # The kernel counts pixels from their centres: centre of pixel i is i + 0.5.
    corner = tf.cast(window[:2], tf.float32) + 0.5
    shift = maps.apply(back, corner) - 0.5
    rows = [back[1, 1], back[1, 0], shift[1], back[0, 1], back[0, 0], shift[0]]
    if interpolation == "BILINEAR":  # In bytes, the kernel would not round.
        pixels = tf.cast(pixels, tf.float32)
    shown = tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[None],
        transforms=tf.stack([*rows, 0.0, 0.0])[None],
        output_shape=window[2:] - window[:2],
        interpolation=interpolation,
        fill_mode="CONSTANT",
        fill_value=float(fill),
    )[0]
    return _fill_around(_to_bytes(shown), window, target_size_px, fill)


def _window_of(matrix, size, target_size_px) -> tf.Tensor:
    """Returns [4] int32, the pixels of the target a picture can reach; never empty.

    The cost of a warp grows with the pixels it fills; a shrunken picture fills few.
    """
    corners = tf.constant([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]) * size
    moved = maps.apply(matrix, corners)
    target = tf.convert_to_tensor(target_size_px)
    low = tf.cast(tf.floor(tf.reduce_min(moved, 0) - 0.5), tf.int32)
    high = tf.cast(tf.math.ceil(tf.reduce_max(moved, 0) + 0.5), tf.int32)
    low = tf.clip_by_value(low, 0, target - 1)
    return tf.concat([low, tf.clip_by_value(high, low + 1, target)], 0)


def _to_bytes(pixels: tf.Tensor) -> tf.Tensor:
    if pixels.dtype == tf.uint8:
        return pixels
    return tf.cast(pixels + 0.5, tf.uint8)


def _fill_around(pixels, window, target_size_px, fill) -> tf.Tensor:
    far = tf.convert_to_tensor(target_size_px) - window[2:]
    around = tf.stack([window[:2], far], axis=1)
    padding = tf.concat([around, [[0, 0]]], axis=0)
    return tf.pad(pixels, padding, constant_values=tf.constant(fill, tf.uint8))
