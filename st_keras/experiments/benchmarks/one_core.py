"""Times an input pipeline on one core."""

import time

import tensorflow as tf

from st_keras.experiments.benchmarks.rows import Measurement

HOW = (
    "one thread within operations and one between them, tf.data with a private pool "
    "of one thread, maps that are not parallel, no prefetch; rates are per second of "
    "the process's CPU time, and `cores` is that time over wall time"
)
_WARM_UP_BATCHES = 2


def limit_tensorflow() -> None:
    """Limits TensorFlow to one thread; must run before it does anything.

    Raises:
      RuntimeError: It has started with more.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def options() -> tf.data.Options:
    """Returns options that keep a dataset on one thread, in the order it is written."""
    chosen = tf.data.Options()
    chosen.threading.private_threadpool_size = 1
    chosen.threading.max_intra_op_parallelism = 1
    chosen.autotune.enabled = False
    chosen.deterministic = True
    # Otherwise tf.data would parallelise maps, add a prefetch, or fuse map and batch
    # into one step that works ahead while the other side is measured.
    chosen.experimental_optimization.map_parallelization = False
    chosen.experimental_optimization.inject_prefetch = False
    chosen.experimental_optimization.map_and_batch_fusion = False
    return chosen


class Pipeline:
    """A dataset that is measured repeatedly, each time from where it stopped."""

    def __init__(self, dataset: tf.data.Dataset, *, images_per_element: int = 1):
        """Starts the dataset.

        Args:
          dataset: Endless.
          images_per_element: How many one element holds.
        """
        self._iterator = iter(dataset.with_options(options()))
        self._images = images_per_element
        for _ in range(_WARM_UP_BATCHES):  # Traces and plans.
            next(self._iterator)

    def measure(self, cpu_seconds: float) -> Measurement:
        """Reads for that many seconds of processor time, at least one element."""
        images = 0
        wall, start = time.perf_counter(), time.process_time()
        used = 0.0
        while not images or used < cpu_seconds:
            next(self._iterator)
            images += self._images
            used = time.process_time() - start
        return Measurement(images / used, used / (time.perf_counter() - wall))
