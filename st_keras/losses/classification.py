"""The loss of a classifier, as a sum and its count."""

import tensorflow as tf

from st_keras.types import Ratio


def class_loss(
    logits: tf.Tensor,
    class_ids: tf.Tensor,
    weights: tf.Tensor,
    *,
    label_smoothing: float = 0.0,
) -> Ratio:
    """Returns the softmax cross entropy over the pictures whose class is known.

    Args:
      logits: [B, K].
      class_ids: [B] int32 in [0, K), even where the weight is 0.
      weights: [B] float32. The count is that of pictures with a weight above 0.
      label_smoothing: Share of the target that is spread evenly over all classes.

    Source: Szegedy et al. 2015, arXiv:1512.00567, section 7, for the smoothing.
    """
    logits = tf.cast(logits, tf.float32)
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(class_ids, logits)
    if label_smoothing:
        # Cross entropy with the uniform target: the mean over classes of -log p.
        even = tf.reduce_logsumexp(logits, -1) - tf.reduce_mean(logits, -1)
        loss = (1.0 - label_smoothing) * loss + label_smoothing * even
    counts = tf.cast(weights > 0.0, tf.float32)
    # A product, not `tf.where`: a NaN must not disappear where the weight is 0.
    return Ratio(tf.reduce_sum(weights * loss), tf.reduce_sum(counts))
