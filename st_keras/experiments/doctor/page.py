"""What the doctor has seen and found, as a page of text and as JSON."""

import textwrap
from collections.abc import Sequence

from st_keras import config as config_lib
from st_keras.config import paper
from st_keras.experiments import tables
from st_keras.experiments.doctor import cost
from st_keras.experiments.doctor.case import (
    PROBLEM,
    Case,
    Finding,
    Opened,
    Survey,
)

_WIDTH = 79


def format_page(case: Case, found: Sequence[Finding], name: str) -> str:
    """Returns what was looked at, the problems, the warnings and the costs.

    Args:
      case: After the checks.
      found: Problems and warnings.
      name: Of the config.
    """
    problems = [finding for finding in found if finding.kind == PROBLEM]
    warnings = [finding for finding in found if finding.kind != PROBLEM]
    return "\n\n".join(
        [
            _part("Looked at", _looked_at(case, name)),
            _part(f"Problems: {len(problems) or 'none'}", _numbered(problems)),
            _part(f"Warnings: {len(warnings) or 'none'}", _numbered(warnings)),
            _part("Costs", _costs(case)),
        ]
    )


def to_json(case: Case, found: Sequence[Finding]) -> dict:
    """Returns the same for machines; times in seconds, sizes in bytes."""
    entries: dict[str, list] = {"problems": [], "warnings": []}
    for finding in found:
        entry = {"what": finding.what, "fix": finding.fix}
        entries[f"{finding.kind}s"].append(entry)
    content = {
        "config": config_lib.digest(case.config),
        "sets": {
            name: {
                "records": opened.records,
                "pictures": opened.source.count,
                "size_bytes": opened.size_bytes,
            }
            for name, opened in case.opened.items()
        },
        "labels": {name: vars(survey) for name, survey in case.surveys.items()},
        **entries,
        "unlike_the_paper": [list(row) for row in paper.differences(case.config)],
        "trial": None,
        "stage_seconds": {},
        "disk_bytes": {},
        "buffer_bytes": cost.buffer_bytes(case),
    }
    if trial := case.trial:
        content["trial"] = vars(trial) | {"images_per_second": trial.images_per_second}
        content["stage_seconds"] = _stages(case)
        content["disk_bytes"] = _disk(case)
    return content


def _looked_at(case: Case, name: str) -> list[str]:
    config = case.config
    height, width = config.section.image_size_px
    lines = _wrap(
        "",
        f"{name}: {config.role} for {config.task_name}, {config.section.backbone}, "
        f"{height} x {width} px, {config.training.steps:,} steps of "
        f"{config.images_per_step} pictures",
    )
    for set_name, opened in case.opened.items():
        lines += _wrap("", f"{set_name}: {_described(opened)}")
        if survey := case.surveys.get(set_name):
            lines += _wrap("  ", _surveyed(survey))
    if rows := paper.differences(config):
        head = ("unlike the paper", "here", "paper, in part second-hand")
        lines += ["", *_table([head, *rows])]
    return lines


def _described(opened: Opened) -> str:
    info = opened.info
    return (
        f"{opened.source.count:,} of {info.images:,} pictures, "
        f"{cost.size(opened.size_bytes)}: {opened.records}"
    )


def _surveyed(survey: Survey) -> str:
    text = (
        f"{survey.pictures:,} pictures read: {survey.objects:,} labels, at most "
        f"{survey.most_per_picture} in one; {survey.empty:,} pictures without any"
    )
    for name, value in (survey.human or {}).items():
        text += f"; {name.replace('_', ' ')} {value:.3g}"
    return text


def _costs(case: Case) -> list[str]:
    held = (
        f"Input pipeline: {cost.size(cost.buffer_bytes(case))} of pictures in memory."
    )
    if case.trial is None:
        return ["No step was taken, so speed, time and disk are not known.", held]
    trial = case.trial
    parts = " and ".join(f"{cost.size(v)} of {n}" for n, v in _disk(case).items())
    lines = [
        f"{trial.steps} steps of {trial.images_per_step} pictures: "
        f"{trial.images_per_second:,.3g} images/s after "
        f"{tables.duration(trial.seconds_before)} of preparation",
        f"Loss {trial.loss_first:.4g} -> {trial.loss_last:.4g}"
        + ("" if trial.loss_last < trial.loss_first else ": it does not fall yet"),
        f"{trial.parameters:,} trainable parameters; peak memory of this process "
        f"{cost.size(trial.peak_memory_bytes)}",
        held,
        f"Disk: {parts}; {cost.size(cost.free_disk_bytes(case.workdir))} free.",
    ]
    if trial.pictures_per_second:
        lines.append(f"Labelling: {trial.pictures_per_second:,.3g} pictures/s")
    stages = _stages(case)
    rows = [(name, _hours(seconds)) for name, seconds in stages.items()]
    rows += [("total", _hours(sum(stages.values())))] if len(stages) > 1 else []
    return [*lines, "", *_table([("stage", "time, without evaluation"), *rows])]


def _stages(case: Case) -> dict[str, float]:
    return cost.stage_seconds(
        case.config,
        steps_per_second=case.trial.steps_per_second,
        seconds_before=case.trial.seconds_before,
        pictures_per_second=case.trial.pictures_per_second,
        unlabeled_pictures=cost.unlabeled_pictures(case),
    )


def _disk(case: Case) -> dict[str, int]:
    unlabeled = case.opened.get("unlabeled")
    return cost.disk_bytes(
        case.config,
        checkpoint_bytes=case.trial.checkpoint_bytes,
        unlabeled_bytes=unlabeled.size_bytes if unlabeled else 0,
    )


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:,.0f} h" if hours >= 100 else tables.duration(seconds)


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    return tables.align(rows).splitlines()


def _numbered(findings: Sequence[Finding]) -> list[str]:
    lines = []
    for number, finding in enumerate(findings, 1):
        head = f"{number}. "
        lines += _wrap(head, finding.what) + _wrap(" " * len(head), finding.fix)
    return lines


def _part(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *(f"  {line}".rstrip() for line in lines)])


def _wrap(head: str, text: str) -> list[str]:
    """Returns the text in lines; all but the first are indented by the head's width."""
    return textwrap.wrap(
        text,
        _WIDTH - 2,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )
