"""Every tensor that crosses a border between packages: shape, dtype, unit.

Shape letters: B batch, H W pixels, N boxes (padded), A anchors, K classes, C channels.
Coordinates: y before x, height before width; float pixels, edges not centres, so that
`y1 - y0` is the height (no "+1"). A box covers the pixels of the image it is said to
belong to: the original picture in records and predictions, the network's input after
`Task.prepare`. `class_id` is in [0, K); a row that must not count has weight 0.

The fields hold tensors inside TensorFlow and NumPy arrays outside it.
"""

from typing import Any, NamedTuple


class Labels(NamedTuple):
    """Boxes with their classes: human labels, predictions and pseudo labels alike.

    A padding row is all zeros, so its weight is 0. A batch has a leading B.
    """

    boxes_yxyx: Any  # [N, 4] float32, pixels.
    class_ids: Any  # [N] int32.
    scores: Any  # [N] float32 in [0, 1]; 1 where a human drew the box.
    weights: Any  # [N] float32; 0 is padding or "do not train on this".
    is_crowd: Any  # [N] bool; one box around many objects, as COCO has them.


class Example(NamedTuple):
    """One decoded record."""

    image: Any  # [H, W, 3] uint8.
    labels: Labels  # Pixels of `image`.
    image_id: Any  # [] string, unique in its data set.


class Prepared(NamedTuple):
    """One example at the network's fixed size. A batch has a leading B."""

    image: Any  # [H, W, 3] uint8, static shape.
    labels: Labels  # Pixels of `image`, N static.
    image_id: Any  # [] string.
    scale_yx: Any  # [2] float32, pixels of `image` per pixel of the original.
    original_size_px: Any  # [2] int32, height and width of the original.
    # What is still to be done to the pixels, in the training step; () if nothing.
    changes: Any = ()


class Batch(NamedTuple):
    """What a training step needs of its examples; no strings, which no TPU holds."""

    image: Any  # [B, H, W, 3] uint8.
    labels: Labels  # [B, N, ...], as the image is after the changes.
    changes: Any = ()  # As in Prepared, [B, ...] each; `Task.finish_images` does them.


class Ratio(NamedTuple):
    """A mean that is not divided yet.

    Replicas add their totals and their counts and divide once, so that a loss does not
    depend on how many replicas there are.
    """

    total: Any  # [] float32.
    count: Any  # [] float32.
