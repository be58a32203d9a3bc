"""Charts of a report, drawn by matplotlib for light and for dark pages."""

import io
from collections.abc import Sequence
from typing import NamedTuple

import matplotlib
from matplotlib import ticker
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# One colour per model in charts and tables; colour-blind readers can tell them apart.
COLORS = {"teacher": "#4a86d8", "student": "#e8833a", "control": "#2fa37c"}
_OTHER = "#8a8f98"
_SIZE_INCHES = (5.6, 3.3)
_DPI = 150
_THEMES = {
    "light": {"ink": "#3c4250", "grid": "#e3e6eb", "page": "#ffffff"},
    "dark": {"ink": "#c3c9d4", "grid": "#333a47", "page": "#1b2029"},
}


class Line(NamedTuple):
    """One curve."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    color: str = _OTHER
    style: str = "-"


class Mark(NamedTuple):
    """A straight line across a chart: at `x`, or at `y` where `x` is None."""

    name: str
    x: float | None = None
    y: float | None = None


class Chart(NamedTuple):
    """A chart as PNG files."""

    title: str
    light: bytes
    dark: bytes


def chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_label: str,
    log: bool = False,
    y_range: tuple[float, float] | None = None,
    marks: Sequence[Mark] = (),
) -> Chart:
    """Draws curves over a common axis, in both themes.

    Args:
      title: Of the chart; the page shows it, the picture does not.
      lines: The curves, in the order of the legend.
      x_label: Of the axis.
      log: Whether the y axis is logarithmic.
      y_range: Of the axis; None fits it.
      marks: Straight lines across.
    """

    def draw(axes, ink: str) -> None:
        for line in lines:
            dots = "o" if len(line.x) < 3 else None
            axes.plot(
                line.x,
                line.y,
                line.style,
                color=line.color,
                label=line.name,
                linewidth=1.7,
                marker=dots,
            )
        for mark in marks:
            look = {"color": ink, "linewidth": 1.1, "label": mark.name}
            if mark.x is None:
                axes.axhline(mark.y, linestyle="-.", **look)
            else:
                axes.axvline(mark.x, linestyle=":", **look)
        if log:
            axes.set_yscale("log")
            # 0.2 and 5 rather than 2 x 10^-1 and 5 x 10^0.
            axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
            axes.yaxis.set_minor_formatter(ticker.NullFormatter())
        if y_range:
            axes.set_ylim(*y_range)
        axes.set_xlabel(x_label)
        if len(lines) + len(marks) > 1:
            axes.legend(frameon=False, fontsize=9)

    return Chart(title, *(_render(draw, **theme) for theme in _THEMES.values()))


def run_color(run: str) -> str:
    """Returns the colour of a run by its folder's name, such as `student_1`."""
    return COLORS.get(run.split("_")[0], _OTHER)


def _render(draw, *, ink: str, grid: str, page: str) -> bytes:
    style = {
        "axes.edgecolor": grid,
        "axes.facecolor": page,
        "axes.grid": True,
        "axes.labelcolor": ink,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.facecolor": page,
        "font.size": 10,
        "grid.color": grid,
        "grid.linewidth": 0.8,
        "lines.dashed_pattern": (5.0, 4.0),  # The gaps show a line underneath.
        "text.color": ink,
        "xtick.color": ink,
        "ytick.color": ink,
    }
    with matplotlib.rc_context(style):
        # No pyplot: it keeps figures alive and may look for a screen.
        figure = Figure(_SIZE_INCHES, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot(), ink)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
    return buffer.getvalue()
