"""Runs the cells of a grid, each in a process of its own, and stores their results."""

import dataclasses
import math
import pathlib

from absl import logging
from tqdm import tqdm

from st_keras import writing
from st_keras.config.grid import load_grid
from st_keras.experiments.data_checks import check_before, test_set
from st_keras.experiments.grids import arms, job_processes
from st_keras.experiments.grids.jobs import (
    Job,
    beside,
    config_of,
    data_behind,
    of_job,
    read_result,
    result_path,
    settings_digest,
)
from st_keras.experiments.stages import Stages
from st_keras.runtime import preflight
from st_keras.runtime.run_log import read_json, write_json


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
        in_order = list(load_grid(job.grid).arms)
        return seeds.index(job.seed) // together, in_order.index(arm)

    return sorted(todo, key=place)


def run_job(job: Job) -> dict:
    """Runs the unfinished stages of one cell, evaluates it, and returns the result."""
    if found := read_result(job):
        return found
    grid, cell = of_job(job)
    beside(job, "error").unlink(missing_ok=True)
    writing.write_text(beside(job, "begun"), settings_digest(job))
    config = config_of(job)
    if config.runtime.strategy == "multi_worker":
        raise ValueError(
            "`runtime.strategy` must not be multi_worker in a grid: give each host "
            "cells or seeds of its own."
        )
    either = [cell.arm, grid.arms.get(cell.arm.cost_of)]
    labels = any(arm and arm.kind == "self_training" for arm in either)
    check_before(config, may_choose=True, labels=labels)
    stages = Stages(str(pathlib.Path(job.workdir, "stages")), config.runtime)
    behind = arms.run_arm(job, stages)
    judged_on = test_set(config)
    result = stages.evaluate(
        behind[-1], *judged_on, file_name=f"{arms.stage_name('test', *judged_on)}.json"
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
        "data": preflight.data_digests(data_behind(job)),
    }
    _set_aside(result_path(job), settings_digest(job))
    write_json(result_path(job), found)
    beside(job, "begun").unlink(missing_ok=True)
    return found


def _set_aside(path: pathlib.Path, settings: str) -> None:
    """Renames a result of other settings after them: its stages may be elsewhere."""
    if not path.exists():
        return
    earlier = read_json(path).get("settings_sha256", "")
    if earlier == settings:  # Another process has run the same job meanwhile.
        return
    kept = path.with_suffix(f".{earlier[:8] or 'earlier'}.json")
    path.replace(kept)
    logging.warning("%s: the result of other settings is kept as %s", path, kept.name)


def _keep(job: Job, text: str) -> str:
    path = beside(job, "error")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path)
