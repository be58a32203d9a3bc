"""The loss of a student: human and pseudo labels on one scale."""

import tensorflow as tf

from st_keras.config.checks import check

_TINY = 1e-8


class Blend(tf.Module):
    """Weighs pseudo labels against human labels on a common scale.

        blended = (human + weight * mean_human / mean_pseudo * pseudo) / (1 + weight)

    The means run over training, so a pseudo loss ten times the human one does not
    pull ten times harder. A loss that is not finite would stay in its mean for good, so
    check losses before `update`, or set the variables back after it.

    A mean starts at the first loss it sees, not at zero: the sums of losses and of
    their weights decay alike, and their quotient is a weighted mean at every step.

    Source: Zoph et al. 2020, arXiv:2006.06882, appendix on loss normalization, as
    quoted second-hand; what the means start at is ours.
    """

    def __init__(
        self, *, weight: float, normalize: bool, decay: float, max_ratio: float
    ):
        """Makes the blend; call it in a strategy's scope, as its means are variables.

        Args:
          weight: Of the pseudo loss, alpha in the paper; 0 or more.
          normalize: Whether the ratio of the means is used; otherwise it is 1.
          decay: Of the means, per step, in [0, 1).
          max_ratio: Bound of the ratio, above 0; infinity: none.

        Raises:
          ValueError: A number is out of its range.
        """
        super().__init__(name="blend")
        check("weight", weight, weight >= 0, "0 or more")
        check("decay", decay, 0.0 <= decay < 1.0, "in [0, 1)")
        check("max_ratio", max_ratio, max_ratio > 0, "above 0")
        self._weight = weight
        self._normalize = normalize
        self._decay = decay
        self._max_ratio = max_ratio
        self._human_sum = _state("human_sum")
        self._pseudo_sum = _state("pseudo_sum")
        self._weight_sum = _state("weight_sum")

    def update(
        self, human: tf.Tensor, pseudo: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Takes one step's losses into the means and returns the two factors.

        Called in every replica with the same numbers, so that all keep equal means.

        Args:
          human: [] float32, over all replicas.
          pseudo: [] float32, over all replicas.

        Returns:
          The factors of the human and the pseudo loss; no gradient.
        """
        share = 1.0 - self._decay
        for total, value in (
            (self._human_sum, human),
            (self._pseudo_sum, pseudo),
            (self._weight_sum, tf.ones([])),
        ):
            total.assign(self._decay * total + share * tf.stop_gradient(value))
        scale = self.ratio() if self._normalize else tf.ones([])
        factor = 1.0 / (1.0 + self._weight)
        return tf.constant(factor), factor * self._weight * scale

    def means(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the running means of the human and the pseudo loss."""
        weight = tf.maximum(self._weight_sum.read_value(), _TINY)
        return self._human_sum / weight, self._pseudo_sum / weight

    def ratio(self) -> tf.Tensor:
        """Returns mean_human / mean_pseudo, at most `max_ratio`."""
        human, pseudo = self.means()
        return tf.minimum(human / tf.maximum(pseudo, _TINY), self._max_ratio)


def _state(name: str) -> tf.Variable:
    # Every replica assigns the same value to its own copy: no traffic.
    return tf.Variable(
        0.0,
        trainable=False,
        name=name,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )
