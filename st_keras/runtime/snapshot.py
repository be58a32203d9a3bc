"""A copy in memory of all that a step changes, to go back to."""

import tensorflow as tf


class Snapshot:
    """The values of variables at one moment, each replica's own where they differ.

    BatchNorm statistics may, so of them the copies on each device are kept and not
    their mean, as a checkpoint has it; all else is the same everywhere, and kept once.
    On a CPU a value is shared until the variable is written to; on other devices it is
    brought to the host, where there is room.
    """

    def __init__(self, strategy: tf.distribute.Strategy, variables: list[tf.Variable]):
        """Takes the copy.

        Args:
          strategy: That the variables were made under.
          variables: Of any kind; their values are looked at outside of the replicas.
        """
        self._alike = []  # Copies that have one value, by the first of them.
        for variable in variables:
            copies = strategy.experimental_local_results(variable)
            own = variable.synchronization == tf.VariableSynchronization.ON_READ
            self._alike += [(copy,) for copy in copies] if own else [copies]
        with tf.device("/cpu:0"):
            self._values = [
                tf.identity(first.read_value()) for first, *_ in self._alike
            ]

    def restore(self) -> None:
        """Gives every variable the value it had."""
        for copies, value in zip(self._alike, self._values, strict=True):
            for copy in copies:
                copy.assign(value)
