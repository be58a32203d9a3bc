"""A copy in memory of all that a step changes, to go back to."""

import tensorflow as tf


class Snapshot:
    """The values of variables at one moment, each replica's own.

    BatchNorm statistics may differ from replica to replica, so what is kept are the
    variables' copies on each device and not their mean, as a checkpoint has it. On a
    CPU a value is shared until the variable is written to; on other devices it is
    brought to the host, where there is room.
    """

    def __init__(self, strategy: tf.distribute.Strategy, variables: list[tf.Variable]):
        """Takes the copy.

        Args:
          strategy: That the variables were made under.
          variables: Of any kind; their values are looked at outside of the replicas.
        """
        self._copies = [
            copy
            for variable in variables
            for copy in strategy.experimental_local_results(variable)
        ]
        with tf.device("/cpu:0"):
            self._values = [tf.identity(copy.read_value()) for copy in self._copies]

    def restore(self) -> None:
        """Gives every variable the value it had."""
        for copy, value in zip(self._copies, self._values, strict=True):
            copy.assign(value)
