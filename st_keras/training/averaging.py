"""The moving average of a model's weights."""

import tensorflow as tf


class AveragedModel(tf.Module):
    """A second model whose weights follow the first one's, slowly.

    All weights are averaged, BatchNorm statistics too: a model with averaged kernels
    and other statistics sees nothing. The average is a model of its own rather than
    slots to be swapped in: the swap of tf-models-official adds and subtracts in
    float32, and does not give back the bits it took.
    """

    def __init__(self, model: tf.keras.Model, average: tf.keras.Model, decay: float):
        """Starts the average at the model's present weights.

        Args:
          model: That is trained.
          average: Of the same build; its weights are overwritten.
          decay: Share of the average that is kept per step, at the end. It grows
            as (1 + step) / (10 + step) up to this, so that early weights fade.
        """
        super().__init__(name="averaged")
        self._decay = decay
        self.model = average
        self._strategy = model.distribute_strategy
        self._pairs = list(zip(average.variables, model.variables, strict=True))
        for mean, value in self._pairs:
            mean.assign(value)

    def update(self, step: tf.Tensor) -> None:
        """Moves the average; called outside the replicas, after each step."""
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + step) / (10.0 + step))

        def move(mean, value):
            mean.assign(decay * mean + (1.0 - decay) * tf.cast(value, mean.dtype))

        # Each replica its own copy: read as a whole, the statistics of every BatchNorm
        # would be asked of all hosts at every step. (A TPUStrategy does read them so:
        # it is right, and how much slower is not known.)
        with self._strategy.scope():
            for mean, value in self._pairs:
                self._strategy.extended.update(mean, move, args=(value,), group=False)
