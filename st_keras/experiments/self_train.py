"""The whole procedure: teacher, labels, student, and the control beside them."""

import dataclasses
import json
import pathlib

from absl import logging

from st_keras import config as config_lib
from st_keras.config import Config, InitConfig, SelfTrainingConfig
from st_keras.data import dataset_info
from st_keras.experiments import label_quality
from st_keras.experiments.data_checks import (
    check_before,
    test_set,
    unlabeled_pictures,
)
from st_keras.experiments.stages import Stages
from st_keras.runtime import hosts as hosts_lib
from st_keras.runtime import preflight, warnings_of_run
from st_keras.runtime.run_log import write_json
from st_keras.self_training import selection
from st_keras.tasks import with_class_names

REPORT_FILE = "report.json"
PAGE_FILE = "report.html"
_EQUAL = 0.05  # Difference of a metric in percent; less rounds to 0.0.
_SAME_COST = 0.05  # As a share.


def self_train(config: Config, workdir: str, *, iterations: int = 1) -> dict:
    """Runs every stage that is not finished yet and returns the report.

    Stages, each a folder of `workdir`: `teacher`; then, per iteration i, `labels_<i>`
    by the model before and `student_<i>`; then `control`, which sees human labels only
    for as many steps as teacher and students together. With calibration, the model
    before also labels held-out pictures, `slice_<i>`, which give thresholds_<i>.json.
    All are evaluated on the test records with their last checkpoint; report.json holds
    the numbers. The hosts of a multi_worker job go through the stages together.

    Args:
      config: The student's, with a `self_training` part.
      workdir: Folder of the experiment.
      iterations: Students, each taught by the one before.

    Returns:
      The report; see `report.json`.

    Raises:
      ValueError: The config has no `self_training` or `pseudo` part, or a stage
        cannot run.
      HostLostError: Another host has died.
    """
    hosts = hosts_lib.join(config.runtime.strategy)
    if not (config.self_training and config.pseudo):
        raise ValueError(
            "Self-training needs the `self_training` and the `pseudo` part of a "
            "config, such as configs/demo/digits_student.yaml has them."
        )
    if iterations < 1:
        raise ValueError(f"`iterations` must be 1 or more, got {iterations}.")
    told = f"{config_lib.digest(config)} for {iterations} iterations"
    hosts.check_same("The experiment", told)
    # The choice of labels is the student's alone, whose own folder is checked by its
    # stage; but thresholds may have been calibrated with it.
    others = () if config.self_training.calibration else ("pseudo",)
    preflight.check_workdir(config, workdir, but=others)
    check_before(config)
    teacher = teacher_config(config)
    total_steps = teacher.training.steps + iterations * config.training.steps
    stages, settings = Stages(workdir, config.runtime), config.self_training
    _check_control(stages, total_steps)
    students = [_student(config, stages, n + 1) for n in range(iterations)]
    for number, student in enumerate(students, 1):
        preflight.check_workdir(student, stages.path(f"student_{number}"))
    if hosts.is_chief:
        _set_aside_report(stages, config, iterations)
        preflight.save_config(config, workdir)
    stages.train("teacher", teacher)
    for number, student in enumerate(students, 1):
        model_before = _model_before(number)
        if not config.pseudo.online:
            pictures = unlabeled_pictures(settings)
            stages.label(f"labels_{number}", model_before, settings, pictures)
        if settings.calibration:
            held_out = config.human.records, settings.calibration.ids
            stages.label(f"slice_{number}", model_before, settings, held_out)
            stages.calibrate(
                f"thresholds_{number}", f"slice_{number}", model_before, config
            )
        has_one_score = not (config.pseudo.online or settings.calibration)
        is_new = not stages.is_trained(f"student_{number}")
        if has_one_score and is_new and hosts.is_chief:
            _warn_of_density(student)
        stages.train(f"student_{number}", student)
    if settings.control:
        stages.train("control", control_config(config, total_steps))
    for name in _models(settings, iterations):
        stages.evaluate(name, *test_set(config))
    if hosts.is_chief:
        report = _report(config, stages, iterations)
        write_json(stages.path(REPORT_FILE), report)
    hosts.meet("the report is written")
    return json.loads(pathlib.Path(stages.path(REPORT_FILE)).read_text())


def teacher_config(config: Config) -> Config:
    """Returns the teacher of a student's config: human labels only.

    Its batch is as large as the student's human and pseudo parts together, so that a
    step costs the same in every run, unless `teacher_images_per_step` says otherwise.
    `self_training.teacher_joint` says whether it also learns the student's
    classification.
    """
    together = config.human.images_per_step + config.pseudo.images_per_step
    images = config.self_training.teacher_images_per_step or together
    human = dataclasses.replace(config.human, images_per_step=images)
    steps = config.self_training.teacher_steps or config.training.steps
    alone = dataclasses.replace(
        config,
        human=human,
        pseudo=None,
        joint=config.joint if config.self_training.teacher_joint else None,
        self_training=None,
        expect=None,
    )
    return with_steps(alone, steps)


def control_config(config: Config, total_steps: int) -> Config:
    """Returns the control of a student's config: all that the student has, no teacher.

    Args:
      config: The student's.
      total_steps: Of the teacher and all students together.
    """
    longer = with_steps(teacher_config(config), total_steps)
    return dataclasses.replace(longer, joint=config.joint)


def student_config(
    config: Config, labels: str, teacher: str, thresholds: str = ""
) -> Config:
    """Returns the student's config with its pseudo labels and first weights set.

    Args:
      config: The student's.
      labels: Folder of the pseudo labels; ignored if the teacher is `online`.
      teacher: Workdir of the model that made them.
      thresholds: File of its thresholds; empty: `pseudo.min_score` for all classes.
    """
    records, ids = dataset_info.shards_of(labels), ""
    if config.pseudo.online:
        records, ids = unlabeled_pictures(config.self_training)
    pseudo = dataclasses.replace(
        config.pseudo, records=records, ids=ids, thresholds=thresholds
    )
    init = config.init
    if config.self_training.student_init == "teacher":
        init = InitConfig(kind="teacher", checkpoint=teacher)
    return dataclasses.replace(config, pseudo=pseudo, self_training=None, init=init)


def _student(config: Config, stages: Stages, number: int) -> Config:
    """Returns the config of student `number`, whose labels need not be there yet."""
    labels = "" if config.pseudo.online else stages.path(f"labels_{number}")
    is_calibrated = config.self_training.calibration
    thresholds = stages.path(f"thresholds_{number}.json") if is_calibrated else ""
    teacher = stages.path(_model_before(number))
    config = with_class_names(config, dataset_info.load(config.human.records))
    return student_config(config, labels, teacher, thresholds)


def with_steps(config: Config, steps: int) -> Config:
    """Returns the config for another number of steps, its schedule scaled to match."""
    factor = steps / config.training.steps
    boundaries = tuple(
        round(step * factor) for step in config.optimization.step_boundaries
    )
    return dataclasses.replace(
        config,
        training=dataclasses.replace(config.training, steps=steps),
        optimization=dataclasses.replace(
            config.optimization, step_boundaries=boundaries
        ),
    )


def _check_control(stages: Stages, total_steps: int) -> None:
    """Refuses to continue with a control of another length."""
    path = pathlib.Path(stages.path("control"), preflight.CONFIG_FILE)
    if path.exists():
        steps = config_lib.load(str(path)).training.steps
        if steps != total_steps:
            raise ValueError(
                f"{path.parent}: trained for {steps} steps, but these iterations "
                f"need {total_steps}; delete the folder or choose another workdir."
            )


def _set_aside_report(stages: Stages, config: Config, iterations: int) -> None:
    """Renames reports of before if a model of this one has yet to be trained."""
    if all(map(stages.is_trained, _models(config.self_training, iterations))):
        return
    for name in (REPORT_FILE, PAGE_FILE):
        path = pathlib.Path(stages.path(name))
        if path.exists():
            path.replace(path.with_stem(f"{path.stem}_before"))


def _models(settings: SelfTrainingConfig, iterations: int) -> list[str]:
    """Returns the stages whose models are evaluated."""
    students = [f"student_{number}" for number in range(1, iterations + 1)]
    return ["teacher", *students, *(["control"] if settings.control else [])]


def _model_before(number: int) -> str:
    """Returns the stage whose model labels for student `number`, counted from 1."""
    return "teacher" if number == 1 else f"student_{number - 1}"


def _report(config: Config, stages: Stages, iterations: int) -> dict:
    settings = config.self_training
    records, ids_file = test_set(config)
    names = {"teacher": "teacher", "student": f"student_{iterations}"}
    if settings.control:
        names["control"] = "control"
    report: dict = {}
    for role, name in names.items():
        result = stages.evaluate(name, records, ids_file)
        summary = stages.summary(name)
        report[role] = result["metrics"] | {
            "steps": summary["steps"],
            "images_seen": summary["images_seen"],
            "parameters": summary["parameters"],
            "total": dataclasses.asdict(stages.total(_behind(role, iterations))),
            "protocol": result["protocol"],
        }
    headline = result["headline"]
    report["headline"] = headline
    students = [f"student_{number}" for number in range(1, iterations + 1)]
    report["students"] = [
        stages.evaluate(name, records, ids_file)["metrics"][headline]
        for name in students
    ]
    thresholds = ""
    if settings.calibration:
        thresholds = stages.path(f"thresholds_{iterations}.json")
        report["thresholds"] = selection.read_thresholds(thresholds)
    report["pseudo_labels"] = label_quality.NOT_STORED
    if not config.pseudo.online:
        student = student_config(
            config,
            stages.path(f"labels_{iterations}"),
            stages.path(_model_before(iterations)),
            thresholds,
        )
        report["pseudo_labels"] = label_quality.label_quality(
            student, settings.unlabeled_records
        )
    report["ledger"] = {
        name: dataclasses.asdict(cost) for name, cost in stages.costs().items()
    }
    report["seed"] = config.seed
    report["iterations"] = iterations
    report["config"] = config_lib.digest(config)
    report["verdict"] = verdict(report)
    return report


def _behind(role: str, iterations: int) -> list[str]:
    """Returns the stages that a model is built on, its own included."""
    if role != "student":
        return [role]
    kinds = ("slice", "thresholds", "labels", "student")
    turns = range(1, iterations + 1)
    return ["teacher", *(f"{kind}_{turn}" for turn in turns for kind in kinds)]


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


def _warn_of_density(student: Config) -> None:
    """Warns before training if the student will have hardly any labels, or too many."""
    quality = label_quality.sample_quality(student)
    scores = student.pseudo.min_score, selection.score_floor(student.pseudo)
    if text := warnings_of_run.density_warning(quality, *scores):
        logging.warning(text)
