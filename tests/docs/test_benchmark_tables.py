"""The numbers in the tables of docs/benchmarks.md are those of the files they name."""

import functools
import json
import math
import re
from typing import NamedTuple

import pytest

from tests.docs.pages import DOCS

PAGE = DOCS / "benchmarks.md"
FILES = sorted(DOCS.glob("results/benchmark_*.json"))
LINK = re.compile(r"\]\((results/benchmark_\w+\.json)\)")
NUMBER = re.compile(r"-?[\d,]*\.?\d+")


class Row(NamedTuple):
    """A row of a table: its cells by column, and the file that the table is from."""

    file: str
    cells: dict[str, str]


def tables(text):
    """Returns the rows of all tables whose numbers are in a file.

    A row names its file itself, or the text before the table does.
    """
    found, file, columns = [], None, None
    for line in text.splitlines():
        links = LINK.findall(line)
        if not line.startswith("|"):
            file, columns = (links or [file])[-1], None
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if columns is None:
            columns = cells
        elif not set(line) <= set("|- "):
            row = dict(zip(columns, cells, strict=True))
            found.append(Row((links or [file])[-1], row))
    return found


def with_columns(*names):
    """Returns the rows of the page's tables that have all these columns."""
    rows = tables(PAGE.read_text(encoding="utf-8"))
    return [row for row in rows if set(names) <= row.cells.keys()]


@functools.cache
def content(file):
    return json.loads((DOCS / file).read_text(encoding="utf-8"))


def agree(cell, *values):
    """Whether a cell has these numbers, each rounded to the digits that are shown."""
    shown = [text.replace(",", "") for text in NUMBER.findall(cell)]
    if len(shown) != len(values):
        return False
    return all(
        abs(float(text) - value) <= 0.501 * 10.0 ** -len(text.partition(".")[2])
        for text, value in zip(shown, values, strict=True)
    )


RATIOS = with_columns("row", "ratio")


@pytest.mark.parametrize("row", RATIOS, ids=lambda row: row.cells["row"])
def test_a_row_is_that_of_its_file(row):
    measured = content(row.file)
    suite = measured["suite"]
    (stored,) = [
        r for r in measured["rows"] if r["name"] == f"{suite}/{row.cells['row']}"
    ]
    ratios = [run["ratio"] for run in stored["runs"]]
    values = {
        "ours": [stored["ours"]],
        "ratio": [stored["ratio"]],
        "of pairs": [min(ratios), max(ratios)],
        "of CPU time": [stored[key] for key in ("cpu_ratio",) if key in stored],
        "shards of": [float(measured.get("records", "0").split()[0])],
    }
    for column, cell in row.cells.items():
        if column in values:
            assert agree(cell, *values[column]), f"{column}: {cell}, {values[column]}"
        elif "peer" in column:
            assert agree(cell, stored["peer"]), f"{column}: {cell}, {stored['peer']}"
    assert row.cells["unit"].removeprefix("CPU ") == stored["unit"]


def test_every_row_of_the_files_is_in_a_table():
    assert len(RATIOS) > 30
    shown = {(row.file, row.cells["row"]) for row in RATIOS}
    for file in {row.file for row in RATIOS}:
        for stored in content(file)["rows"]:
            assert (file, stored["name"].partition("/")[2]) in shown, file


def test_growth_is_that_of_its_file():
    rows = with_columns("growth of", "exponent of the last step")
    curves = content("results/benchmark_growth.json")["curves"].values()
    for row, curve in zip(rows, curves, strict=True):
        first, *_, last = curve["points"]
        cells = row.cells
        assert agree(cells["seconds of CPU"], first["seconds"], last["seconds"]), cells
        assert agree(cells["exponent of the last step"], curve["exponent"]), cells
        # "128 x 128 px" are so many pixels.
        for cell, point in ((cells["from"], first), (cells["to"], last)):
            numbers = [int(n.replace(",", "")) for n in NUMBER.findall(cell)]
            assert math.prod(numbers) == point["x"], cells


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_has_its_command_its_machine_and_a_note_for_every_row(path):
    measured = content(path.relative_to(DOCS))
    assert measured["command"].startswith("python tools/benchmark.py --suite ")
    assert measured["machine"]["cpu"] and measured["machine"]["cores"]
    if path.stem != "benchmark_growth":  # Its curves have none, as the page says.
        assert all(row["note"] for row in measured["rows"])


def test_a_number_that_was_changed_does_not_agree():
    assert agree("1.18", 1.1785) and not agree("1.18", 1.1727)
    assert agree("1,988", 1988.4) and not agree("1,988", 1989.0)
    assert agree("0.83 to 1.02", 0.8349, 1.018)
    assert not agree("0.83 to 1.02", 0.8349, 1.028) and not agree("0.83", 0.83, 1.0)
    assert agree("") and not agree("", 1.0)
