"""Shared by the suites of measurements: choice of rows, records and output file."""

import contextlib
import tempfile
from collections.abc import Collection, Iterator, Sequence

from st_keras.experiments.benchmarks import rows, scenes
from st_keras.runtime import run_log


def chosen(
    names: Sequence[str], only: Sequence[str], slow: Collection[str] = ()
) -> list[str]:
    """Returns the names to measure, in their order.

    Args:
      names: All of a suite.
      only: Some of these; empty is all but the slow ones.
      slow: Those that take hours.

    Raises:
      ValueError: A name in `only` is unknown.
    """
    unknown = [name for name in only if name not in names]
    if unknown:
        raise ValueError(
            f"`--only` must be from {', '.join(names)}; got {', '.join(unknown)}."
        )
    return [name for name in names if name in (only or set(names).difference(slow))]


@contextlib.contextmanager
def given_or_made(records: str, count: int) -> Iterator[str]:
    """Yields a glob of records.

    Args:
      records: Glob; empty makes scenes, which are deleted afterwards.
      count: Scenes to make.
    """
    if records:
        yield records
        return
    with tempfile.TemporaryDirectory() as folder:
        yield scenes.write_scenes(folder, count)


def write(output: str, name: str, command: str, content: dict) -> None:
    """Writes what a suite has found so far, with the machine and the versions.

    Args:
      output: JSON file.
      name: Of the suite.
      command: What repeats it.
      content: What the suite has found, such as `rows`.
    """
    content = {"suite": name, "command": command, **content}
    content |= {"machine": rows.machine(), "versions": rows.versions()}
    run_log.write_json(output, content)
