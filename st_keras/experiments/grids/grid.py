"""Runs the cells of a grid and stores the result of each.

    stages/supervised-1a2b3c4d   a run, labels or thresholds, named after their settings
    cells/<cell>/seed_0.json     the result of a cell with a seed
    cells/<cell>/seed_0.*.txt    that it was begun, and what went wrong

Cells whose teachers or labels have the same settings share them: they are made once.
"""

import dataclasses
import hashlib
import json
import math
import pathlib

from absl import logging
from tqdm import tqdm

from st_keras import config as config_lib
from st_keras import writing
from st_keras.config import Config
from st_keras.config.grid import (
    Cell,
    GridConfig,
    cell_at,
    cells_of,
    config_of_cell,
    load_grid,
    pretraining,
)
from st_keras.experiments import ledger, multiply_adds, turns
from st_keras.experiments.data_checks import (
    check_before,
    data_of,
    held_out_pictures,
    test_set,
    unlabeled_pictures,
)
from st_keras.experiments.grids import job_processes
from st_keras.experiments.ledger import Cost
from st_keras.experiments.roles import teacher_config, with_steps
from st_keras.experiments.stages import Stages
from st_keras.experiments.turns import Turn
from st_keras.runtime import preflight
from st_keras.runtime.run_log import write_json
from st_keras.self_training import lineage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One cell with one seed."""

    grid: str  # The YAML.
    cell: str
    seed: int
    workdir: str
    overrides: tuple[str, ...] = ()  # Of all cells.


def jobs(
    path: str,
    workdir: str,
    *,
    cells: list[str],
    seeds: list[int],
    overrides: tuple[str, ...] = (),
) -> list[Job]:
    """Returns the jobs to run, all cells of a seed before the next seed.

    Args:
      path: Of the grid's YAML.
      workdir: Folder of the grid's runs.
      cells: Names; empty: all.
      seeds: Empty: those of the grid.
      overrides: Of all cells.

    Raises:
      ConfigError: The grid, or the config of one of its cells, cannot be used.
      ValueError: There is no such cell.
    """
    grid = load_grid(path)
    by_name = {cell.name: cell for cell in cells_of(grid)}
    for name in cells:
        if name not in by_name:
            raise ValueError(
                f"`cell` must be one of {', '.join(by_name)}, got {name!r}."
            )
    found = []
    for seed in seeds or grid.seeds:
        for name in cells or by_name:
            config_of_cell(path, grid, by_name[name], seed, overrides)
            found.append(
                Job(
                    grid=path,
                    cell=name,
                    seed=seed,
                    workdir=workdir,
                    overrides=overrides,
                )
            )
    return found


def result_path(job: Job) -> pathlib.Path:
    """Returns the file of a job's result."""
    return pathlib.Path(job.workdir, "cells", job.cell, f"seed_{job.seed}.json")


def read_result(job: Job) -> dict:
    """Returns a job's result; empty if it is not finished.

    A result with other settings, because the grid or the config has changed since, does
    not count.

    Raises:
      ValueError: Its data has changed since.
    """
    path = result_path(job)
    if not path.exists():
        return {}
    found = json.loads(path.read_text(encoding="utf-8"))
    if found.get("settings_sha256") != settings_digest(job):
        return {}
    _check_unchanged(job, found)
    return found


def status(job: Job) -> str:
    """Returns `finished`, `failed`, `begun` or `to run`, with the settings of now.

    One that is begun is being run, or was stopped and will go on from there.

    Raises:
      ValueError: The data of its result has changed since.
    """
    if read_result(job):
        return "finished"
    begun = _beside(job, "begun")
    if not begun.exists() or begun.read_text() != settings_digest(job):
        return "to run"
    return "failed" if _beside(job, "error").exists() else "begun"


def _beside(job: Job, what: str) -> pathlib.Path:
    return result_path(job).with_suffix(f".{what}.txt")


def _check_unchanged(job: Job, found: dict) -> None:
    """Refuses a result whose data has changed since: a table would mix both."""
    grid, cell = of_job(job)
    config = config_of_cell(job.grid, grid, cell, job.seed, job.overrides)
    there = found.get("data", {})  # Earlier versions did not write it.
    data = _data_of(job, grid, config)
    preflight.check_same_data(str(result_path(job)), there, data)


def _data_of(job: Job, grid: GridConfig, config: Config) -> preflight.Data:
    """Returns all that a cell's stages read, and the model that it starts from."""
    data = data_of(config)
    sets = dict(data.sets)
    before = pretraining(job.grid, grid, job.seed, job.overrides)
    for name, first in before.values():
        if config.init.checkpoint == name:
            for part, pictures in lineage.learned_from(first).items():
                sets[f"{part} of the model before"] = pictures
    return dataclasses.replace(data, sets=sets)


def settings_digest(job: Job) -> str:
    """Returns a digest of a job's settings: 16 hex digits.

    Raises:
      ConfigError: They cannot be used.
      ValueError: There is no such cell.
    """
    grid, cell = of_job(job)
    cells = [cell]
    if cell.arm.cost_of:  # Its length follows from the other's cost.
        cells.append(cell_at(grid, cell.point, cell.arm.cost_of))
    parts = []
    for one in cells:
        config = config_of_cell(job.grid, grid, one, job.seed, job.overrides)
        parts += [one.arm.kind, str(one.arm.iterations), config_lib.digest(config)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def of_job(job: Job) -> tuple[GridConfig, Cell]:
    """Returns the design and the cell; a ValueError if it has no such cell."""
    grid = load_grid(job.grid)
    for cell in cells_of(grid):
        if cell.name == job.cell:
            return grid, cell
    raise ValueError(f"{job.grid}: has no cell {job.cell!r}.")


def run(todo: list[Job], processes: int = 1) -> dict[str, str]:
    """Runs jobs, each in a process of its own; finished ones are not run again.

    A job that fails does not stop the others.

    Args:
      todo: The jobs, in the order in which they run if one at a time.
      processes: How many at once; several print to a `.log` beside the result.

    Returns:
      What went wrong, by cell and seed.
    """
    open_jobs = [job for job in todo if not read_result(job)]
    for job in open_jobs:
        if result_path(job).exists():
            logging.warning("%s: of other settings, run again", result_path(job))
    if processes > 1:
        open_jobs = _side_by_side(open_jobs, processes)
    failures = {}
    log = _log_path if processes > 1 else None
    ended = job_processes.run(run_job, open_jobs, processes, log)
    bar = tqdm(total=len(open_jobs), desc="Grid", unit="cell", disable=not open_jobs)
    with bar:
        for job, failure in ended:
            bar.set_postfix(cell=job.cell, seed=job.seed)
            bar.update()
            if failure:
                name = f"{job.cell} seed {job.seed}"
                kept = _keep(job, failure.trace)
                failures[name] = f"{failure.message} ({kept})"
                bar.write(f"{name}: {failures[name]}")
    return failures


def _log_path(job: Job) -> pathlib.Path:
    return result_path(job).with_suffix(".log")


def _side_by_side(todo: list[Job], processes: int) -> list[Job]:
    """Returns jobs in an order in which few have to wait for each other.

    The arms of one point and seed share stages, so the jobs of one arm come before
    those of the next. Seeds with fewer points than there are processes are run
    together.
    """
    seeds = list(dict.fromkeys(job.seed for job in todo))
    points = {job.cell.rpartition("/")[0] for job in todo}
    together = math.ceil(processes / max(1, len(points)))

    def place(job: Job) -> tuple[int, int]:
        arm = job.cell.rpartition("/")[2]
        arms = list(load_grid(job.grid).arms)
        return seeds.index(job.seed) // together, arms.index(arm)

    return sorted(todo, key=place)


def run_job(job: Job) -> dict:
    """Runs the unfinished stages of one cell, evaluates it, and returns the result."""
    if found := read_result(job):
        return found
    grid, cell = of_job(job)
    _beside(job, "error").unlink(missing_ok=True)
    writing.write_text(_beside(job, "begun"), settings_digest(job))
    config = config_of_cell(job.grid, grid, cell, job.seed, job.overrides)
    if config.runtime.strategy == "multi_worker":
        raise ValueError(
            "`runtime.strategy` must not be multi_worker in a grid: give each host "
            "cells or seeds of its own."
        )
    arms = [cell.arm, grid.arms.get(cell.arm.cost_of)]
    labels = any(arm and arm.kind == "self_training" for arm in arms)
    check_before(config, may_choose=True, labels=labels)
    stages = Stages(str(pathlib.Path(job.workdir, "stages")), config.runtime)
    behind = _run_arm(job, grid, cell, stages)
    judged_on = test_set(config)
    result = stages.evaluate(
        behind[-1], *judged_on, file_name=f"{_name('test', *judged_on)}.json"
    )
    found = {
        "cell": job.cell,
        "seed": job.seed,
        "settings_sha256": settings_digest(job),
        "headline": result["headline"],
        "metrics": {k: v for k, v in result["metrics"].items() if isinstance(v, float)},
        "steps": stages.summary(behind[-1])["steps"],
        "total": dataclasses.asdict(stages.total(behind)),
        "stages": behind,
        "protocol": result["protocol"],
        "data": preflight.data_digests(_data_of(job, grid, config)),
    }
    _set_aside(result_path(job))
    write_json(result_path(job), found)
    _beside(job, "begun").unlink(missing_ok=True)
    return found


def _set_aside(path: pathlib.Path) -> None:
    """Renames a result of other settings after them: its stages may be elsewhere."""
    if not path.exists():
        return
    earlier = json.loads(path.read_text(encoding="utf-8")).get("settings_sha256", "")
    kept = path.with_suffix(f".{earlier[:8] or 'earlier'}.json")
    path.replace(kept)
    logging.warning("%s: the result of other settings is kept as %s", path, kept.name)


def _run_arm(job: Job, grid: GridConfig, cell: Cell, stages: Stages) -> list[str]:
    """Runs the stages behind a cell and returns them, that of its model last."""
    config = config_of_cell(job.grid, grid, cell, job.seed, job.overrides)
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
        cost = _cost_of(job, grid, cell, stages)
        forward = multiply_adds.of_training(alone)
        alone = with_steps(alone, ledger.steps_worth(cost, alone, *forward))
    return [_supervised(alone, stages)]


def _cost_of(job: Job, grid: GridConfig, cell: Cell, stages: Stages) -> Cost:
    """Returns what another arm has cost at the same point, running it if necessary.

    A stored result is enough: the stages may be on another machine.
    """
    other = cell_at(grid, cell.point, cell.arm.cost_of)
    if other.name in grid.cells():
        if found := read_result(dataclasses.replace(job, cell=other.name)):
            return Cost(**found["total"])
    return stages.total(_run_arm(job, grid, other, stages))


def _supervised(config: Config, stages: Stages) -> str:
    name = _name("supervised", config_lib.digest(config))
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
        labels = _name("labels", model, floor, *unlabeled_pictures(settings))
    if settings.calibration:
        held_out = _name("slice", model, floor, *held_out_pictures(config))
        chosen_by = (
            settings.calibration.target,
            str(settings.calibration.min_support),
            str(config.pseudo.min_score),  # Where a class has too few boxes.
        )
        thresholds = _name("thresholds", held_out, *chosen_by)
    # Not the student's digest: it would change with the folder's location.
    told = config_lib.digest(config), labels or model, thresholds
    return Turn(
        model=model,
        labels=labels,
        held_out=held_out,
        thresholds=thresholds,
        student=_name("student", *told),
    )


def _name(kind: str, *settings: str) -> str:
    digest = hashlib.sha256("\n".join(settings).encode()).hexdigest()
    return f"{kind}-{digest[:8]}"


def _keep(job: Job, text: str) -> str:
    path = _beside(job, "error")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)
