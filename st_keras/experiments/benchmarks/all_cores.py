"""Times work that may use the whole machine."""

import time
from collections.abc import Callable

from st_keras.experiments.benchmarks.rows import Measurement

HOW = (
    "all cores, wall time; `cores` is the process's CPU time over wall time, and below "
    "the machine's where other processes ran"
)


def measure(images: int, work: Callable[[], object]) -> Measurement:
    """Does some work once and returns how fast it went.

    Args:
      images: Number of images that the work processes.
      work: Must have run before, so that nothing is traced or built. Its result is
        dropped after the clocks are read.
    """
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    used, passed = time.process_time() - cpu, time.perf_counter() - wall
    del result  # Only now: releasing what it holds may take a while.
    return Measurement(images / passed, used / passed)
