"""The whole procedure: teacher, labels, student, and the control beside them."""

import pathlib

from absl import logging

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.data import dataset_info
from st_keras.experiments import label_quality, turns
from st_keras.experiments.data_checks import check_before, test_set
from st_keras.experiments.outcome import PAGE_FILE, REPORT_FILE, report_of
from st_keras.experiments.roles import control_config, teacher_config
from st_keras.experiments.stages import Stages
from st_keras.experiments.turns import Turn
from st_keras.runtime import hosts as hosts_lib
from st_keras.runtime import preflight, warnings_of_run
from st_keras.runtime.run_log import read_json, write_json
from st_keras.self_training import selection
from st_keras.tasks import with_class_names


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
    in_turn = [_turn(config, number) for number in range(1, iterations + 1)]
    named = with_class_names(config, dataset_info.load(config.human.records))
    students = [turns.student_of(turn, named, stages) for turn in in_turn]
    for turn, student in zip(in_turn, students, strict=True):
        preflight.check_workdir(student, stages.path(turn.student))
    models = ["teacher", *(turn.student for turn in in_turn)]
    if settings.control:
        models.append("control")
    if hosts.is_chief:
        _set_aside_report(stages, models)
        preflight.save_config(config, workdir)
    stages.train("teacher", teacher)
    for turn, student in zip(in_turn, students, strict=True):
        turns.label(turn, config, stages)
        has_one_score = turn.labels and not turn.thresholds
        is_new = not stages.is_trained(turn.student)
        if has_one_score and is_new and hosts.is_chief:
            _warn_of_density(student)
        stages.train(turn.student, student)
    if settings.control:
        stages.train("control", control_config(config, total_steps))
    for name in models:
        stages.evaluate(name, *test_set(config))
    if hosts.is_chief:
        report = report_of(config, stages, in_turn)
        write_json(stages.path(REPORT_FILE), report)
    hosts.meet("the report is written")
    return read_json(stages.path(REPORT_FILE))


def _turn(config: Config, number: int) -> Turn:
    """Returns the stages of a turn, counted from 1."""
    has_thresholds = bool(config.self_training.calibration)
    return Turn(
        model="teacher" if number == 1 else f"student_{number - 1}",
        labels="" if config.pseudo.online else f"labels_{number}",
        held_out=f"slice_{number}" if has_thresholds else "",
        thresholds=f"thresholds_{number}" if has_thresholds else "",
        student=f"student_{number}",
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


def _set_aside_report(stages: Stages, models: list[str]) -> None:
    """Renames reports of before if a model of this one has yet to be trained."""
    if all(map(stages.is_trained, models)):
        return
    for name in (REPORT_FILE, PAGE_FILE):
        path = pathlib.Path(stages.path(name))
        if path.exists():
            path.replace(path.with_stem(f"{path.stem}_before"))


def _warn_of_density(student: Config) -> None:
    """Warns before training if the student will have hardly any labels, or too many."""
    quality = label_quality.sample_quality(student)
    scores = student.pseudo.min_score, selection.score_floor(student.pseudo)
    if text := warnings_of_run.density_warning(quality, *scores):
        logging.warning(text)
