"""Which pictures a model has learned from, in its own run and in those before it."""

import pathlib
from collections.abc import Mapping

from absl import logging

from st_keras import config as config_lib
from st_keras.config import Config, PseudoConfig
from st_keras.data import path_globs
from st_keras.runtime import checkpoints, preflight
from st_keras.self_training import selection

_PARTS = ("human", "pseudo", "joint")


def learned_from(config: Config) -> dict[str, preflight.PictureSet]:
    """Returns the pictures that a run learns from, by the part of its config.

    Raises:
      ValueError: The records have no picture of an id to leave out.
    """
    found = {part: _pictures(config, part) for part in _PARTS}
    return {part: pictures for part, pictures in found.items() if pictures}


def check_unseen(
    judged: Mapping[str, preflight.PictureSet], config: Config, run: str
) -> None:
    """Refuses to judge a run by pictures that it, or a run before it, has seen.

    Args:
      judged: The sets to judge by, by name.
      config: Of the run.
      run: Its name in messages.

    Raises:
      ValueError: Names the run, the two sets and some of the pictures.
    """
    _check_run(judged, config, run)
    check_runs_before(judged, config)


def check_runs_before(
    judged: Mapping[str, preflight.PictureSet], config: Config
) -> None:
    """Refuses to judge by pictures that runs before this one have seen.

    These are the runs that gave the first weights and the pseudo labels, and those
    before them. Weights that are not of a run, such as a published file, cannot be
    checked. Neither can a run that is elsewhere now, or whose records are; the latter
    is logged.

    Args:
      judged: As for `check_unseen`.
      config: Of this run.

    Raises:
      ValueError: As `check_unseen`.
    """
    met: set[pathlib.Path] = set()
    waiting = _runs_before(config)
    while waiting:
        workdir = waiting.pop()
        if workdir in met:
            continue
        met.add(workdir)
        try:
            before = config_lib.load(str(workdir / preflight.CONFIG_FILE))
        except (ValueError, OSError) as error:  # Perhaps of another version.
            _cannot_be_told(str(workdir), error)
            continue
        _check_run(judged, before, str(workdir))
        waiting += _runs_before(before)


def _check_run(
    judged: Mapping[str, preflight.PictureSet], config: Config, run: str
) -> None:
    for part, pictures in _found(run, config).items():
        # One by one: two parts may learn from the same pictures.
        for name, other in judged.items():
            preflight.check_disjoint({f"{part} of {run}": pictures, name: other})


def _runs_before(config: Config) -> list[pathlib.Path]:
    """Returns the folders of the runs that gave first weights and pseudo labels."""
    checkpoints_before = []
    if config.init.kind != "random":
        checkpoints_before.append(config.init.checkpoint)
    if config.pseudo and config.pseudo.records and not config.pseudo.online:
        checkpoints_before.append(_teacher(config.pseudo))
    folders = [_workdir(path) for path in checkpoints_before if path]
    return [path for path in folders if (path / preflight.CONFIG_FILE).exists()]


def _teacher(pseudo: PseudoConfig) -> str:
    """Returns the checkpoint that wrote the labels; empty if nobody says which."""
    try:
        return selection.teacher(pseudo)
    except (ValueError, OSError) as error:  # The records are elsewhere now.
        _cannot_be_told(f"the teacher of `{pseudo.records}`", error)
        return ""


def _workdir(checkpoint: str) -> pathlib.Path:
    """Returns the folder of a run, which `init.checkpoint` may name in many ways."""
    path = pathlib.Path(checkpoint)
    for folder in (path, path.parent):
        if folder.name == checkpoints.FOLDER:
            return folder.parent
    return path


def _found(run: str, config: Config) -> dict[str, preflight.PictureSet]:
    """Returns the pictures a run has learned from, as far as they are still there."""
    found = {}
    for part in _PARTS:
        try:
            if pictures := _pictures(config, part):
                preflight.check_disjoint({part: pictures})
                found[part] = pictures
        except (ValueError, OSError) as error:
            _cannot_be_told(run, error)
    return found


def _pictures(config: Config, part: str) -> preflight.PictureSet | None:
    settings = getattr(config, part)
    if settings is None or not settings.records:
        return None
    # Records that are gone have no picture to leave out: who needs them says so.
    is_chosen = part == "pseudo" and path_globs.paths(settings.records)
    ids = selection.image_ids(settings) if is_chosen else settings.ids
    return settings.records, ids


def _cannot_be_told(run: str, error: Exception) -> None:
    logging.warning(
        "Whether %s has learned from what is judged by cannot be told: %s",
        run,
        error,
    )
