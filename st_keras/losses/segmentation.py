"""The loss of a segmenter, as a sum and its count."""

import tensorflow as tf

from st_keras.ops import bilinear, images, logit_maps
from st_keras.types import IGNORED, Ratio


def pixel_loss(
    logits: tf.Tensor,
    class_ids: tf.Tensor,
    confidences: tf.Tensor | None = None,
    *,
    at: str = "labels",
    legacy: bool = False,
    label_smoothing: float = 0.0,
    class_weights: tuple[float, ...] = (),
    top_share: float = 1.0,
) -> Ratio:
    """Returns the softmax cross entropy over the pixels whose class is known.

    Where none is known, sum and count are 0 and the gradient is 0 everywhere. If the
    loss of one known pixel is NaN, so is the sum, whether that pixel is chosen or not.

    Logits come before labels, unlike in Keras; `Ratio.mean` divides the sum.

    Args:
      logits: [B, h, w, K]; if taken at `logits`, h and w divide H and W.
      class_ids: [B, H, W] uint8 in [0, K), or `IGNORED`. Others must not occur:
        conversion to records refuses them. TensorFlow's own code for CPUs refuses them
        too; elsewhere, and compiled by XLA, their loss is NaN.
      confidences: [B, H, W] uint8, in 1/255, factors of the pixels' losses; None: all
        sure. The count is that of pixels, however sure.
      at: `labels` enlarges the logits to H x W; `logits` takes one label for each cell.
      legacy: A cell lies on its first pixel, not on its middle.
      label_smoothing: Share of the target, in [0, 1], that is spread evenly over all
        classes.
      class_weights: K factors of the pixels' losses, by class; empty: 1. The count is
        that of pixels, whatever they weigh.
      top_share: In (0, 1]; only this share of each image's known pixels, rounded up to
        whole pixels, counts: the hardest. Pixels tied with the last of them split what
        is left of it, so that no more counts where a sure model has many losses of 0.

    Raises:
      ValueError: `at` is neither, confidences are not uint8, a share is out of range,
        the number of weights is not K, or cells do not fit the labels taken at them.

    Source: the settings are those of the authors' code and of tf-models-official, whose
    SegmentationLoss the tests compare it with. There, the hardest pixels are chosen in
    the whole batch of a replica, and their number is a share of all pixels, known or
    not; here no image's loss depends on the others in its batch.
    """
    if at not in ("labels", "logits"):
        raise ValueError(f"`at` must be labels or logits, got {at!r}.")
    if confidences is not None:
        images.check_bytes(confidences=confidences)
    _check(label_smoothing, class_weights, top_share, logits.shape[-1])
    if at == "labels":
        logits = bilinear.resize(logits, class_ids.shape[1:3], legacy=legacy)
    else:
        size = logits.shape[1:3]
        class_ids = logit_maps.sample(class_ids, size, legacy=legacy)
        if confidences is not None:
            confidences = logit_maps.sample(confidences, size, legacy=legacy)
        logits = tf.cast(logits, tf.float32)
    is_known = class_ids != IGNORED
    # Any class will do where none is known: that loss is replaced, gradient and all.
    targets = tf.where(is_known, tf.cast(class_ids, tf.int32), 0)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    if label_smoothing:
        # Cross entropy with the uniform target: the mean over classes of -log p.
        even = tf.reduce_logsumexp(logits, -1) - tf.reduce_mean(logits, -1)
        loss = (1.0 - label_smoothing) * loss + label_smoothing * even
    if class_weights:
        loss *= tf.gather(tf.constant(class_weights, tf.float32), targets)
    if confidences is not None:
        loss *= tf.cast(confidences, tf.float32) / 255.0
    loss = tf.where(is_known, loss, 0.0)
    counts = tf.cast(is_known, tf.float32)
    if top_share < 1.0:
        counts = _hardest(tf.stop_gradient(loss), is_known, top_share)
    # A product, not `tf.where`: a NaN must not disappear where the count is 0.
    return Ratio(tf.reduce_sum(loss * counts), tf.reduce_sum(counts))


def _check(label_smoothing, class_weights, top_share, num_classes) -> None:
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"`label_smoothing` must be in [0, 1], got {label_smoothing}.")
    if not 0.0 < top_share <= 1.0:
        raise ValueError(f"`top_share` must be in (0, 1], got {top_share}.")
    if class_weights and len(class_weights) != num_classes:
        raise ValueError(
            f"`class_weights` must be {num_classes} numbers, one for each class, got "
            f"{len(class_weights)}."
        )


def _hardest(loss: tf.Tensor, is_known: tf.Tensor, top_share: float) -> tf.Tensor:
    """Returns [B, h, w] in [0, 1], how much each pixel counts."""
    rows = tf.where(is_known, loss, -1.0)
    rows = tf.reshape(rows, [loss.shape[0] or tf.shape(loss)[0], -1])
    ordered = tf.sort(rows, direction="DESCENDING")
    # A hair less, so that 0.3 of 10 pixels are 3 and not 4.
    number = tf.math.ceil(top_share * _count(is_known) - 1e-3)
    number = tf.maximum(number, 1.0)
    index = tf.cast(number[:, 0, 0], tf.int32) - 1
    last = tf.gather(ordered, index, axis=1, batch_dims=1)[:, None, None]
    is_harder, is_last = is_known & (loss > last), is_known & (loss == last)
    left = tf.math.divide_no_nan(number - _count(is_harder), _count(is_last))
    return tf.where(is_harder, 1.0, tf.where(is_last, left, 0.0))


def _count(chosen: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.cast(chosen, tf.float32), [1, 2], keepdims=True)
