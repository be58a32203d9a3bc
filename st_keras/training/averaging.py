"""The moving average of a model's weights."""

import tensorflow as tf


class AveragedModel(tf.Module):
    """A second model whose weights follow the first one's, slowly.

    All weights are averaged, BatchNorm statistics too: a model with averaged kernels
    and other statistics sees nothing. The average is a separate model, not optimizer
    slots to swap in: tf-models-official swaps by adding and subtracting in float32,
    which does not restore the weights to the bit.
    """

    def __init__(self, model: tf.keras.Model, average: tf.keras.Model, decay: float):
        """Starts the average at the model's present weights.

        Args:
          model: The one that is trained.
          average: A model built the same way; its weights are overwritten.
          decay: Share of the average that is kept per step, in the long run. It grows
            as (1 + step) / (10 + step) up to this, so that early weights fade.
        """
        super().__init__(name="averaged")
        self._decay = decay
        self.model = average
        self._pairs = list(zip(average.variables, model.variables, strict=True))
        for mean, value in self._pairs:
            mean.assign(value)

    def update(self, step: tf.Tensor) -> None:
        """Moves the average; called in each replica, after each step.

        Args:
          step: [] integer, the steps taken.
        """
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + step) / (10.0 + step))

        def move(mean, value, decay):
            mean.assign(decay * mean + (1.0 - decay) * tf.cast(value, mean.dtype))

        # Each replica updates its own copy: reading a variable as a whole would gather
        # every BatchNorm's statistics from all hosts at every step. By the way of the
        # optimizers, since outside the replicas a TPUStrategy hands out its variables
        # packed, and an update of these is of no device.
        def move_all(strategy, decay):
            for mean, value in self._pairs:
                args = (value, decay)
                strategy.extended.update(mean, move, args=args, group=False)

        tf.distribute.get_replica_context().merge_call(move_all, args=(decay,))
