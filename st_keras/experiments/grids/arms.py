"""Runs the stages behind a cell: its teachers, their labels, and its own model.

    stages/supervised-1a2b3c4d   a run, labels or thresholds, named after their settings

Cells whose teachers or labels have the same settings share them: they are made once.
"""

import dataclasses
import hashlib

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.config.grid import Cell, cell_at, pretraining
from st_keras.experiments import ledger, multiply_adds, turns
from st_keras.experiments.data_checks import (
    held_out_pictures,
    test_set,
    unlabeled_pictures,
)
from st_keras.experiments.grids.jobs import Job, config_of, of_job, read_result
from st_keras.experiments.ledger import Cost
from st_keras.experiments.roles import teacher_config, with_steps
from st_keras.experiments.stages import Stages
from st_keras.experiments.turns import Turn
from st_keras.self_training import lineage


def run_arm(job: Job, stages: Stages, cell: Cell | None = None) -> list[str]:
    """Runs the stages behind a job's cell and returns them, that of its model last.

    Args:
      job: Of a grid.
      stages: Where they are.
      cell: Another cell of the grid, which it may leave out; None: the job's.
    """
    grid, own = of_job(job)
    cell = cell or own
    config = config_of(job, cell)
    before = pretraining(job.grid, grid, job.seed, job.overrides)
    for name, first in before.values():
        if config.init.checkpoint == name:
            judged = {"test": test_set(config)}
            lineage.check_unseen(judged, first, name)
            stages.train(name, first)
    if cell.arm.kind == "self_training":
        return _self_training(config, stages, cell.arm.iterations)
    alone = teacher_config(config)
    if cell.arm.cost_of:
        other = cell_at(grid, cell.point, cell.arm.cost_of)
        cost = _cost_of(job, other, stages)
        forward = multiply_adds.of_training(alone)
        alone = with_steps(alone, ledger.steps_worth(cost, alone, *forward))
    return [_supervised(alone, stages)]


def _cost_of(job: Job, other: Cell, stages: Stages) -> Cost:
    """Returns what another cell has cost with the same seed, running it if necessary.

    A stored result is enough: the stages may be on another machine.
    """
    if other.name in of_job(job)[0].cells():
        if found := read_result(dataclasses.replace(job, cell=other.name)):
            return Cost(**found["total"])
    return stages.total(run_arm(job, stages, other))


def _supervised(config: Config, stages: Stages) -> str:
    name = stage_name("supervised", config_lib.digest(config))
    stages.train(name, _placed(config, stages))
    return name


def _placed(config: Config, stages: Stages) -> Config:
    """Returns the config with the folder of the stage that gives the first weights.

    The name of a run contains no folder, so that a grid can be moved.
    """
    if config.init.kind == "random" or not stages.is_trained(config.init.checkpoint):
        return config
    init = dataclasses.replace(
        config.init, checkpoint=stages.path(config.init.checkpoint)
    )
    return dataclasses.replace(config, init=init)


def _self_training(config: Config, stages: Stages, iterations: int) -> list[str]:
    behind = [_supervised(teacher_config(config), stages)]
    for _ in range(iterations):
        turn = _turn(config, behind[-1])
        turns.label(turn, config, stages)
        student = turns.student_of(turn, config, stages)
        stages.train(turn.student, _placed(student, stages))
        behind += turn.made()
    return behind


def _turn(config: Config, model: str) -> Turn:
    """Returns the stages of a turn, each named after its settings."""
    settings, floor = config.self_training, str(config.self_training.score_floor)
    labels, held_out, thresholds = "", "", ""
    if not config.pseudo.online:
        labels = stage_name("labels", model, floor, *unlabeled_pictures(settings))
    if settings.calibration:
        held_out = stage_name("slice", model, floor, *held_out_pictures(config))
        chosen_by = (
            settings.calibration.target,
            str(settings.calibration.min_support),
            str(config.pseudo.min_score),  # Where a class has too few boxes.
        )
        thresholds = stage_name("thresholds", held_out, *chosen_by)
    # Not the student's digest: it would change with the folder's location.
    told = config_lib.digest(config), labels or model, thresholds
    return Turn(
        model=model,
        labels=labels,
        held_out=held_out,
        thresholds=thresholds,
        student=stage_name("student", *told),
    )


def stage_name(kind: str, *settings: str) -> str:
    """Returns the name of a stage with these settings."""
    digest = hashlib.sha256("\n".join(settings).encode()).hexdigest()
    return f"{kind}-{digest[:8]}"
