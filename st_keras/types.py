"""Every tensor that crosses a border between packages: shape, dtype, unit.

Shape letters: B batch, H W pixels, N boxes (padded), A anchors, K classes, C channels,
T classes of a picture, V views of a picture.

Coordinates: y before x, height before width; float pixels, edges not centres, so that
`y1 - y0` is the height (no "+1"). Boxes are in pixels of the image they belong to: the
original picture in records and predictions, the network's input after `Task.prepare`.
`class_id` is in [0, K); a row that must not count has weight 0, and a pixel that must
not count has class id 255.

The fields hold tensors inside TensorFlow and NumPy arrays outside it.
"""

from typing import Any, NamedTuple

IGNORED = 255  # Class id of a pixel whose class is unknown or must not be learned.


class Boxes(NamedTuple):
    """Boxes with their classes: human labels, predictions and pseudo labels alike.

    A padding row is all zeros, so its weight is 0. A batch has a leading B.
    """

    boxes_yxyx: Any  # [N, 4] float32, pixels.
    class_ids: Any  # [N] int32.
    scores: Any  # [N] float32 in [0, 1]; 1 where a human drew the box.
    weights: Any  # [N] float32; 0 is padding or "do not train on this".
    is_crowd: Any  # [N] bool; one box around many objects, as in COCO.


class LabelMap(NamedTuple):
    """A class for every pixel: human labels, predictions and pseudo labels alike.

    A batch has a leading B.
    """

    class_ids: Any  # [H, W] uint8; `IGNORED` where it is not known.
    confidences: Any  # [H, W] uint8, in 1/255; 255 where a human labelled it.


class Classes(NamedTuple):
    """Classes of a whole picture: human labels, predictions and pseudo labels alike.

    The most probable comes first. A label is one row; a prediction, the best few. A
    batch has a leading B.
    """

    class_ids: Any  # [T] int32.
    scores: Any  # [T] float32 in [0, 1]; 1 where a human labelled it.
    weights: Any  # [T] float32; 0 is "not known" or "do not train on this".


class Embeddings(NamedTuple):
    """Embeddings of a picture's views, from a model that is trained without labels.

    Training labels hold no view: nothing is known of the picture. A batch has a
    leading B.
    """

    vectors: Any  # [V, D] float32, of any norm.


# The labels of a picture; each task has one kind.
Labels = Boxes | LabelMap | Classes | Embeddings


class Example(NamedTuple):
    """One decoded record."""

    image: Any  # [H, W, 3] uint8.
    labels: Labels  # Pixels of `image`.
    image_id: Any  # [] string, unique in its data set.


class Prepared(NamedTuple):
    """One training example at the network's fixed size. A batch has a leading B."""

    image: Any  # [H, W, 3] uint8, static shape; for V views, [V, H, W, 3].
    labels: Labels  # Pixels of `image`; N static.
    image_id: Any  # [] string.
    # Changes to the pixels that the training step still has to make; () if none.
    changes: Any = ()


class Batch(NamedTuple):
    """The part of its examples a training step needs; no strings: TPUs hold none."""

    # [B, H, W, 3] uint8; [B, V, H, W, 3] where training uses V views of a picture.
    image: Any
    labels: Labels  # [B, ...], for the image after the changes.
    changes: Any = ()  # As in Prepared, [B, ...] each; for `Task.finish_images`.


class View(NamedTuple):
    """A picture, or a part of it, as inference shows it to the network.

    The picture is scaled; the view is a window of it, of the network's input size,
    that starts at `offset_yx`, is grey beyond the picture and may be mirrored. So a
    point (y, x) of the picture is at `(y, x) * scale_yx - offset_yx`; in a mirrored
    view, x counts from its right edge. Several views have a leading V or B.
    """

    image: Any  # [H, W, 3] uint8, static shape.
    scale_yx: Any  # [2] float32, pixels of the view per pixel of the picture.
    offset_yx: Any  # [2] float32, pixels of the scaled picture.
    is_mirrored: Any  # [] bool, left to right.
    picture_size_px: Any  # [2] int32, height and width of the original.


class Ratio(NamedTuple):
    """A sum and a count, to be divided into a mean.

    Replicas add their totals and their counts and divide once, so that a loss does not
    depend on how many replicas there are.

    For a loop of one's own, and for Keras, which would take the mean of total and
    count, `mean` divides. Losses take what the model says first, then the labels; Keras
    passes them the other way round:

        model.compile(loss=lambda labels, logits: pixel_loss(logits, labels).mean())
    """

    total: Any  # [] float32.
    count: Any  # [] float32.

    def mean(self) -> Any:
        """Returns the [] float32 total over the count, or over 1 if that is less.

        So it is finite where the count is 0: a batch without objects, or of pixels
        whose class is not known.
        """
        import tensorflow as tf

        return self.total / tf.maximum(self.count, 1.0)
