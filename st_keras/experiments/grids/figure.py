"""Draws the results of a grid: a dot for each seed, a bar for each mean."""

from st_keras import writing
from st_keras.config.grid import GridConfig, cell_name

_INCHES_PER_ROW = 0.34
_WIDTH_INCHES = 7.0
_DPI = 150
_GREY, _BLUE, _ORANGE = "#9aa5b1", "#1f6feb", "#d9822b"


def draw(path: str, grid: GridConfig, content: dict) -> None:
    """Writes a PNG of lines over the first axis, or of rows of dots.

    Without axes, a row is an arm. Where there are only the cells of claims, which make
    no lines, a row is a claim, drawn around 0.

    Args:
      path: The file.
      grid: The design.
      content: As `table.collect` gives it.
    """
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
    with writing.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)


def _dots(axes, of_rows: dict[str, dict], reference: str) -> None:
    for row, (name, found) in enumerate(of_rows.items()):
        color = _ORANGE if name == reference else _BLUE
        axes.plot(found["values"], [row] * len(found["values"]), "o", color=_GREY, ms=4)
        axes.plot([found["mean"]], [row], "|", color=color, ms=16, mew=3)
    axes.set_yticks(range(len(of_rows)), list(of_rows), fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="x", color="#e6e9ec")


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
            if all("published" in cell for cell in cells):
                paper = [cell["published"] for cell in cells]
                axes.plot(values, paper, "--", color=line.get_color(), lw=1, alpha=0.6)
    axes.set_xlabel(first)
    axes.set_ylabel(content["headline"])
    axes.grid(axis="y", color="#e6e9ec")
    axes.legend(fontsize=7, frameon=False)
