"""Runs jobs in processes of their own, several at once where asked."""

import collections
import contextlib
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import connection
from typing import NamedTuple, TypeVar

Job = TypeVar("Job")


class Failure(NamedTuple):
    """What went wrong in a job."""

    message: str
    trace: str


def run(
    work: Callable[[Job], object],
    jobs: Sequence[Job],
    processes: int = 1,
    log: Callable[[Job], pathlib.Path] | None = None,
) -> Iterator[tuple[Job, Failure | None]]:
    """Runs jobs, each in a new process; one that fails does not stop the others.

    The process is new because TensorFlow never releases everything that a run took.

    Args:
      work: A function of a module, called with one job.
      jobs: In the order in which they begin.
      processes: How many at once. Several get a share of the cores each: small models
        train faster side by side than one after the other on all.
      log: Returns the file for a job's output; without it, that goes where ours goes.

    Yields:
      Every job as it ends, and what went wrong.
    """
    shares = _shares_of_cores(processes)
    waiting, running = collections.deque(jobs), {}
    try:
        while waiting or running:
            while waiting and shares:
                started = _start(work, waiting.popleft(), shares.pop(), log)
                running[started.failures] = started
            # A pipe is ready when it has data or is closed. Waiting for the process
            # instead could hang: it cannot end before a long message is read.
            for failures in connection.wait(list(running)):
                ended = running.pop(failures)
                shares.append(ended.cores)
                yield ended.job, _failure(ended)
    finally:
        for started in running.values():
            started.process.terminate()


class _Started(NamedTuple):
    job: object
    process: multiprocessing.Process
    failures: connection.Connection
    cores: set[int]  # Empty: all.


def _shares_of_cores(processes: int) -> list[set[int]]:
    if processes == 1 or not hasattr(os, "sched_setaffinity"):
        return [set()] * processes
    cores = sorted(os.sched_getaffinity(0))
    # The same number for each, since results depend on it: the rest is idle. With more
    # processes than cores, some share one.
    each = len(cores) // processes
    if not each:
        return [{cores[i % len(cores)]} for i in range(processes)]
    return [set(cores[i * each : (i + 1) * each]) for i in range(processes)]


def _start(work, job, cores: set[int], log) -> _Started:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    printed = log(job) if log else None
    process = context.Process(
        target=_work, args=(work, job, cores, printed, sender), daemon=True
    )
    process.start()
    sender.close()  # Otherwise the pipe would stay open after the process ends.
    return _Started(job, process, receiver, cores)


def _work(work, job, cores: set[int], printed: pathlib.Path | None, failures) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if cores:
        os.sched_setaffinity(0, cores)
    if printed:
        printed.parent.mkdir(parents=True, exist_ok=True)
        with printed.open("a", encoding="utf-8") as file:
            # Also catches what C++ prints.
            for stream in (sys.stdout, sys.stderr):
                os.dup2(file.fileno(), stream.fileno())
    try:
        work(job)
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        failures.send(Failure(str(error), text))


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone, as after a kill.

    Otherwise it would work on unseen and lock the next start out of its stages.
    """
    connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def _failure(ended: _Started) -> Failure | None:
    said = None
    with ended.failures as failures, contextlib.suppress(EOFError):
        said = failures.recv()
    ended.process.join()
    code = ended.process.exitcode
    if said:
        return said
    if not code:
        return None
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    message = f"its process was ended {how}; the system may have had no memory left"
    return Failure(message, message)
