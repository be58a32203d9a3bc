"""Several steps in one call into TensorFlow, from any step and with any draws."""

import functools
from collections.abc import Callable

import tensorflow as tf

from st_keras.config import Config
from st_keras.runtime import strategy as strategies
from st_keras.self_training.batches import Batches
from st_keras.training.learner import Learner
from st_keras.training.step import TrainStep, build_step

Numbers = dict[str, float]
# Takes up to so many steps; returns their mean numbers, how many were taken, and the
# last one's numbers. Stops early after a step with a number that is not finite.
TakeSteps = Callable[[int], tuple[Numbers, int, Numbers]]


class CompiledSteps:
    """The steps of a run, traced once for each seed of the draws."""

    def __init__(
        self, strategy: tf.distribute.Strategy, learner: Learner, batches: Batches
    ):
        """Takes what learns, and the batches for the seed that the run starts with.

        Args:
          strategy: The one that the learner's variables were made under.
          learner: What learns.
          batches: Of the run.
        """
        self._strategy = strategy
        self._learner = learner
        self._batches = {batches.seed: batches}
        self._compiled: dict[int, Callable] = {}  # By seed.

    def start(self, config: Config, taken: int) -> TakeSteps:
        """Returns the function that takes the next steps.

        Args:
          config: Of the run, with the seed of the draws, which changes when a run
            recovers.
          taken: The steps taken so far.
        """
        batches = self.batches(config)
        replicas = self._strategy.num_replicas_in_sync
        iterator = strategies.feed(
            self._strategy,
            lambda here: batches.from_step(
                taken, replicas=replicas, replicas_here=here
            ),
        )
        if config.seed not in self._compiled:
            self._compiled[config.seed] = self._compile(
                build_step(config, self._learner), config.runtime.requests_xla
            )
        return functools.partial(self._compiled[config.seed], iterator)

    def batches(self, config: Config) -> Batches:
        """Returns the batches that the steps of a config's seed take."""
        if config.seed not in self._batches:
            self._batches[config.seed] = Batches(config, self._learner.task)
        return self._batches[config.seed]

    def _compile(self, take_step: TrainStep, jit_compile: bool):
        names: list[str] = []  # Known once the step has been traced.

        def numbers_of_step(parts):
            numbers = take_step(parts)
            names[:] = list(numbers)
            return tf.stack(list(numbers.values()))

        # AutoGraph would search the source of all that a step calls for conditions and
        # loops that are not there.
        replica_step = tf.function(
            numbers_of_step, jit_compile=jit_compile or None, autograph=False
        )
        strategy, averaged = self._strategy, self._learner.averaged

        @tf.function
        def run(iterator, count):
            total, last, taken = tf.zeros([1]), tf.zeros([1]), 0
            for _ in tf.range(count):
                tf.autograph.experimental.set_loop_options(
                    shape_invariants=[
                        (total, tf.TensorShape([None])),
                        (last, tf.TensorShape([None])),
                    ]
                )
                per_replica = strategy.run(replica_step, args=(next(iterator),))
                last = strategy.experimental_local_results(per_replica)[0]
                if averaged is not None:
                    strategy.run(lambda: averaged.update(take_step.steps_taken))
                total += last
                taken += 1
                if not tf.reduce_all(tf.math.is_finite(last)):
                    break
            return total / tf.cast(taken, tf.float32), taken, last

        def take_steps(iterator, count):
            mean, taken, last = run(iterator, tf.constant(count))
            return (
                dict(zip(names, mean.numpy().tolist(), strict=True)),
                int(taken),
                dict(zip(names, last.numpy().tolist(), strict=True)),
            )

        return take_steps
