"""Draws the results of a grid: a dot for each seed, a bar for each mean."""

import math

from st_keras import writing
from st_keras.config.grid import GridConfig, cell_name

_INCHES_PER_ROW = 0.34
_WIDTH_INCHES = 7.0
_DPI = 150
_GREY, _BLUE, _ORANGE = "#9aa5b1", "#1f6feb", "#d9822b"
# What is published: hollow, so that it hides no dot of ours.
_PAPER = {"marker": "D", "ms": 6, "mfc": "none", "lw": 1, "alpha": 0.8}


def draw(path: str, grid: GridConfig, content: dict) -> None:
    """Writes a PNG of lines over the first axis, or of rows of dots.

    Without axes, a row is an arm. Where there are only the cells of claims, which make
    no lines, a row is a claim, drawn around 0. The paper's values are hollow diamonds.

    Args:
      path: The file.
      grid: The design.
      content: As `table.collect` gives it.
    """
    figure = _figure(grid, content)
    with writing.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)


def _figure(grid: GridConfig, content: dict):
    # Loaded here: it takes half a second.
    from matplotlib.figure import Figure

    are_lines = bool(grid.axes) and not grid.only_claims
    of_rows = content["claims" if grid.only_claims else "cells"]
    height = 4.2 if are_lines else 1.2 + _INCHES_PER_ROW * len(of_rows)
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    axes = figure.subplots()
    if are_lines:
        _lines(axes, grid, content)
    else:
        _dots(axes, of_rows, grid.reference)
        unit = content["headline"]
        axes.set_xlabel(f"{unit}, above 0 as claimed" if grid.only_claims else unit)
    if grid.only_claims:
        axes.axvline(0.0, color=_GREY, lw=1)
    figure.suptitle(grid.title, fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _dots(axes, of_rows: dict[str, dict], reference: str) -> None:
    for row, (name, found) in enumerate(of_rows.items()):
        color = _ORANGE if name == reference else _BLUE
        axes.plot(found["values"], [row] * len(found["values"]), "o", color=_GREY, ms=4)
        axes.plot([found["mean"]], [row], "|", color=color, ms=16, mew=3)
        if "published" in found:
            axes.plot([found["published"]], [row], color=color, ls="", **_PAPER)
    axes.set_yticks(range(len(of_rows)), list(of_rows), fontsize=8)
    # From the top, and no bar cut off.
    axes.set_ylim(len(of_rows) - 0.5, -0.5)
    axes.grid(axis="x", color="#e6e9ec")
    _legend(axes, of_rows, paper_ls="")


def _lines(axes, grid: GridConfig, content: dict) -> None:
    first, *_ = grid.axes
    values = list(grid.axes[first])
    rest = list(dict.fromkeys(point[1:] for point in grid.points()))
    for arm in grid.arms:
        for others in rest:
            names = [cell_name((value, *others), arm) for value in values]
            cells = [content["cells"][name] for name in names]
            means = [cell["mean"] for cell in cells]
            spread = [cell["sd"] or 0.0 for cell in cells]
            label = " / ".join((*others, arm))
            line, *_ = axes.errorbar(
                values, means, yerr=spread, marker="o", ms=4, capsize=3, label=label
            )
            # A gap in the line where nothing is published.
            paper = [cell.get("published", math.nan) for cell in cells]
            axes.plot(values, paper, ls="--", color=line.get_color(), **_PAPER)
    axes.set_xlabel(first)
    axes.set_ylabel(content["headline"])
    axes.grid(axis="y", color="#e6e9ec")
    _legend(axes, content["cells"], paper_ls="--")


def _legend(axes, of_rows: dict[str, dict], paper_ls: str) -> None:
    """Names the lines, and once what is published: that has the colors of ours."""
    handles, labels = axes.get_legend_handles_labels()
    if any("published" in found for found in of_rows.values()):
        handles += axes.plot([], [], color=_GREY, ls=paper_ls, **_PAPER)
        labels.append("paper")
    if labels:
        # Beside the axes, where it covers nothing.
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        axes.legend(handles, labels, fontsize=7, frameon=False, **place)
