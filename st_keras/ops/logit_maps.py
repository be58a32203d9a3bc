"""From the pixels of a segmenter's input to the cells of its logits.

`bilinear.resize` goes the other way.
"""

import tensorflow as tf


def sample(
    label_map: tf.Tensor, size_cells: tuple[int, int], *, legacy: bool = False
) -> tf.Tensor:
    """Returns [B, h, w] labels of cells, each taken from one pixel.

    A mean of labels would be a label that nobody gave.

    Args:
      label_map: [B, H, W], whole multiples of the cells.
      size_cells: h and w.
      legacy: Takes the cell's first pixel, as the authors' code does; else the one
        right after its middle, as `tf.image.resize` does for the nearest.

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
