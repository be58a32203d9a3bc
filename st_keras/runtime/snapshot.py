"""A copy in memory of all that a step changes, to go back to."""

import tensorflow as tf


class Snapshot:
    """The values of variables at one moment, each replica's own where they differ.

    BatchNorm statistics may differ, so each device's copy is kept and not their mean,
    which a checkpoint has; all else is the same everywhere, and kept once. On a CPU a
    value shares the variable's memory until the variable is written to; from other
    devices it is copied to the host, where there is room.
    """

    def __init__(self, strategy: tf.distribute.Strategy, variables: list[tf.Variable]):
        """Takes the copy.

        Args:
          strategy: The one that the variables were made under.
          variables: Of any kind; their values are read outside the replicas.
        """
        self._alike: list[tuple] = []  # Groups of copies with the same value.
        self._values: list[tf.Tensor] = []
        for variable in variables:
            copies = strategy.experimental_local_results(variable)
            own = variable.synchronization == tf.VariableSynchronization.ON_READ
            self._alike += [(copy,) for copy in copies] if own else [copies]
        self._read = self._read_all
        if strategy.num_replicas_in_sync > 1:
            # In one call: on the slices of a TPU there are thousands of statistics, and
            # to ask for one after another takes longer than the steps do.
            self._read = tf.function(self._read_all, autograph=False)
        self.retake()

    def retake(self) -> None:
        """Takes the copy again, of the values that the variables have now."""
        self._values = []  # Freed first, or there would be two for a moment.
        self._values = list(self._read())

    def _read_all(self) -> list[tf.Tensor]:
        with tf.device("/cpu:0"):
            return [tf.identity(first.read_value()) for first, *_ in self._alike]

    def restore(self) -> None:
        """Gives every variable the value it had."""
        for copies, value in zip(self._alike, self._values, strict=True):
            for copy in copies:
                copy.assign(value)
