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

PER_CORE_SECOND = "images/s per core"
PER_SECOND = "images/s"
_DIGITS = 4


class Measurement(NamedTuple):
    """One reading of the clocks."""

    rate: float  # Images per second of processor time or, with all cores, wall time.
    cores: float  # Processor time over wall time; above 1, several cores worked.


def compare(
    name: str,
    ours: Callable[[], Measurement],
    peer: Callable[[], Measurement],
    *,
    pairs: int,
    unit: str = PER_CORE_SECOND,
    note: str = "",
    after_pair: Callable[[], object] = lambda: None,
) -> dict:
    """Measures two sides in turn and returns a row.

    They alternate so that other load on the machine affects both; the ratio is the
    median of the pairs' ratios, so that one disturbed pair does not count.

    Args:
      name: Of the row.
      ours: Measures us.
      peer: Measures what we compare with.
      pairs: How often both are measured.
      unit: Of the rates.
      note: What a reader must know to interpret the ratio.
      after_pair: Called after each pair.

    Returns:
      `name`, the medians `ours` and `peer`, their `unit`, the `ratio`, which is above 1
      where we are better, the individual `runs`, and `note` if there is one. Where the
      rates are per second of wall time, also `cpu_ratio`, the same per second of
      processor time, which is more telling on a busy machine.
    """
    runs = []
    for _ in range(pairs):
        mine, other = ours(), peer()
        run = {
            "ours": _short(mine.rate),
            "peer": _short(other.rate),
            "ratio": _short(mine.rate / other.rate),
            "ours_cores": round(mine.cores, 2),
            "peer_cores": round(other.cores, 2),
        }
        if unit == PER_SECOND:
            used = (mine.rate / mine.cores) / (other.rate / other.cores)
            run["cpu_ratio"] = _short(used)
        runs.append(run)
        after_pair()
    return _row(name, unit, runs, note)


def compare_costs(
    name: str, ours: list[float], peer: list[float], *, unit: str, note: str = ""
) -> dict:
    """Returns the row of costs, of which less is better.

    Args:
      name: Of the row.
      ours: One cost for each pair.
      peer: As many.
      unit: Of the costs.
      note: As in `compare`.
    """
    runs = [
        {"ours": _short(mine), "peer": _short(other), "ratio": _short(other / mine)}
        for mine, other in zip(ours, peer, strict=True)
    ]
    return _row(name, unit, runs, note)


def milliseconds(measured: Measurement) -> float:
    """Returns the processor time of one image."""
    return _short(1000.0 / measured.rate)


def per_second(measured: Measurement) -> float:
    """Returns the images per second of processor time, rounded as in rows."""
    return _short(measured.rate)


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
    """Returns the versions of both sides and of TensorFlow, which both use."""
    names = ("tensorflow", "tf-models-official")
    installed = {name: importlib.metadata.version(name) for name in names}
    return installed | {"st_keras": st_keras.__version__}


def format_content(content: dict) -> str:
    """Returns what a suite of rows has found as text."""
    return format_rows(content["rows"])


def format_rows(rows: list[dict]) -> str:
    """Returns rows as an aligned table."""
    with_cpu = any("cpu_ratio" in row for row in rows)
    cells = [
        [
            row["name"],
            f"{row['ours']:.1f}",
            f"{row['peer']:.1f}",
            row["unit"],
            f"{row['ratio']:.2f}",
            f"{_spread(row)}",
            *([f"{row['cpu_ratio']:.2f}" if "cpu_ratio" in row else "-"] * with_cpu),
        ]
        for row in rows
    ]
    head = ["", "ours", "peer", "unit", "ratio", "of pairs"]
    return tables.align([head + ["of CPU time"] * with_cpu, *cells])


def format_markdown(rows: list[dict]) -> str:
    """Returns rows as a table for the documentation."""
    lines = [
        "| row | ours | peer | unit | ratio | of pairs | of CPU time |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        cpu = f"{row['cpu_ratio']:.2f}" if "cpu_ratio" in row else ""
        lines.append(
            f"| {row['name']} | {row['ours']:g} | {row['peer']:g} | {row['unit']} "
            f"| **{row['ratio']:.2f}** | {_spread(row)} | {cpu} |"
        )
    return "\n".join(lines)


def _row(name: str, unit: str, runs: list[dict], note: str) -> dict:
    row = {
        "name": name,
        "ours": _median(runs, "ours"),
        "peer": _median(runs, "peer"),
        "unit": unit,
        "ratio": _median(runs, "ratio"),
        "runs": runs,
    }
    if "cpu_ratio" in runs[0]:
        row["cpu_ratio"] = _median(runs, "cpu_ratio")
    return row | ({"note": note} if note else {})


def _spread(row: dict) -> str:
    ratios = [run["ratio"] for run in row["runs"]]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def _median(runs: list[dict], key: str) -> float:
    return _short(statistics.median(run[key] for run in runs))


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
