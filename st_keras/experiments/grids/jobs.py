"""A cell of a grid with a seed: its settings, and its result once it has one.

    cells/<cell>/seed_0.json     the result
    cells/<cell>/seed_0.*.txt    that it was begun, and what went wrong

These are in the workdir. A result counts while settings and data are the same.
"""

import dataclasses
import hashlib
import pathlib

from st_keras import config as config_lib
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
from st_keras.experiments.data_checks import data_of
from st_keras.runtime import preflight
from st_keras.runtime.run_log import read_json
from st_keras.self_training import lineage


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One cell with one seed."""

    grid: str  # The YAML.
    cell: str
    seed: int
    workdir: str
    overrides: tuple[str, ...] = ()  # Of all cells.


def of_grid(
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


def of_job(job: Job) -> tuple[GridConfig, Cell]:
    """Returns the design and the cell; a ValueError if it has no such cell."""
    grid = load_grid(job.grid)
    for cell in cells_of(grid):
        if cell.name == job.cell:
            return grid, cell
    raise ValueError(f"{job.grid}: has no cell {job.cell!r}.")


def config_of(job: Job, cell: Cell | None = None) -> Config:
    """Returns the config of a job's cell, or of another of its grid.

    Raises:
      ConfigError: It cannot be used.
      ValueError: There is no such cell.
    """
    grid, own = of_job(job)
    return config_of_cell(job.grid, grid, cell or own, job.seed, job.overrides)


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
        config = config_of(job, one)
        parts += [one.arm.kind, str(one.arm.iterations), config_lib.digest(config)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def result_path(job: Job) -> pathlib.Path:
    """Returns the file of a job's result."""
    return pathlib.Path(job.workdir, "cells", job.cell, f"seed_{job.seed}.json")


def beside(job: Job, what: str) -> pathlib.Path:
    """Returns the file beside a job's result that says `what`."""
    return result_path(job).with_suffix(f".{what}.txt")


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
    found = read_json(path)
    if found.get("settings_sha256") != settings_digest(job):
        return {}
    _check_unchanged(job, found)
    return found


def _check_unchanged(job: Job, found: dict) -> None:
    """Refuses a result whose data has changed since: a table would mix both."""
    there = found.get("data", {})  # Earlier versions did not write it.
    preflight.check_same_data(str(result_path(job)), there, data_behind(job))


def data_behind(job: Job) -> preflight.Data:
    """Returns all that a job's stages read, and the model that it starts from."""
    config, grid = config_of(job), of_job(job)[0]
    data = data_of(config)
    sets = dict(data.sets)
    before = pretraining(job.grid, grid, job.seed, job.overrides)
    for name, first in before.values():
        if config.init.checkpoint == name:
            for part, pictures in lineage.learned_from(first).items():
                sets[f"{part} of the model before"] = pictures
    return dataclasses.replace(data, sets=sets)


def status(job: Job) -> str:
    """Returns `finished`, `failed`, `begun` or `to run`, with the settings of now.

    One that is begun is being run, or was stopped and will go on from there.

    Raises:
      ValueError: The data of its result has changed since.
    """
    if read_result(job):
        return "finished"
    begun = beside(job, "begun")
    if not begun.exists() or begun.read_text() != settings_digest(job):
        return "to run"
    return "failed" if beside(job, "error").exists() else "begun"
