"""The two losses of a RetinaNet, as sums that are not divided yet."""

import tensorflow as tf

from st_keras.types import Ratio


def focal_loss(
    logits: tf.Tensor,
    class_targets: tf.Tensor,
    is_counted: tf.Tensor,
    num_positives: tf.Tensor,
    *,
    alpha: float,
    gamma: float,
    weights: tf.Tensor | None = None,
) -> Ratio:
    """Returns the sigmoid focal loss over anchors and classes.

        alpha_t * (1 - p_t)^gamma * cross_entropy

    Easy background outnumbers objects a thousand to one; the factor silences it. The
    modulator is `exp(gamma * log(1 - p_t))` in its softplus form, whose gradient stays
    finite where a sigmoid saturates.

    Args:
      logits: [B, A, K] float32.
      class_targets: [B, A, K] float32, 0 or 1; all zeros is background.
      is_counted: [B, A] bool; anchors to leave out are False.
      num_positives: [] float32, the count the sum is to be divided by.
      alpha: Weight of positives; negatives weigh `1 - alpha`.
      gamma: 0 is plain cross entropy.
      weights: [B, A] float32, what an anchor's loss is multiplied with; None: 1. The
        count is that of positives, whatever they weigh.

    Source: Lin et al. 2017, arXiv:1708.02002, eq. 5. The tests hold it against the
    FocalLoss of tf-models-official, whose gradient is NaN at saturation for gamma < 1.
    """
    cross_entropy = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=class_targets, logits=logits
    )
    # log(1 - p_t): for a positive that is log(1 - p), for a negative log(p).
    sign = 2.0 * class_targets - 1.0
    log_of_miss = -tf.nn.softplus(sign * logits)
    balance = alpha * class_targets + (1.0 - alpha) * (1.0 - class_targets)
    loss = balance * tf.exp(gamma * log_of_miss) * cross_entropy
    if weights is not None:
        loss *= weights[..., None]
    loss = tf.where(is_counted[..., None], loss, 0.0)
    return Ratio(tf.reduce_sum(loss), num_positives)


def box_loss(
    offsets: tf.Tensor,
    offset_targets: tf.Tensor,
    is_positive: tf.Tensor,
    num_positives: tf.Tensor,
    *,
    delta: float,
    weights: tf.Tensor | None = None,
) -> Ratio:
    """Returns the Huber loss over the four offsets of positive anchors.

    Args:
      offsets: [B, A, 4] float32, predicted (dy, dx, dh, dw).
      offset_targets: [B, A, 4] float32; anything where not positive.
      is_positive: [B, A] bool.
      num_positives: [] float32; the sum is to be divided by four times this.
      delta: Where the loss turns from quadratic to linear, in anchor sides.
      weights: As of `focal_loss`.
    """
    # The target is replaced before the loss is taken, not the loss after: the gradient
    # of a padding row would be NaN times 0 otherwise.
    targets = tf.where(is_positive[..., None], offset_targets, offsets)
    error = tf.abs(targets - offsets)
    quadratic = tf.minimum(error, delta)
    loss = 0.5 * quadratic**2 + delta * (error - quadratic)
    if weights is not None:
        loss *= weights[..., None]
    return Ratio(tf.reduce_sum(loss), 4.0 * num_positives)
