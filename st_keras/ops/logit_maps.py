"""Between the cells of a segmenter's logits and the pixels of its input.

Today's resizing puts the middles of cells and pixels on each other: a cell of 4 x 4
pixels lies at 2, 2. TensorFlow 1 put the first corners on each other: the cell lies on
the first of its pixels. What was learned one way must be read that way.
"""

import tensorflow as tf


def enlarge(
    logits: tf.Tensor, size_px: tuple[int, int], *, legacy: bool = False
) -> tf.Tensor:
    """Returns [B, H, W, K] float32 logits of pixels, bilinear.

    Args:
      logits: [B, h, w, K].
      size_px: H and W.
      legacy: A cell lies on its first pixel, not on its middle.
    """
    return tf.raw_ops.ResizeBilinear(
        images=tf.cast(logits, tf.float32),
        size=tuple(size_px),
        align_corners=False,
        half_pixel_centers=not legacy,
    )


def sample(
    label_map: tf.Tensor, size_cells: tuple[int, int], *, legacy: bool = False
) -> tf.Tensor:
    """Returns [B, h, w] labels of cells, each that of one pixel.

    A mean of labels would be a label that nobody gave.

    Args:
      label_map: [B, H, W], whole multiples of the cells.
      size_cells: h and w.
      legacy: The cell's first pixel, as in the authors' code; else the one right after
        its middle, as `tf.image.resize` takes the nearest.

    Raises:
      ValueError: The map is not a whole multiple of the cells.
    """
    size_px = tuple(label_map.shape[1:3])
    if any(side % cells for side, cells in zip(size_px, size_cells, strict=True)):
        raise ValueError(
            f"`label_map` must be a whole multiple of {tuple(size_cells)} cells, got "
            f"{size_px} pixels."
        )
    strides = [side // cells for side, cells in zip(size_px, size_cells, strict=True)]
    first_y, first_x = (0 if legacy else stride // 2 for stride in strides)
    return label_map[:, first_y :: strides[0], first_x :: strides[1]]
