"""Results as plain text, aligned, for a terminal of 80 columns."""

import textwrap
from collections.abc import Sequence

from st_keras.metrics.percent import NONE

ROLES = ("teacher", "student", "control")
_WIDTH = 79
_SHORT = 3  # Metrics in the table at the end of a run; the report has all.


def metric_names(report: dict) -> list[str]:
    """Returns the names of a report's metrics, the headline first."""
    numbers = [n for n, v in report["student"].items() if isinstance(v, float)]
    headline = report["headline"]
    return [headline, *(name for name in numbers if name != headline)]


def roles_of(report: dict) -> list[str]:
    """Returns which of teacher, student and control a report holds."""
    return [role for role in ROLES if role in report]


def billions(multiply_adds: int) -> str:
    """Returns multiply-adds as text, in billions or trillions."""
    if multiply_adds >= 1e13:
        return f"{multiply_adds / 1e12:,.0f} T"
    return f"{multiply_adds / 1e9:,.0f} B"


def number(value: float) -> str:
    """Returns a metric as text, a dash where there is nothing to compute it from."""
    return "-" if value == NONE else f"{value:.1f}"


def duration(seconds: float) -> str:
    """Returns seconds as text, in the two units that matter."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"


def format_table(report: dict) -> str:
    """Returns what `self_train` found, as the text to print at its end."""
    roles = roles_of(report)
    rows = [["", *roles]]
    for name in metric_names(report)[:_SHORT]:
        rows.append([name, *(number(report[role][name]) for role in roles)])
    steps = [f"{report[role]['steps']:,}" for role in roles]
    rows.append(["steps", *steps])
    totals = [report[role]["total"] for role in roles]
    steps = [f"{total['steps']:,}" for total in totals]
    rows.append(["steps with its teachers", *steps])
    work = [billions(total["multiply_adds"]) for total in totals]
    rows.append(["multiply-adds with them", *work])
    seconds = {
        stage: cost["device_seconds"] for stage, cost in report["ledger"].items()
    }
    times = [[stage.replace("_", " "), duration(s)] for stage, s in seconds.items()]
    times.append(["total", duration(sum(seconds.values()))])
    sections = [
        align(rows),
        wrap(report["pseudo_labels"]["sentence"]),
        align(times),
        "\n".join(wrap(sentence) for sentence in report["verdict"]),
    ]
    return "\n\n".join(sections)


def format_evaluation(result: dict) -> str:
    """Returns every number of an evaluation, its classes and its protocol as text."""
    metrics = result["metrics"]
    numbers = [[n, number(v)] for n, v in metrics.items() if isinstance(v, float)]
    sections = [align(numbers)]
    classes = metrics.get("per_class", {})
    if classes:
        columns = list(next(iter(classes.values())))
        rows = [
            [name, *(number(values[column]) for column in columns)]
            for name, values in classes.items()
        ]
        sections.append(align([["class", *columns], *rows]))
    protocol = [f"{name}: {value}" for name, value in result["protocol"].items()]
    sections.append("\n".join(["protocol", *(f"  {line}" for line in protocol)]))
    return "\n\n".join(sections)


def format_summary(summary: dict, workdir: str) -> str:
    """Returns a line that says what a run of training has reached."""
    reached = [f"loss {summary['losses']['loss']:.3f}"]
    metrics = summary["metrics"].items()
    numbers = [f"{n} {number(v)}" for n, v in metrics if isinstance(v, float)]
    reached += numbers[:_SHORT]
    return (
        f"{summary['role'].capitalize()}: {summary['steps']:,} steps in "
        f"{duration(summary['seconds'])}, {', '.join(reached)}: {workdir}"
    )


def align(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows of cells as lines; the first column left, the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows of cells as a Markdown table; the first row is its head."""
    head, *rest = rows
    every = (head, ["---"] * len(head), *rest)
    return "\n".join(f"| {' | '.join(row)} |" for row in every)


def wrap(text: str) -> str:
    """Returns a paragraph in lines that fit a terminal."""
    return textwrap.fill(text, _WIDTH)
