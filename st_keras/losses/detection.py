"""The two losses of a RetinaNet, each as a sum and its count."""

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

    Logits come before targets, unlike in Keras; `Ratio.mean` divides the sum.

    Args:
      logits: [B, A, K] float32.
      class_targets: [B, A, K], bool or integers 0 and 1; none in a row is background.
      is_counted: [B, A] bool; anchors to leave out are False.
      num_positives: [] float32, the count the sum is to be divided by.
      alpha: Weight of positives; negatives weigh `1 - alpha`.
      gamma: 0 is plain cross entropy.
      weights: [B, A] float32, factors of the anchors' losses; None: 1. The count is
        that of positives, whatever they weigh.

    Raises:
      ValueError: The targets are floats: a soft target would count as 1.

    Source: Lin et al. 2017, arXiv:1708.02002, eq. 5. The tests compare it with the
    FocalLoss of tf-models-official, whose gradient is NaN at saturation for gamma < 1.
    """
    class_targets = tf.convert_to_tensor(class_targets)
    if class_targets.dtype.is_floating:
        raise ValueError(
            "`class_targets` must be bool or integers, got "
            f"{class_targets.dtype.name}: all but 0 would count as 1; compare them "
            "with a threshold."
        )
    if weights is None:
        weights = tf.ones_like(is_counted, tf.float32)
    total = _focal_total(
        logits,
        tf.cast(class_targets, tf.bool),
        tf.where(is_counted, weights, 0.0),
        alpha,
        gamma,
    )
    return Ratio(total, num_positives)


def _focal_total(logits, is_class, weights, alpha, gamma) -> tf.Tensor:
    """Returns the weighted sum.

    The gradient is written by hand: the automatic one goes through twice as many of a
    step's largest tensors, those with a number for every anchor and class.
    """

    @tf.custom_gradient
    def total(logits):
        # In terms of the wrong answer's logit, positives and negatives are alike.
        wrong = tf.where(is_class, -logits, logits)
        cross_entropy = tf.nn.softplus(wrong)
        log_of_miss = wrong - cross_entropy
        modulator = tf.exp(gamma * log_of_miss)
        balance = tf.where(is_class, alpha, 1.0 - alpha)
        of_anchor = tf.reduce_sum(balance * modulator * cross_entropy, axis=-1)

        def gradient(upstream):
            miss = tf.exp(log_of_miss)
            slope = modulator * (miss + gamma * (1.0 - miss) * cross_entropy)
            signed = tf.where(is_class, -alpha, 1.0 - alpha)
            return signed * slope * (upstream * weights)[..., None]

        return tf.reduce_sum(of_anchor * weights), gradient

    return total(logits)


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

    Predictions come before targets, unlike in Keras; `Ratio.mean` divides the sum.

    Args:
      offsets: [B, A, 4] float32, predicted (dy, dx, dh, dw).
      offset_targets: [B, A, 4] float32; anything where not positive.
      is_positive: [B, A] bool.
      num_positives: [] float32; the sum is to be divided by four times this.
      delta: Where the loss turns from quadratic to linear, in anchor sides.
      weights: As in `focal_loss`.
    """
    # The target is replaced before the loss, not the loss afterwards: otherwise the
    # gradient of a padding row would be NaN times 0.
    targets = tf.where(is_positive[..., None], offset_targets, offsets)
    error = tf.abs(targets - offsets)
    quadratic = tf.minimum(error, delta)
    loss = 0.5 * quadratic**2 + delta * (error - quadratic)
    if weights is not None:
        loss *= weights[..., None]
    return Ratio(tf.reduce_sum(loss), 4.0 * num_positives)
