"""Writes the table of compilations into a page of the docs."""

import pathlib
from collections.abc import Sequence

from st_keras import writing
from st_keras.experiments import tables
from st_keras.experiments.tpu import page, results
from st_keras.experiments.tpu.results import Row

BEGIN = "<!-- Made by tools/tpu_table.py; do not edit. -->"
END = "<!-- End of what is made. -->"

_COLUMNS = (
    "config",
    "slice",
    "images per replica",
    "compiles in",
    "arguments",
    "temporaries",
    "code",
    "all, of memory",
    "fits",
    "TFLOP",
    "FLOP per byte",
    "step at best",
    "run at best",
    "chip-hours",
)


def write(page_path: str, results_path: str) -> None:
    """Puts the table of a file of results between the two marks of a page.

    Raises:
      ValueError: The page has no such marks, or the results cannot be read.
      OSError: A file cannot be read or written.
    """
    text = pathlib.Path(page_path).read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page_path}: must have the lines `{BEGIN}` and `{END}`.")
    made = format_table(results.read(results_path))
    writing.write_text(page_path, f"{head}{BEGIN}\n\n{made}\n{END}{tail}")


def format_table(rows: Sequence[Row]) -> str:
    """Returns the rows as a Markdown table, and below it what fits."""
    lines = [tables.markdown([_COLUMNS, *(_cells(row) for row in rows)])]
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault((row.config, row.step, row.chip), []).append(row)
    notes = [
        f"- {_name(group[0])}, {group[0].chip}: {text}"
        for group in groups.values()
        if (text := page.what_fits(group))
    ]
    errors = [
        f"- {_name(row)}, {row.chip}, {row.images_per_replica} images per replica: "
        f"{' '.join(row.compiled.error.split())}"
        for row in rows
        if row.compiled.error
    ]
    return "\n".join([*lines, "", *notes, *errors, ""])


def _cells(row: Row) -> list[str]:
    compiled, chip = row.compiled, row.kind_of_tpu
    memory = compiled.memory_bytes
    parts = [
        page.gib(memory[name]) if memory else ""
        for name in ("arguments", "temporaries", "code")
    ]
    needed = ""
    if compiled.needed_bytes:
        needed = f"{page.gib(compiled.needed_bytes)} of {page.gib(chip.hbm_bytes)}"
    bound, cost = page.roofline_of(row), page.cost_of(row)
    return [
        _name(row),
        chip.slice_name(row.replicas),
        str(row.images_per_replica),
        tables.duration(compiled.compile_seconds),
        *parts,
        needed,
        {"fits": "yes", "too large": "no"}.get(compiled.verdict, compiled.verdict),
        f"{row.slices * compiled.flops / 1e12:.2f}" if bound else "",
        f"{bound.intensity:.0f}" if bound else "",
        f"{1000 * bound.seconds:.0f} ms ({bound.bound})" if bound else "",
        f"{cost.hours:.1f} h" if cost else "",
        f"{cost.chip_hours:,.0f}" if cost else "",
    ]


def _name(row: Row) -> str:
    path, *changes = row.config.split(" ")
    words = [f"`{pathlib.PurePath(path).stem}`", *changes]
    return " ".join(words if row.step == "train" else [*words, f"({row.step})"])
