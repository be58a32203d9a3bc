"""One geometry per image: decided once, then applied to pixels, boxes and label maps.

A geometry is an affine map from pixels of the original to pixels of the network's
input. However many moves it is made of, an image is resampled once.

A map is a [2, 3] float32 matrix: row 0 gives y, row 1 gives x, of (y, x, 1).
"""

from typing import Any, NamedTuple

import tensorflow as tf


class Geometry(NamedTuple):
    """How an original is shown in the network's input."""

    matrix: Any  # [2, 3] float32, the map.
    # A straight geometry shows a window of the original in a window of the input,
    # perhaps mirrored. Both are whole pixels, so that it is a cut and a resize, which
    # cost a quarter of a warp.
    is_straight: Any  # [] bool.
    source_yxyx: Any  # [4] int32, of the original.
    target_yxyx: Any  # [4] int32, of the input.
    is_mirrored: Any  # [] bool, left to right.


def fit(original_size_px: tf.Tensor, target_size_px: tuple[int, int]) -> Geometry:
    """Returns the geometry that shows the whole image as large as it fits.

    The image lies at the top left; the rest is filled. Its sides are whole pixels.

    Args:
      original_size_px: [2] int32 height and width.
      target_size_px: Height and width of the network's input.
    """
    scale = fitting_scale(original_size_px, target_size_px)
    return straight(
        scale_and_move(scale, scale, [0.0, 0.0]), original_size_px, target_size_px
    )


def fill(
    original_size_px: tf.Tensor, target_size_px: tuple[int, int], share: float
) -> Geometry:
    """Returns the geometry that shows the middle of the image, and no margin.

    Args:
      original_size_px: [2] int32 height and width.
      target_size_px: Height and width of the network's input.
      share: In (0, 1], of the sides of the largest window of the target's shape.
    """
    scale = filling_scale(original_size_px, target_size_px) / share
    target = tf.constant(target_size_px, tf.float32)
    offset = (target - tf.cast(original_size_px, tf.float32) * scale) / 2.0
    return straight(
        scale_and_move(scale, scale, tf.unstack(offset)),
        original_size_px,
        target_size_px,
    )


def filling_scale(
    original_size_px: tf.Tensor, target_size_px: tuple[int, int]
) -> tf.Tensor:
    """Returns [] float32, pixels of the target per pixel of a picture that fills it."""
    target = tf.constant(target_size_px, tf.float32)
    return tf.reduce_max(target / tf.cast(original_size_px, tf.float32))


def fitting_scale(
    original_size_px: tf.Tensor, target_size_px: tuple[int, int]
) -> tf.Tensor:
    """Returns [] float32, pixels of the target per pixel of a picture shown whole."""
    target = tf.constant(target_size_px, tf.float32)
    return tf.reduce_min(target / tf.cast(original_size_px, tf.float32))


def jitter_map(
    original_size_px: tf.Tensor,
    target_size_px: tuple[int, int],
    seed: tf.Tensor,
    *,
    scale_min: float,
    scale_max: float,
    flip_probability: float,
) -> tf.Tensor:
    """Returns a random [2, 3] map for `straight`: scale, place, and perhaps mirror.

    The image fits the target times a scale drawn from [scale_min, scale_max). Where
    that is larger than the target, a random part is seen; where it is smaller, it lies
    at a random place. Every choice has a seed of its own: with a shared one, flip and
    scale would be correlated.

    Args:
      original_size_px: [2] int32 height and width.
      target_size_px: Height and width of the network's input.
      seed: [2] int32 or int64.
      scale_min: Above 0.
      scale_max: At least `scale_min`.
      flip_probability: Of mirroring left to right.
    """
    seeds = tf.random.experimental.stateless_split(seed, 3)
    factor = jitter_scale(seed, scale_min, scale_max)
    scale = fitting_scale(original_size_px, target_size_px) * factor
    target = tf.constant(target_size_px, tf.float32)
    room = target - tf.cast(original_size_px, tf.float32) * scale
    offset = tf.random.stateless_uniform([2], seeds[1]) * room
    flips = tf.random.stateless_uniform([], seeds[2]) < flip_probability
    # Mirrored at the middle of the target: x becomes width - x.
    x_scale = tf.where(flips, -scale, scale)
    x_offset = tf.where(flips, target[1] - offset[1], offset[1])
    return scale_and_move(scale, x_scale, [offset[0], x_offset])


def jitter_scale(seed: tf.Tensor, scale_min: float, scale_max: float) -> tf.Tensor:
    """Returns the [] float32 factor that `jitter_map` draws with the same seed."""
    seeds = tf.random.experimental.stateless_split(seed, 3)
    return tf.random.stateless_uniform([], seeds[0], scale_min, scale_max)


def straight(
    matrix: tf.Tensor, original_size_px: tf.Tensor, target_size_px: tuple[int, int]
) -> Geometry:
    """Returns the nearest geometry that shows one window of whole pixels in another.

    Sides move by at most half a pixel, by more if a picture is thinner than one. The
    result is not straight if nothing is seen.

    Args:
      matrix: [2, 3] float32 map that neither turns nor shears, and mirrors left to
        right at most.
      original_size_px: [2] int32 height and width of the original.
      target_size_px: Height and width of the network's input.
    """
    size = tf.cast(original_size_px, tf.float32)
    target_px = tf.constant(target_size_px)
    target = tf.cast(target_px, tf.float32)
    scale = tf.abs(tf.linalg.diag_part(matrix[:, :2]))
    is_mirrored = matrix[1, 1] < 0.0
    # A mirrored picture is placed unmirrored, then its window is mirrored.
    x_offset = tf.where(is_mirrored, target[1] - matrix[1, 2], matrix[1, 2])
    offset = tf.stack([matrix[0, 2], x_offset])
    low, high = _whole(offset), _whole(offset + scale * size)
    # A picture too thin for a pixel of the target still gets one.
    high = tf.where(low == high, high + 1, high)
    source_low = tf.where(low < 0, _whole(-offset / scale), 0)
    source_high = tf.where(
        high > target_px, _whole((target - offset) / scale), original_size_px
    )
    low, high = tf.maximum(low, 0), tf.minimum(high, target_px)
    is_seen = tf.reduce_all((source_low < source_high) & (low < high))
    swaps = tf.stack([tf.constant(False), is_mirrored])
    target_yxyx = tf.concat(
        [
            tf.where(swaps, target_px - high, low),
            tf.where(swaps, target_px - low, high),
        ],
        0,
    )
    source_yxyx = tf.concat([source_low, source_high], 0)
    exact = _matrix_of_windows(source_yxyx, target_yxyx, is_mirrored)
    return Geometry(
        tf.where(is_seen, exact, matrix), is_seen, source_yxyx, target_yxyx, is_mirrored
    )


def after(
    matrix: tf.Tensor,
    move: tf.Tensor,
    original_size_px: tf.Tensor,
    target_size_px: tuple[int, int],
) -> Geometry:
    """Returns the geometry of an original that was moved first.

    Args:
      matrix: Map from the moved original to the input, as `straight` takes it.
      move: Map from the original to the moved one.
      original_size_px: [2] int32 height and width of the original.
      target_size_px: Height and width of the network's input.
    """
    both = compose(matrix, move)
    shifted = straight(both, original_size_px, target_size_px)
    is_straight = shifted.is_straight & tf.reduce_all(move[:, :2] == tf.eye(2))
    return shifted._replace(
        matrix=tf.where(is_straight, shifted.matrix, both), is_straight=is_straight
    )


def move_of(
    names: tuple[str, ...], index: tf.Tensor, argument: tf.Tensor, size_px: tf.Tensor
) -> tf.Tensor:
    """Returns the maps of operations of `operations.MOVES`.

    A picture turns about its centre and is sheared from its top left corner, as in the
    authors' code.

    Args:
      names: Operations by index.
      index: [...] int32; operations that move nothing give the identity.
      argument: [...] float32, signed: degrees clockwise, pixels per pixel, or pixels.
      size_px: [2] float32, height and width of the picture.

    Returns:
      [..., 2, 3] float32.
    """

    def value(name):
        if name not in names:
            return tf.zeros_like(argument)
        return tf.where(index == names.index(name), argument, 0.0)

    angle = value("Rotate") * (3.141592653589793 / 180.0)
    cos, sin = tf.cos(angle), tf.sin(angle)
    y, x = size_px[0] / 2, size_px[1] / 2
    # At most one value is not 0, so the sum is the map of that operation.
    to_y = [
        cos,
        sin - value("ShearY"),
        y - cos * y - sin * x + value("TranslateY"),
    ]
    to_x = [
        -sin - value("ShearX"),
        cos,
        x - cos * x + sin * y + value("TranslateX"),
    ]
    return tf.stack([tf.stack(to_y, axis=-1), tf.stack(to_x, axis=-1)], axis=-2)


def scale_and_move(y_scale, x_scale, offset_yx) -> tf.Tensor:
    """Returns the [2, 3] map that scales each axis and then moves.

    Args:
      y_scale: [] float32.
      x_scale: [] float32; negative to mirror left to right.
      offset_yx: Two [] float32.
    """
    return tf.stack(
        [tf.stack([y_scale, 0.0, offset_yx[0]]), tf.stack([0.0, x_scale, offset_yx[1]])]
    )


def scale_yx(geometry: Geometry) -> tf.Tensor:
    """Returns [2] float32, pixels of the input per pixel of the original."""
    return tf.linalg.norm(geometry.matrix[:, :2], axis=1)


def before_shrinking(
    shown: Geometry, factor: tf.Tensor, original_size_px: tf.Tensor
) -> Geometry:
    """Returns the geometry of a picture from that of its shrunken copy.

    Args:
      shown: How the shrunken picture is shown.
      factor: [] float32, pixels of the picture per pixel of the shrunken one.
      original_size_px: [2] int32 height and width of the picture.
    """
    times = tf.cast(factor, tf.int32)
    # The last pixel of the shrunken picture may stand for fewer.
    end = tf.concat([original_size_px, original_size_px], 0)
    return shown._replace(
        matrix=tf.concat([shown.matrix[:, :2] / factor, shown.matrix[:, 2:]], axis=1),
        source_yxyx=tf.minimum(shown.source_yxyx * times, end),
    )


def compose(second: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """Returns the map that applies `first`, then `second`."""
    # Sums of products instead of a matrix product, which a TPU rounds to 8 bits.
    linear = tf.reduce_sum(second[:, :2, None] * first[None, :, :2], axis=1)
    return tf.concat([linear, apply(second, first[:, 2])[:, None]], axis=1)


def inverse(matrix: tf.Tensor) -> tf.Tensor:
    """Returns the map back; its determinant must not be 0."""
    (a, b, _), (c, d, _) = [tf.unstack(row) for row in tf.unstack(matrix)]
    determinant = a * d - b * c
    linear = tf.stack([tf.stack([d, -b]), tf.stack([-c, a])]) / determinant
    offset = -tf.reduce_sum(linear * matrix[:, 2], axis=1)
    return tf.concat([linear, offset[:, None]], axis=1)


def apply(matrix: tf.Tensor, points_yx: tf.Tensor) -> tf.Tensor:
    """Returns where a map takes [..., 2] points."""
    products = points_yx[..., None, :] * matrix[:, :2]
    return tf.reduce_sum(products, axis=-1) + matrix[:, 2]


def _matrix_of_windows(source_yxyx, target_yxyx, is_mirrored) -> tf.Tensor:
    source = tf.cast(source_yxyx, tf.float32)
    target = tf.cast(target_yxyx, tf.float32)
    scale = (target[2:] - target[:2]) / (source[2:] - source[:2])
    offset = target[:2] - source[:2] * scale
    x_scale = tf.where(is_mirrored, -scale[1], scale[1])
    x_offset = tf.where(is_mirrored, target[1] + target[3] - offset[1], offset[1])
    return scale_and_move(scale[0], x_scale, [offset[0], x_offset])


def _whole(sides_px: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.round(sides_px), tf.int32)
