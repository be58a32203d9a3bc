"""What every suite of measurements reports: rows, and what they were measured on."""

import importlib.metadata
import os
import pathlib
import platform
import re
import statistics
from collections.abc import Callable
from typing import NamedTuple

import st_keras
from st_keras.experiments import tables

IMAGES_PER_SECOND = "images/s per core"
_DIGITS = 4


class Measurement(NamedTuple):
    """One reading of the clocks."""

    per_core_second: float  # Images per second of processor time.
    cores: float  # Processor time over wall time; above 1, several cores worked.


def compare(
    name: str,
    ours: Callable[[], Measurement],
    peer: Callable[[], Measurement],
    *,
    pairs: int,
    note: str = "",
    after_pair: Callable[[], object] = lambda: None,
) -> dict:
    """Measures two sides in turn and returns a row.

    In turn, so that what else the machine does falls on both; the ratio is the median
    of the pairs' ratios, so that one disturbed pair does not count.

    Args:
      name: Of the row.
      ours: Measures us.
      peer: Measures what we compare with.
      pairs: How often both are measured.
      note: What a reader must know to take the ratio for what it is.
      after_pair: Called after each pair.

    Returns:
      `name`, the medians `ours` and `peer`, their `unit`, the `ratio`, which is above 1
      where we are better, the single `runs`, and `note` if there is one.
    """
    runs = []
    for _ in range(pairs):
        mine, other = ours(), peer()
        runs.append(
            {
                "ours": _short(mine.per_core_second),
                "peer": _short(other.per_core_second),
                "ratio": _short(mine.per_core_second / other.per_core_second),
                "ours_cores": round(mine.cores, 2),
                "peer_cores": round(other.cores, 2),
            }
        )
        after_pair()
    row = {
        "name": name,
        "ours": _median(runs, "ours"),
        "peer": _median(runs, "peer"),
        "unit": IMAGES_PER_SECOND,
        "ratio": _median(runs, "ratio"),
        "runs": runs,
    }
    return row | ({"note": note} if note else {})


def milliseconds(measured: Measurement) -> float:
    """Returns the processor time of one image."""
    return _short(1000.0 / measured.per_core_second)


def per_second(measured: Measurement) -> float:
    """Returns the images per second of processor time, as rows have them."""
    return _short(measured.per_core_second)


def machine() -> dict:
    """Returns what the numbers depend on: processor, cores, system, Python."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return {
        "cpu": model.group(1) if model else platform.processor() or "unknown",
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Returns the versions of both sides and of what both stand on."""
    names = ("tensorflow", "tf-models-official")
    installed = {name: importlib.metadata.version(name) for name in names}
    return installed | {"st_keras": st_keras.__version__}


def format_rows(rows: list[dict]) -> str:
    """Returns rows as an aligned table."""
    cells = [
        [
            row["name"],
            f"{row['ours']:.1f}",
            f"{row['peer']:.1f}",
            row["unit"],
            f"{row['ratio']:.2f}",
            f"{_spread(row)}",
        ]
        for row in rows
    ]
    return tables.align([["", "ours", "peer", "unit", "ratio", "of pairs"], *cells])


def _spread(row: dict) -> str:
    ratios = [run["ratio"] for run in row["runs"]]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def _median(runs: list[dict], key: str) -> float:
    return _short(statistics.median(run[key] for run in runs))


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
