"""Which pictures a model has learned from, in its own run and in those before it."""

import pathlib
from collections.abc import Mapping

from absl import logging

from st_keras import config as config_lib
from st_keras.config import Config, InitConfig
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
    check_first_weights(judged, config.init)


def check_first_weights(
    judged: Mapping[str, preflight.PictureSet], init: InitConfig
) -> None:
    """Refuses to judge by pictures that the first weights have seen.

    Weights that are not of a run, such as a published file, cannot be checked. Neither
    can a run whose records are elsewhere now; that is logged.

    Args:
      judged: As for `check_unseen`.
      init: Where the first weights come from.

    Raises:
      ValueError: As `check_unseen`.
    """
    met: set[pathlib.Path] = set()
    workdir = _workdir(init)
    while workdir and workdir not in met:
        met.add(workdir)
        try:
            config = config_lib.load(str(workdir / preflight.CONFIG_FILE))
        except (ValueError, OSError) as error:  # Perhaps of another version.
            _cannot_be_told(str(workdir), error)
            return
        _check_run(judged, config, str(workdir))
        workdir = _workdir(config.init)


def _check_run(
    judged: Mapping[str, preflight.PictureSet], config: Config, run: str
) -> None:
    for part, pictures in _found(run, config).items():
        # One by one: two parts may learn from the same pictures.
        for name, other in judged.items():
            preflight.check_disjoint({f"{part} of {run}": pictures, name: other})


def _workdir(init: InitConfig) -> pathlib.Path | None:
    """Returns the folder of the run that gave the first weights; None: no run did."""
    if init.kind == "random":
        return None
    path = pathlib.Path(init.checkpoint)
    if not path.is_dir():  # A prefix.
        path = path.parents[1] if path.parent.name == checkpoints.FOLDER else path
    return path if (path / preflight.CONFIG_FILE).exists() else None


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
    is_chosen = part == "pseudo"
    ids = selection.image_ids(settings) if is_chosen else settings.ids
    return settings.records, ids


def _cannot_be_told(run: str, error: Exception) -> None:
    logging.warning(
        "Whether %s, where the first weights come from, has seen what is judged by "
        "cannot be told: %s",
        run,
        error,
    )
