"""Draws what a grid has found: a dot for each seed, a bar for each mean."""

from st_keras import writing
from st_keras.config.grid import GridConfig

_INCHES_PER_ROW = 0.34
_WIDTH_INCHES = 7.0
_DPI = 150
_GREY, _BLUE, _ORANGE = "#9aa5b1", "#1f6feb", "#d9822b"


def draw(path: str, grid: GridConfig, content: dict) -> None:
    """Writes a PNG; with an axis, lines over its values, otherwise a row for each arm.

    Args:
      path: The file.
      grid: The design.
      content: As `grid_table.collect` gives it.
    """
    # Loaded here: it takes half a second.
    from matplotlib.figure import Figure

    rows = len(content["cells"])
    height = 4.2 if grid.axes else 1.2 + _INCHES_PER_ROW * rows
    figure = Figure(figsize=(_WIDTH_INCHES, height), layout="constrained")
    axes = figure.subplots()
    if grid.axes:
        _lines(axes, grid, content)
    else:
        _dots(axes, grid, content)
    axes.set_title(grid.title, fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    with writing.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)


def _dots(axes, grid: GridConfig, content: dict) -> None:
    names = list(content["cells"])
    for row, name in enumerate(names):
        cell = content["cells"][name]
        color = _ORANGE if name == grid.reference else _BLUE
        axes.plot(cell["values"], [row] * len(cell["values"]), "o", color=_GREY, ms=4)
        axes.plot([cell["mean"]], [row], "|", color=color, ms=16, mew=3)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="x", color="#e6e9ec")
    axes.set_xlabel(content["headline"])


def _lines(axes, grid: GridConfig, content: dict) -> None:
    first, *_ = grid.axes
    values = list(grid.axes[first])
    rest = list(dict.fromkeys(point[1:] for point in grid.points()))
    for arm in grid.arms:
        for others in rest:
            names = {value: "/".join((value, *others, arm)) for value in values}
            there = [value for value in values if names[value] in content["cells"]]
            if not there:
                continue
            cells = [content["cells"][names[value]] for value in there]
            means = [cell["mean"] for cell in cells]
            spread = [cell["sd"] or 0.0 for cell in cells]
            label = " / ".join((*others, arm))
            line, *_ = axes.errorbar(
                there, means, yerr=spread, marker="o", ms=4, capsize=3, label=label
            )
            if all("published" in cell for cell in cells):
                paper = [cell["published"] for cell in cells]
                axes.plot(there, paper, "--", color=line.get_color(), lw=1, alpha=0.6)
    axes.set_xlabel(first)
    axes.set_ylabel(content["headline"])
    axes.grid(axis="y", color="#e6e9ec")
    axes.legend(fontsize=7, frameon=False)
