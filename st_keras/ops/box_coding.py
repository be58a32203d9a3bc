"""Boxes as offsets from anchors, and back; wraps tf-models-official."""

import tensorflow as tf

_SMALLEST_SIDE_PX = 1e-3  # Keeps the log of a padding row finite.


def encode_boxes(boxes_yxyx: tf.Tensor, anchors_yxyx: tf.Tensor) -> tf.Tensor:
    """Expresses each box as an offset from the anchor it is matched to.

    `decode_boxes` is the inverse.

    Args:
      boxes_yxyx: [B, A, 4] float32, pixels of the network input. Row `a` is the box
        matched to anchor `a`; a padding row is all zeros.
      anchors_yxyx: [A, 4] float32, pixels of the network input.

    Returns:
      [B, A, 4] float32 (dy, dx, dh, dw), unitless: the move of the centre measured in
      anchor sides, then the log of the ratio of the sides.

    Raises:
      ValueError: The last axis of an argument does not have length 4.

    Source: Ren et al. 2015, arXiv:1506.01497, eq. 2, with y before x.
    """
    _check_rows(boxes_yxyx=boxes_yxyx, anchors_yxyx=anchors_yxyx)
    low, high = boxes_yxyx[..., :2], boxes_yxyx[..., 2:]
    high = tf.maximum(high, low + _SMALLEST_SIDE_PX)
    boxes = tf.concat([low, high], axis=-1)
    return _box_ops().encode_boxes(
        boxes, tf.broadcast_to(anchors_yxyx, tf.shape(boxes))
    )


def decode_boxes(offsets: tf.Tensor, anchors_yxyx: tf.Tensor) -> tf.Tensor:
    """Applies offsets to anchors: the inverse of `encode_boxes`.

    A side grows at most 62.5 times, so that an untrained model cannot overflow.

    Args:
      offsets: [B, A, 4] float32 (dy, dx, dh, dw), unitless.
      anchors_yxyx: [A, 4] float32, pixels of the network input.

    Returns:
      [B, A, 4] float32 (y0, x0, y1, x1), pixels, not clipped.

    Raises:
      ValueError: The last axis of an argument does not have length 4.
    """
    _check_rows(offsets=offsets, anchors_yxyx=anchors_yxyx)
    return _box_ops().decode_boxes(
        offsets, tf.broadcast_to(anchors_yxyx, tf.shape(offsets))
    )


def _box_ops():
    from official.vision.ops import box_ops

    return box_ops


def _check_rows(**arrays) -> None:
    for name, array in arrays.items():
        if array.shape[-1] != 4:
            raise ValueError(
                f"`{name}` must have 4 numbers per row, got shape {tuple(array.shape)}."
            )
