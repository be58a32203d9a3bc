"""What an experiment has shown: its numbers and the sentences about them."""

import dataclasses

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.experiments import label_quality
from st_keras.experiments.data_checks import test_set
from st_keras.experiments.stages import Stages
from st_keras.experiments.turns import Turn, student_of
from st_keras.self_training import selection

REPORT_FILE = "report.json"
PAGE_FILE = "report.html"
_EQUAL = 0.05  # Difference of a metric in percent; less rounds to 0.0.
_SAME_COST = 0.05  # As a share.


def report_of(config: Config, stages: Stages, turns: list[Turn]) -> dict:
    """Returns the content of report.json for a finished experiment.

    Args:
      config: The student's, with a `self_training` part.
      stages: With all models trained, and a `teacher` and a `control` among them.
      turns: Of the experiment, in order.

    Returns:
      By role (`teacher`, `student`, `control` if there is one): metrics in percent,
      steps, pictures, parameters, cost and protocol. And `students`, the headline of
      each; `pseudo_labels`, how right they are; `ledger`, the cost of each stage; seed,
      iterations and digest of the config; `verdict`, sentences.
    """
    settings, last = config.self_training, turns[-1]
    records, ids_file = test_set(config)
    taught = ["teacher", *(name for turn in turns for name in turn.made())]
    models = {"teacher": ["teacher"], "student": taught}
    if settings.control:
        models["control"] = ["control"]
    report: dict = {}
    for role, behind in models.items():
        result = stages.evaluate(behind[-1], records, ids_file)
        summary = stages.summary(behind[-1])
        report[role] = result["metrics"] | {
            "steps": summary["steps"],
            "images_seen": summary["images_seen"],
            "parameters": summary["parameters"],
            "total": dataclasses.asdict(stages.total(behind)),
            "protocol": result["protocol"],
        }
    headline = result["headline"]
    report["headline"] = headline
    report["students"] = [
        stages.evaluate(turn.student, records, ids_file)["metrics"][headline]
        for turn in turns
    ]
    if last.thresholds:
        file = stages.thresholds_file(last.thresholds)
        report["thresholds"] = selection.read_thresholds(file)
    report["pseudo_labels"] = label_quality.NOT_STORED
    if last.labels:
        student = student_of(last, config, stages)
        report["pseudo_labels"] = label_quality.label_quality(
            student, settings.unlabeled_records
        )
    report["ledger"] = {
        name: dataclasses.asdict(cost) for name, cost in stages.costs().items()
    }
    report["seed"] = config.seed
    report["iterations"] = len(turns)
    report["config"] = config_lib.digest(config)
    report["verdict"] = verdict(report)
    return report


def verdict(report: dict) -> list[str]:
    """Returns sentences that say who won, by how much, and what that does not show."""
    headline, lines = report["headline"], []
    if report["student"][headline] < 0:  # As pycocotools says it.
        return ["The pictures to report on have no label: nothing can be judged."]
    for role, what in (
        ("teacher", "its teacher"),
        ("control", "the supervised control of the same total number of steps"),
    ):
        if role in report:
            gain = report["student"][headline] - report[role][headline]
            word = "beats" if gain > 0 else "does not beat"
            if abs(gain) < _EQUAL:
                word = "is level with"
            lines.append(f"The student {word} {what}: {gain:+.1f} {headline}.")
    if "control" in report:
        costs = {r: report[r]["total"]["multiply_adds"] for r in ("student", "control")}
        share = costs["control"] / costs["student"]
        if abs(share - 1.0) > _SAME_COST:
            lines.append(
                f"The control cost {share:.0%} of the student with its teacher and "
                "labels."
            )
    lines.append("One seed; differences of a point or two need several.")
    return lines
