"""The thresholds that `calibrate` has found, as a table for people."""

from st_keras.experiments import tables


def format_table(found: dict) -> str:
    """Returns what `calibrate` has found as text, a line per class."""
    notes = [tables.wrap(f"{word}: {text}") for word, text in remarks(found)]
    return "\n".join([tables.align(table(found)), "", *notes])


def table(found: dict) -> list[list[str]]:
    """Returns what `calibrate` has found as cells, a row per class; the head first."""
    head = ["", "threshold", "90% interval", found["unit"], "pictures"]
    head += ["precision", "recall", "kept/pic"]
    rows = [head]
    rows += [_cells(name, row) for name, row in found["per_class"].items()]
    return [*rows, _cells("all together", found["all_classes"], is_class=False)]


def remarks(found: dict) -> list[tuple[str, str]]:
    """Returns words of the table, each with what it means."""
    rows = found["per_class"].values()
    origins = [row["chosen_for"] for row in rows]
    lines = [
        (
            "Target",
            f"{found['target']}, on {found['pictures']:,} held-out pictures that "
            f"teacher {found['teacher_sha256']} labelled from a score of "
            f"{found['score_floor']:g} on.",
        )
    ]
    if few := len(origins) - origins.count("class"):
        instead = "the threshold of all classes together"
        if "none" in origins:
            instead = f"the fallback, {found['fallback']:g}"
        lines.append(
            (
                "*",
                f"{few} of {len(origins)} classes have no pseudo label here or under "
                f"{found['min_support']} {found['support_unit']} of truth: {instead}.",
            )
        )
    if nothing := sum(row["threshold"] is None for row in rows):
        lines.append(
            (
                "never",
                f"nothing is kept of {nothing} of {len(origins)} classes, as no score "
                "reaches the target.",
            )
        )
    return lines


def _cells(name: str, row: dict, *, is_class: bool = True) -> list[str]:
    mark = " *" if is_class and row["chosen_for"] != "class" else ""
    return [
        name,
        _score(row["threshold"]) + mark,
        "-".join(_score(end) for end in row["interval"] or ()) or "-",
        f"{row['true']:,}",
        f"{row['pictures']:,}",
        *("-" if row[n] is None else f"{row[n]:.2f}" for n in ("precision", "recall")),
        f"{row['kept_per_picture']:.3g}",
    ]


def _score(value: float | None) -> str:
    return "never" if value is None else f"{value:.3f}"
