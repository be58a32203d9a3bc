"""Draws how costs grow: a panel for each curve, against a straight line."""

from st_keras import writing

_COLUMNS = 4
_PANEL_INCHES = (2.6, 2.2)
_DPI = 130
_BLUE, _GREY = "#1f6feb", "#9aa5b1"


def _short(count: int) -> str:
    return f"{count / 1000:.3g}k" if count >= 1000 else f"{count}"


def draw(path: str, curves: dict[str, dict]) -> None:
    """Writes a PNG.

    Args:
      path: The file.
      curves: As `growth_suite.run` gives them.
    """
    # Loaded here: it takes half a second.
    from matplotlib.figure import Figure

    rows = -(-len(curves) // _COLUMNS)
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * _COLUMNS, height * rows), layout="constrained")
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for panel in panels[len(curves) :]:
        panel.axis("off")
    for panel, (name, curve) in zip(panels, curves.items(), strict=False):
        x = [point["x"] for point in curve["points"]]
        y = [point["seconds"] for point in curve["points"]]
        panel.loglog(x, y, "o-", color=_BLUE, ms=4)
        # Linear, through the last point.
        panel.loglog(x, [y[-1] * at / x[-1] for at in x], "--", color=_GREY, lw=1)
        panel.set_title(f"{name.split('/')[-1]}: {curve['what']}", fontsize=6)
        panel.set_xlabel(curve["unit"], fontsize=7)
        panel.set_ylabel("seconds", fontsize=7)
        # With few points between two powers of ten, the default ticks overlap.
        panel.minorticks_off()
        panel.set_xticks(x, [_short(value) for value in x])
        ends = {min(y), max(y)} if max(y) > 2 * min(y) else {max(y)}
        panel.set_yticks(list(ends), [f"{value:.2g}" for value in ends])
        panel.tick_params(labelsize=6)
    with writing.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)
