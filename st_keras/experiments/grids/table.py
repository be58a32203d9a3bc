"""The results of a grid, as numbers, a table in Markdown, and a figure."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

from st_keras import writing
from st_keras.config.grid import GridConfig, cell_name, load_grid
from st_keras.experiments import tables
from st_keras.experiments.grids import figure, jobs
from st_keras.experiments.grids.jobs import Job, read_result
from st_keras.runtime.run_log import write_json

_LEVEL = 0.05  # Of significance.
_ROUNDING = 1e-9  # A smaller spread counts as none: 0.1 + 0.2 is not 0.3.


def write(
    path: str,
    workdir: str,
    output: str,
    command: str,
    overrides: Sequence[str] = (),
    seeds: Sequence[int] = (),
) -> str:
    """Writes `<output>.json`, `.md` and `.png` from the results of a whole grid.

    Args:
      path: Of the grid's YAML.
      workdir: Folder of its runs.
      output: Path without an ending.
      command: Command that made the runs.
      overrides: Of all cells.
      seeds: Seeds to include; empty: those of the grid.

    Returns:
      The table.

    Raises:
      ValueError: A cell has no result; names it.
    """
    grid = load_grid(path)
    grid = dataclasses.replace(grid, seeds=tuple(seeds) or grid.seeds)
    of_all = jobs.of_grid(
        path, workdir, cells=[], seeds=list(grid.seeds), overrides=tuple(overrides)
    )
    content = collect(grid, of_all)
    content = {"title": grid.title, "command": command} | content
    write_json(f"{output}.json", content)
    text = markdown(grid, content)
    writing.write_text(f"{output}.md", text)
    figure.draw(f"{output}.png", grid, content)
    return text


def collect(grid: GridConfig, of_all: list[Job]) -> dict:
    """Returns the numbers of every cell, and its gain over the reference.

    Raises:
      ValueError: A cell has no result; names it.
    """
    results = {(job.cell, job.seed): read_result(job) for job in of_all}
    missing = [f"{cell} seed {seed}" for (cell, seed), r in results.items() if not r]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(results)} runs of the grid are not finished, the "
            f"first {missing[0]}: run tools/grid.py again."
        )
    headline = next(iter(results.values()))["headline"]
    cells = {}
    for name, (point, arm) in grid.cells().items():
        found = [results[name, seed] for seed in grid.seeds]
        values = [result["metrics"][headline] for result in found]
        cells[name] = {
            "values": [round(value, 4) for value in values],
            **_mean_and_sd(values),
            "steps": [result["steps"] for result in found],
            "total": found[0]["total"],
        }
        reference = cell_name(point, grid.reference)
        if arm != grid.reference and reference in grid.cells():
            others = [results[reference, s]["metrics"][headline] for s in grid.seeds]
            cells[name]["gain"] = paired(values, others)
        if name in grid.published:
            cells[name]["published"] = grid.published[name]
    protocols = [result["protocol"] for result in results.values()]
    return {
        "headline": headline,
        "seeds": list(grid.seeds),
        "cells": cells,
        "claims": {
            claim: _claim(factors, results, headline, grid.seeds)
            for claim, factors in grid.claims.items()
        },
        # What all have in common: role and checkpoint, for one, differ.
        "protocol": {
            name: value
            for name, value in protocols[0].items()
            if "checkpoint" not in name
            and all(other.get(name) == value for other in protocols)
        },
    }


def _claim(factors: dict[str, float], results: dict, headline: str, seeds) -> dict:
    """Returns the weighted sum of cells, seed by seed, and whether it is above 0."""
    sums = [
        math.fsum(
            factor * results[cell, seed]["metrics"][headline]
            for cell, factor in factors.items()
        )
        for seed in seeds
    ]
    p = _p(sums)
    return {
        "values": [round(value, 4) for value in sums],
        **paired(sums, [0.0] * len(sums)),
        "p": p,  # Not rounded: Holm's method multiplies it.
        "holds": p is not None and p < _LEVEL and math.fsum(sums) > 0,
    }


def paired(values: Sequence[float], others: Sequence[float]) -> dict:
    """Returns by how much values exceed others, seed by seed, and the p of that.

    Returns:
      Mean and sd of the differences, and the p of a two-sided paired t-test: None with
      fewer than two seeds, and where all differences are equal.
    """
    differences = [a - b for a, b in zip(values, others, strict=True)]
    p = _p(differences)
    return _mean_and_sd(differences) | {"p": None if p is None else float(f"{p:.2g}")}


def _p(differences: Sequence[float]) -> float | None:
    if len(differences) < 2 or statistics.stdev(differences) < _ROUNDING:
        return None
    from scipy import stats  # A second to load.

    return float(stats.ttest_1samp(differences, 0.0).pvalue)


def markdown(grid: GridConfig, content: dict) -> str:
    """Returns the table of a grid with its title, command and protocol."""
    lines = [f"# {grid.title}", ""]
    if grid.axes:
        lines += _pivot(grid, content)
    lines += _rows(grid, content)
    seeds = ", ".join(map(str, content["seeds"]))
    lines += [
        "",
        f"{content['headline']}, mean (sd) over seeds {seeds}. Steps are those of the "
        "last model; the cost is in multiply-adds, with teachers and labelling, next "
        "to that of the first row.",
    ]
    if grid.reference:
        text = f"Gains are over `{grid.reference}`, seed by seed"
        if len(content["seeds"]) > 1:
            text += (
                f"; p is of a two-sided paired t-test with {len(content['seeds'])} "
                f"seeds, each row by itself: above {_LEVEL:g}, the difference may be "
                "chance. Another run of a seed, on other cores, differs too, which p "
                "does not know"
            )
        lines += [f"{text}."]
    if grid.claims:
        lines += ["", *_claims(grid, content), ""]
    if grid.source:
        lines += [f"Published: {grid.source}."]
    return "\n".join([*lines, "", f"Made by `{content['command']}`.", ""])


def _pivot(grid: GridConfig, content: dict) -> list[str]:
    """Returns a table whose columns are the values of the first axis."""
    first, *_ = grid.axes
    rest = list(dict.fromkeys(point[1:] for point in grid.points()))
    head = ["", *(f"{first} {value}" for value in grid.axes[first])]
    rows = []
    for arm in grid.arms:
        for others in rest:
            names = [cell_name((v, *others), arm) for v in grid.axes[first]]
            cells = [content["cells"].get(name) for name in names]
            if any(cells):
                texts = [_text(cell) if cell else "" for cell in cells]
                rows.append([" / ".join((*others, arm)), *texts])
    return [tables.markdown([head, *rows]), ""]


def _rows(grid: GridConfig, content: dict) -> list[str]:
    head = ["", content["headline"], "steps", "cost"]
    head += ["gain", "p"] if grid.reference else []
    head += [f"seed {seed}" for seed in content["seeds"]]
    rows = [head]
    first = next(iter(content["cells"].values()))["total"]["multiply_adds"]
    for name, cell in content["cells"].items():
        cost = cell["total"]["multiply_adds"] / first
        row = [name, _text(cell), f"{cell['steps'][0]:,}", f"{cost:.2f}"]
        if grid.reference:
            gain = cell.get("gain")
            row += [_signed(gain), _doubt(gain)] if gain else ["", ""]
        rows.append([*row, *(tables.number(value) for value in cell["values"])])
    return [tables.markdown(rows)]


def _claims(grid: GridConfig, content: dict) -> list[str]:
    rows = [["claim", "cells", content["headline"], "p", "p of all", "holds"]]
    of_all = _holm({name: found["p"] for name, found in content["claims"].items()})
    for claim, factors in grid.claims.items():
        found = content["claims"][claim]
        cells = " ".join(f"{factor:+g} {cell}" for cell, factor in factors.items())
        holds = "yes" if found["holds"] else "not shown"
        if found["p"] is not None and found["p"] < _LEVEL and found["mean"] < 0:
            holds = "no, the other way"
        together = "" if of_all[claim] is None else f"{of_all[claim]:.2g}"
        rows.append([claim, cells, _signed(found), _doubt(found), together, holds])
    return [
        tables.markdown(rows),
        "",
        "A claim holds if the sum of its cells, seed by seed, is above 0 with a p "
        f"under {_LEVEL:g} (two-sided t-test, claim by claim). `p of all` is Holm's: "
        "under it, all claims with such a p hold together.",
    ]


def _holm(p_of: dict[str, float | None]) -> dict[str, float | None]:
    """Returns p corrected for multiple testing, by Holm's step-down method.

    A claim without a p has been tested too: its seeds are all equal.
    """
    known = sorted((p, name) for name, p in p_of.items() if p is not None)
    corrected, largest = dict.fromkeys(p_of), 0.0
    for place, (p, name) in enumerate(known):
        largest = max(largest, min(1.0, (len(p_of) - place) * p))
        corrected[name] = largest
    return corrected


def _text(cell: dict) -> str:
    text = f"{cell['mean']:.1f}"
    if cell["sd"] is not None:
        text += f" ({cell['sd']:.1f})"
    return text + (f", paper {cell['published']:g}" if "published" in cell else "")


def _signed(gain: dict) -> str:
    spread = "" if gain["sd"] is None else f" ({gain['sd']:.1f})"
    return f"{gain['mean']:+.1f}{spread}"


def _doubt(gain: dict) -> str:
    return "" if gain["p"] is None else f"{gain['p']:.2g}"


def _mean_and_sd(values: Sequence[float]) -> dict:
    sd = statistics.stdev(values) if len(values) > 1 else None
    return {
        # Pages round to one digit; rounding twice would show 53.347 as 53.4.
        "mean": round(math.fsum(values) / len(values), 4),
        "sd": None if sd is None else round(sd, 4),
    }
