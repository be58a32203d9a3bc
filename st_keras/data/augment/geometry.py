"""One geometry per image: decided once, then applied to pixels and boxes alike.

A geometry is an affine map from pixels of the original to pixels of the network's
input. However many moves it is made of, an image is resampled once.
"""

import tensorflow as tf

from st_keras.ops import boxes as box_ops
from st_keras.types import Labels

FILL_GREY = 128  # Outside the original: a constant, so that nothing has a ghost.


def fit(original_size_px: tf.Tensor, target_size_px: tuple[int, int]) -> tf.Tensor:
    """Returns the geometry that shows the whole image as large as it fits.

    The image lies at the top left; the rest is filled.

    Args:
      original_size_px: [2] int32 height and width.
      target_size_px: Height and width of the network's input.

    Returns:
      [2, 3] float32: row 0 gives y, row 1 x, of (y, x, 1).
    """
    scale = _fitting_scale(original_size_px, target_size_px)
    return _matrix(scale, scale, [0.0, 0.0])


def jitter(
    original_size_px: tf.Tensor,
    target_size_px: tuple[int, int],
    seed: tf.Tensor,
    *,
    scale_min: float,
    scale_max: float,
    flip_probability: float,
) -> tf.Tensor:
    """Returns a random geometry: scale, place, and perhaps mirror.

    The image fits the target times a scale drawn from [scale_min, scale_max). Where
    that is larger than the target, a random part is seen; where it is smaller, it lies
    at a random place. Every choice has a seed of its own: drawn from one, flip and
    scale would go together.

    Args:
      original_size_px: [2] int32 height and width.
      target_size_px: Height and width of the network's input.
      seed: [2] int32 or int64.
      scale_min: Above 0.
      scale_max: At least `scale_min`.
      flip_probability: Of mirroring left to right.

    Returns:
      [2, 3] float32, as `fit`.
    """
    seeds = tf.random.experimental.stateless_split(seed, 3)
    factor = tf.random.stateless_uniform([], seeds[0], scale_min, scale_max)
    scale = _fitting_scale(original_size_px, target_size_px) * factor
    target = tf.constant(target_size_px, tf.float32)
    room = target - tf.cast(original_size_px, tf.float32) * scale
    offset = tf.random.stateless_uniform([2], seeds[1]) * room
    flips = tf.random.stateless_uniform([], seeds[2]) < flip_probability
    # Mirrored at the middle of the target: x becomes width - x.
    x_scale = tf.where(flips, -scale, scale)
    x_offset = tf.where(flips, target[1] - offset[1], offset[1])
    return _matrix(scale, x_scale, [offset[0], x_offset])


def warp_image(
    image: tf.Tensor, geometry: tf.Tensor, target_size_px: tuple[int, int]
) -> tf.Tensor:
    """Returns the image under a geometry, bilinear, filled with grey 128.

    The picture's own edge is not mixed with the grey: pixels beyond it count as those
    at it, as in PIL and tf.image.

    Args:
      image: [H, W, 3] uint8.
      geometry: [2, 3] float32.
      target_size_px: Height and width of the result.

    Returns:
      [*target_size_px, 3] uint8, static shape.
    """
    back = _inverse(geometry)
    # The kernel counts pixels from their centres: centre of pixel i is i + 0.5.
    shift = tf.reduce_sum(back[:, :2], axis=1) * 0.5 + back[:, 2] - 0.5
    rows = [back[1, 1], back[1, 0], shift[1], back[0, 1], back[0, 0], shift[0]]
    transform = tf.stack([*rows, 0.0, 0.0])[None]
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(image, tf.float32)[None],
        transforms=transform,
        output_shape=list(target_size_px),
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )[0]
    inside = _comes_from(back, tf.shape(image)[:2], target_size_px)
    filled = tf.where(inside[..., None], tf.round(warped), float(FILL_GREY))
    filled.set_shape([*target_size_px, 3])
    return tf.cast(filled, tf.uint8)


def move_labels(
    labels: Labels,
    geometry: tf.Tensor,
    target_size_px: tuple[int, int],
    *,
    min_visible_share: float,
) -> Labels:
    """Moves boxes with their pixels and drops those that left the image.

    Args:
      labels: [N, ...] in pixels of the original.
      geometry: [2, 3] float32.
      target_size_px: Height and width of the network's input.
      min_visible_share: Boxes that keep less of their area are dropped; so is
        whatever has none left.

    Returns:
      Labels with at most N rows, in pixels of the target, inside it.
    """
    corners = tf.reshape(labels.boxes_yxyx, [-1, 2, 2])
    moved = tf.einsum("nci,ji->ncj", corners, geometry[:, :2]) + geometry[:, 2]
    low, high = tf.reduce_min(moved, axis=1), tf.reduce_max(moved, axis=1)
    whole = tf.concat([low, high], axis=-1)
    seen = box_ops.clip_to_window(whole, tf.constant(target_size_px))
    share = tf.math.divide_no_nan(box_ops.area(seen), box_ops.area(whole))
    stays = tf.logical_and(share > 0.0, share >= min_visible_share)
    kept = Labels(*(tf.boolean_mask(field, stays) for field in labels))
    return kept._replace(boxes_yxyx=tf.boolean_mask(seen, stays))


def _fitting_scale(original_size_px, target_size_px) -> tf.Tensor:
    target = tf.constant(target_size_px, tf.float32)
    return tf.reduce_min(target / tf.cast(original_size_px, tf.float32))


def _matrix(y_scale, x_scale, offset_yx) -> tf.Tensor:
    return tf.stack(
        [tf.stack([y_scale, 0.0, offset_yx[0]]), tf.stack([0.0, x_scale, offset_yx[1]])]
    )


def _comes_from(back, original_size_px, target_size_px) -> tf.Tensor:
    """Returns [*target_size_px] bool: whether a pixel's centre lies in the original."""
    height, width = tf.unstack(tf.cast(original_size_px, tf.float32))
    y = tf.range(target_size_px[0], dtype=tf.float32)[:, None] + 0.5
    x = tf.range(target_size_px[1], dtype=tf.float32)[None, :] + 0.5
    from_y = back[0, 0] * y + back[0, 1] * x + back[0, 2]
    from_x = back[1, 0] * y + back[1, 1] * x + back[1, 2]
    in_height = tf.logical_and(from_y >= 0.0, from_y <= height)
    in_width = tf.logical_and(from_x >= 0.0, from_x <= width)
    return tf.logical_and(in_height, in_width)


def _inverse(geometry: tf.Tensor) -> tf.Tensor:
    (a, b, p), (c, d, q) = [tf.unstack(row) for row in tf.unstack(geometry)]
    determinant = a * d - b * c
    inverse = tf.stack([tf.stack([d, -b]), tf.stack([-c, a])]) / determinant
    offset = -tf.linalg.matvec(inverse, tf.stack([p, q]))
    return tf.concat([inverse, offset[:, None]], axis=1)
