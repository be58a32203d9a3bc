"""The grid of anchor boxes a RetinaNet scores and refines."""

import numpy as np


def make_anchors(
    image_size_px: tuple[int, int],
    *,
    min_level: int = 3,
    max_level: int = 7,
    scales_per_octave: int = 3,
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5),
    anchor_size: float = 4.0,
) -> np.ndarray:
    """Returns every anchor of an image, levels from fine to coarse.

    The defaults are those of the settings of `detection`, and fit `models.retinanet`
    with its own. Ratios in another order give other boxes, and nothing can notice.

    Within a level: rows, then columns, then scales, then aspect ratios, as the channels
    of the authors' checkpoints are ordered. Plain NumPy: a model's graph holds the
    result as a constant, and no TensorFlow runtime starts when it is made.

    Args:
      image_size_px: Height and width, multiples of `2**max_level`.
      min_level: Finest level; level l has one cell every `2**l` pixels.
      max_level: Coarsest level, included.
      scales_per_octave: Scales `2**(i / scales_per_octave)` per cell.
      aspect_ratios: Width over height.
      anchor_size: Side of the smallest square anchor, in strides.

    Returns:
      [A, 4] float32 (y0, x0, y1, x1), pixels; anchors at the border stick out.

    Raises:
      ValueError: The image does not divide into whole cells.

    Source: Lin et al. 2017, arXiv:1708.02002, section 4.
    """
    height, width = image_size_px
    if height % 2**max_level or width % 2**max_level:
        raise ValueError(
            f"`image_size_px` must be multiples of {2**max_level} (2^max_level), got "
            f"{height} x {width}."
        )
    scales = 2.0 ** (np.arange(scales_per_octave) / scales_per_octave)
    ratios = np.sqrt(np.asarray(aspect_ratios, np.float64))
    half_height = (scales[:, None] / ratios / 2).ravel()
    half_width = (scales[:, None] * ratios / 2).ravel()
    shape = np.stack([-half_height, -half_width, half_height, half_width], axis=-1)
    levels = []
    for level in range(min_level, max_level + 1):
        stride = 2**level
        y, x = np.meshgrid(
            (np.arange(height // stride) + 0.5) * stride,
            (np.arange(width // stride) + 0.5) * stride,
            indexing="ij",
        )
        centers = np.stack([y, x, y, x], axis=-1)[:, :, None, :]
        levels.append((centers + shape * anchor_size * stride).reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)
