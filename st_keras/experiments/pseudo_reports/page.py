"""The quality of pseudo labels as a page to read and as text for a terminal."""

import os
import pathlib
from collections.abc import Sequence

from st_keras import writing
from st_keras.data import drawing_verdicts
from st_keras.experiments import figures, page, tables
from st_keras.experiments.figures import Chart, Line, Mark
from st_keras.experiments.pseudo_reports.contents import Shown
from st_keras.metrics.verdicts import KINDS

PAGE_FILE = "report.html"
EXCLUDE_FILE = "exclude.txt"
_MANY_ROWS = 20
_SHORT = 5  # Classes in the terminal.
_STYLES = [
    (figures.COLORS["teacher"], "-"),
    (figures.COLORS["control"], "--"),
    (figures.COLORS["student"], ":"),
]
_MEANINGS = {
    "matched": "kept and right.",
    "false": "kept and wrong; the student would learn it.",
    "missed": "true, but not kept.",
    "kept": "kept; nobody knows whether it is right.",
    "dropped": "under the threshold; the student does not learn it.",
}
_NOTES = [
    (
        "class_shift",
        "how unlike people's the shares of the classes are: Jensen-Shannon divergence, "
        "0 for alike, 1 for no class in common.",
    ),
    ("empty_share", "share of the pictures in which nothing is kept."),
    ("share", "of the class in all that is kept; human_share: in all people say."),
    ("_75", "a box is right from an IoU of 0.75 on, elsewhere from 0.5 on."),
    ("ap", "average precision over all scores above the floor, as COCO has it."),
]


def write_html(report: dict, shown: Sequence[Shown], output: str) -> str:
    """Writes report.html into a folder and returns its path.

    Args:
      report: What `report_pseudo` returns.
      shown: The pictures, most disagreement first.
      output: The folder.
    """
    name = pathlib.Path(report["settings"]["pseudo"]).resolve().name
    body = [
        _head(report, name),
        _thresholds(report),
        *(_table(title, rows) for title, rows in report["tables"].items()),
        _scores(report),
        _agreement(report),
        _pictures(report, shown),
        _origin(report),
    ]
    path = pathlib.Path(output, PAGE_FILE)
    writing.write_text(path, page.document(f"Pseudo labels: {name}", body))
    return os.fspath(path)


def format_summary(report: dict, path: str) -> str:
    """Returns what a report says, as text for one screen.

    Args:
      report: What `report_pseudo` returns.
      path: Of the page.
    """
    human = report["human"] or {}
    rows = [["", "pseudo", report["human_are"]]] if human else [["", "pseudo"]]
    for name, value in report["numbers"].items():
        if value is not None and name != "min_score":
            people = [_text(human.get(name))] if human else []
            rows.append([_words(name), _text(value), *people])
    sections = [tables.wrap(report["sentence"]), tables.align(rows)]
    if classes := _most_shifted(report):
        sections.append(tables.align(classes))
    sections.append(tables.wrap(_agreement_sentence(report)))
    sections += [f"FAILED {sentence}" for sentence in report["failed"]]
    return "\n\n".join([*sections, f"Report: {os.path.abspath(path)}"])


def _head(report: dict, name: str) -> str:
    columns = report["charts"][0]["columns"]
    tiles = [
        page.tile(_words(column), _text(report["numbers"][column]), "", color)
        for column, (color, _) in zip(columns, _STYLES, strict=False)
    ]
    verdict = [f"Failed: {sentence}" for sentence in report["failed"]]
    verdict += [report["sentence"], _agreement_sentence(report)]
    return page.header("Pseudo labels", name, tiles, verdict)


def _thresholds(report: dict) -> str:
    min_score, rows = report["settings"]["min_score"], report["thresholds"]
    scores = [row["min_score"] for row in rows]
    drawn = []
    for chart in report["charts"] if rows else ():  # None is above a high floor.
        lines = [
            Line(_words(name), *_known(scores, [row[name] for row in rows]), *style)
            for name, style in zip(chart["columns"], _STYLES, strict=False)
        ]
        human = report["human"] or {}
        marks = [
            Mark(f"{report['human_are']}: {_words(name)}", y=human[name])
            for name in chart["columns"]
            if name in human
        ]
        lines = [line for line in lines if line.x]
        if lines:
            drawn.append(
                figures.chart(
                    chart["title"],
                    lines,
                    x_label="score from which a label is kept",
                    y_range=(0.0, 1.02) if chart["is_share"] else None,
                    marks=[Mark(f"chosen: {min_score:g}", x=min_score), *marks],
                )
            )
    every = ""
    if rows:
        cells = [[_text(value) for value in row.values()] for row in rows]
        head = [_words(name) for name in rows[0]]
        every = page.details("Every threshold", page.table(head, cells))
    numbers = [[_words(n), _text(v)] for n, v in report["numbers"].items()]
    return page.section(
        "What is kept",
        page.charts(drawn),
        page.notes([(_words(word), text) for word, text in _NOTES]),
        every,
        page.details(f"All numbers at {min_score:g}", page.table(["", ""], numbers)),
    )


def _table(title: str, rows: dict[str, dict]) -> str:
    columns = list(next(iter(rows.values()), {}))
    head = ["", *(_words(column) for column in columns)]
    cells = [
        [name, *(_text(values[column]) for column in columns)]
        for name, values in rows.items()
    ]
    content = page.table(head, cells)
    if len(cells) > _MANY_ROWS:
        content = page.details(f"{len(cells)} rows", content)
    return page.section(title, content)


def _scores(report: dict) -> str:
    histogram, drawn = report["histogram"], []
    colors = [figures.COLORS["teacher"], figures.COLORS["control"]]
    lines = [
        Line(name, *_steps(histogram["from"], histogram[key]), color)
        for name, key, color in zip(
            ("all", "right"), ("count", "right"), colors, strict=True
        )
        if histogram[key] is not None
    ]
    title = f"{report['unit'].capitalize()} by score"
    drawn.append(figures.chart(title, lines, x_label="score"))
    text = "How many labels have which score."
    if found := report["calibration"]:
        drawn.append(_reliability(found["bins"]))
        error = _text(found["error"])
        text += (
            f" Scores that can be trusted lie on the diagonal: of the labels with a "
            f"score of 0.7, 70% are right. The mean distance is {error}."
        )
    return page.section("Scores", page.paragraph(text), page.charts(drawn))


def _reliability(bins: list[dict]) -> Chart:
    measured = Line(
        "pseudo labels",
        [row["mean_score"] for row in bins],
        [row["precision"] for row in bins],
        figures.COLORS["teacher"],
        "-",
    )
    diagonal = Line("trustworthy", [0.0, 0.5, 1.0], [0.0, 0.5, 1.0], style="--")
    return figures.chart(
        "Share that is right, by score",
        [measured, diagonal],
        x_label="mean score of the bin",
        y_range=(0.0, 1.02),
    )


def _agreement(report: dict) -> str:
    found = report["agreement"]
    if "not_measured" in found:
        return ""
    rows = [
        ["in a mirror", _text(found["mirror_agreement"])],
        ["smaller", _text(found["scale_agreement"])],
        *([f"by {name}", _text(v)] for name, v in found["checkpoints"].items()),
    ]
    text = (
        f"{found['pictures']} pictures that the teacher was shown again. What a mirror "
        "makes something else of, such as a digit, cannot agree in it."
    )
    return page.section(
        "Agreement", page.paragraph(text), page.table(["", "agreement"], rows)
    )


def _pictures(report: dict, shown: Sequence[Shown]) -> str:
    is_known = {kind for row in report["pictures"] for kind in row if kind in KINDS}
    entries = [
        ("rgb({}, {}, {})".format(*color), kind, _MEANINGS[kind])
        for kind, color in zip(KINDS, drawing_verdicts.COLORS, strict=True)
        if kind in is_known
    ]
    cards = [
        (p.image_id, f"disagreement {p.disagreement:.2f}: {p.caption}", p.jpeg)
        for p in shown
    ]
    text = (
        f"{len(cards):,} of {report['images']:,} pictures, most disagreement first. "
        f"Tick those to leave out and save the list; `pseudo.exclude` of a student's "
        "config takes it."
    )
    return page.section(
        "Pictures",
        page.paragraph(text),
        page.legend(entries),
        page.ticked_pictures(cards, f"Save ticked as {EXCLUDE_FILE}", EXCLUDE_FILE),
    )


def _origin(report: dict) -> str:
    origin = {f"labels: {name}": v for name, v in report["labels"].items()}
    rows = [[name, str(v)] for name, v in (origin | report["settings"]).items()]
    return page.section("Where it is from", page.table(["", ""], rows, style="text"))


def _agreement_sentence(report: dict) -> str:
    found = report["agreement"]
    if "not_measured" in found:
        return f"Agreement of the teacher with itself was not measured: {_end(found)}"
    parts = [
        f"{found['mirror_agreement']:.0%} in a mirror",
        f"{found['scale_agreement']:.0%} at another scale",
    ]
    if found["checkpoint_agreement"] is not None:
        count = len(found["checkpoints"])
        parts.append(
            f"{found['checkpoint_agreement']:.0%} with {count} of its checkpoints"
        )
    return (
        f"Shown {found['pictures']} pictures again, the teacher agrees with its labels "
        f"by {', '.join(parts)}."
    )


def _end(found: dict) -> str:
    return found["not_measured"].rstrip(".") + "."


def _most_shifted(report: dict) -> list[list[str]]:
    """Returns the classes whose share differs most from people's, as cells."""
    classes = report["tables"]["By class"].items()
    known = [(n, v) for n, v in classes if v["human_share"] is not None]
    known.sort(key=lambda row: -abs(row[1]["share"] - row[1]["human_share"]))
    rows = [
        [name, *(_text(values[key]) for key in ("share", "human_share"))]
        for name, values in known[:_SHORT]
    ]
    return (
        [["class (largest shift first)", "share", "human share"], *rows] if rows else []
    )


def _steps(lower: list[float], counts: list[int]) -> tuple[list, list]:
    """Returns the outline of bars, each of which reaches to the next."""
    edges = [*lower, 1.0]
    x = [edge for edge in edges for _ in range(2)]
    return x, [0, *(count for count in counts for _ in range(2)), 0]


def _known(x: list, y: list) -> tuple[list, list]:
    points = [(a, b) for a, b in zip(x, y, strict=True) if b is not None]
    return [a for a, _ in points], [b for _, b in points]


def _text(value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _words(name: str) -> str:
    return name.replace("_", " ")
