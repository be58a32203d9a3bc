"""How inference sees a picture: whole, or at several sizes and in tiles."""

import tensorflow as tf

from st_keras.data.augment import geometry, shrinking, warp
from st_keras.types import View


def whole(image: tf.Tensor, view_size_px: tuple[int, int]) -> View:
    """Shows a whole picture, as large as it fits.

    Args:
      image: [H, W, 3] uint8.
      view_size_px: Height and width of the network's input.
    """
    shown_image, shown = warp.letterbox(image, view_size_px)
    return View(
        image=shown_image,
        scale_yx=geometry.scale_yx(shown),
        offset_yx=tf.zeros([2]),
        is_mirrored=tf.constant(False),
        picture_size_px=tf.shape(image)[:2],
    )


def middle(image: tf.Tensor, view_size_px: tuple[int, int], share: float) -> View:
    """Shows the middle of a picture, and nothing else.

    Args:
      image: [H, W, 3] uint8.
      view_size_px: Height and width of the network's input.
      share: In (0, 1], of the sides of the largest window of the view's shape.
    """
    shown_image, shown = warp.center_crop(image, view_size_px, share)
    return View(
        image=shown_image,
        scale_yx=geometry.scale_yx(shown),
        offset_yx=-shown.matrix[:, 2],
        is_mirrored=tf.constant(False),
        picture_size_px=tf.shape(image)[:2],
    )


def tiled(
    image: tf.Tensor,
    view_size_px: tuple[int, int],
    *,
    scales: tuple[float, ...],
    flip: bool,
    overlap: float,
) -> View:
    """Shows a picture at several sizes, in tiles where it is larger than a view.

    Tiles of a size are spread evenly and reach to the picture's edges. They come row
    by row, size by size, and all that are mirrored after all that are not.

    Args:
      image: [H, W, 3] uint8.
      view_size_px: Height and width of the network's input.
      scales: Sizes; at 1, the whole picture is as large as it fits one view.
      flip: Whether each view comes once more, mirrored.
      overlap: Least overlap of neighbouring tiles, as a share of the view.

    Returns:
      [V, ...] views.
    """
    views = [_tiles(image, view_size_px, scale, overlap) for scale in scales]
    both = views + [_mirrored(view) for view in views] if flip else views
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *both)


def _tiles(image, view_size_px, scale, overlap) -> View:
    size = tf.shape(image)[:2]
    halvings = shrinking.halvings(geometry.fitting_scale(size, view_size_px) * scale)
    small = shrinking.shrink(image, halvings)
    # The last pixel of the shrunken picture may stand for less than the others, so
    # sizes and places are computed from the shrunken one.
    small_size = tf.cast(tf.shape(small)[:2], tf.float32)
    shown_at = geometry.fitting_scale(tf.shape(small)[:2], view_size_px) * scale
    scaled_size = tf.cast(tf.maximum(tf.round(small_size * shown_at), 1.0), tf.int32)
    scaled = tf.cast(tf.image.resize(small, scaled_size) + 0.5, tf.uint8)
    missing = tf.maximum(tf.constant(view_size_px) - scaled_size, 0)
    padding = [[0, missing[0]], [0, missing[1]], [0, 0]]
    grey = tf.constant(warp.FILL_GREY, tf.uint8)
    scaled = tf.pad(scaled, padding, constant_values=grey)
    starts = [
        _starts(scaled_size[axis], view_size_px[axis], overlap) for axis in (0, 1)
    ]
    grid = tf.meshgrid(*starts, indexing="ij")
    offsets = tf.stack([tf.reshape(side, [-1]) for side in grid], -1)  # [V, 2]
    height, width = view_size_px
    tiles = tf.map_fn(
        lambda at: scaled[at[0] : at[0] + height, at[1] : at[1] + width],
        offsets,
        fn_output_signature=tf.TensorSpec([height, width, 3], tf.uint8),
    )
    count = tf.shape(offsets)[0]
    scale_yx = (
        tf.cast(scaled_size, tf.float32) / small_size / shrinking.factor(halvings)
    )
    return View(
        image=tiles,
        scale_yx=tf.tile(scale_yx[None], [count, 1]),
        offset_yx=tf.cast(offsets, tf.float32),
        is_mirrored=tf.fill([count], False),
        picture_size_px=tf.tile(size[None], [count, 1]),
    )


def _starts(side_px: tf.Tensor, view_px: int, overlap: float) -> tf.Tensor:
    """Returns [n] int32, where along one axis the tiles start."""
    room = tf.cast(tf.maximum(side_px - view_px, 0), tf.float64)
    step = view_px - round(overlap * view_px)
    gaps = tf.math.ceil(room / step)
    places = tf.range(gaps + 1.0) / tf.maximum(gaps, 1.0)
    return tf.cast(tf.round(places * room), tf.int32)


def _mirrored(view: View) -> View:
    return view._replace(
        image=tf.reverse(view.image, [2]),
        is_mirrored=tf.ones_like(view.is_mirrored),
    )
