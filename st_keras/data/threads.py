"""Calls one function on many items: several at a time, with results in order."""

import collections
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent import futures
from typing import Any

# More would wait for each other in Python, each holding a picture in memory.
_MOST = 16
_AHEAD = 2  # More items than threads, so that threads go on while one item is slow.


def in_order(
    function: Callable[[Any], Any],
    items: Iterable,
    *,
    threads: int | None = None,
) -> Iterator:
    """Yields a function's results for items, in their order.

    Later items are processed meanwhile. An error, from the function or from reading the
    items, reaches the caller after the results before it.

    Args:
      function: Takes one item; called from several threads at a time.
      items: Read in the caller's thread, some ahead of what is yielded.
      threads: How many; None: one for each core of the process, at most 16.
    """
    threads = threads or min(len(os.sched_getaffinity(0)), _MOST)
    # `Executor.map` and `ThreadPool.imap` would read all items at once.
    pool = futures.ThreadPoolExecutor(threads)
    under_way: collections.deque[futures.Future] = collections.deque()
    started = _started(pool, function, items)
    try:
        for future in started:
            under_way.append(future)
            if len(under_way) > threads + _AHEAD:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        # Also if the caller stops early. An error keeps this frame alive, which must
        # not keep the pictures, or the threads that read them.
        pool.shutdown(cancel_futures=True)
        under_way.clear()
        started.close()
        if isinstance(items, Generator):
            items.close()


def _started(pool, function, items) -> Generator[futures.Future, None, None]:
    try:
        for item in items:
            yield pool.submit(function, item)
    except Exception as error:
        failed: futures.Future = futures.Future()
        failed.set_exception(error)
        yield failed
