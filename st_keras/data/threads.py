"""The same work on many things: several at a time, the results in order."""

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from typing import Any

from st_keras.data.untuned import PARALLEL_CALLS

# More would wait for each other in Python, each with a picture of some size in memory.
_THREADS = min(PARALLEL_CALLS, 16)


def in_order(
    function: Callable[[Any], Any],
    items: Iterable,
    *,
    threads: int = _THREADS,
) -> Iterator:
    """Yields what a function makes of items, in their order.

    Those that follow are under way meanwhile. An error, of the function or of reading
    the items, reaches the caller after what comes before it.

    Args:
      function: Of one item; called from several threads at a time.
      items: Read in the caller's thread, some ahead of what is yielded.
      threads: How many.
    """
    pool = futures.ThreadPoolExecutor(threads)
    under_way: collections.deque[futures.Future] = collections.deque()
    try:
        for future in _started(pool, function, items):
            under_way.append(future)
            # Twice as many: who is done early need not wait for a slow one before it.
            if len(under_way) > 2 * threads:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        # Also where the caller has had enough.
        pool.shutdown(cancel_futures=True)


def _started(pool, function, items) -> Iterator[futures.Future]:
    try:
        for item in items:
            yield pool.submit(function, item)
    except Exception as error:
        failed: futures.Future = futures.Future()
        failed.set_exception(error)
        yield failed
