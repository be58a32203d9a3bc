"""Which pictures a model has learned from, in its own run and in those before it."""

import pathlib
from collections.abc import Iterator, Mapping

from absl import logging

from st_keras import config as config_lib
from st_keras.config import Config, InitConfig
from st_keras.runtime import preflight
from st_keras.self_training import selection


def learned_from(config: Config) -> dict[str, preflight.PictureSet]:
    """Returns the pictures that a run learns from, by the part of its config."""
    sets = {"human": (config.human.records, config.human.ids)}
    if config.pseudo:
        ids = selection.image_ids(config.pseudo) if config.pseudo.records else None
        sets["pseudo"] = (config.pseudo.records, ids)
    if config.joint:
        sets["joint"] = (config.joint.records, config.joint.ids)
    return sets


def check_first_weights(
    judged: Mapping[str, preflight.PictureSet], init: InitConfig
) -> None:
    """Refuses to judge by pictures that the first weights have seen.

    What is no run, such as a published file, does not tell. Neither does a run whose
    records are elsewhere now; that is logged.

    Args:
      judged: Sets that a model is judged by, by name.
      init: Where its first weights come from.

    Raises:
      ValueError: Names the run, the two sets and some of the pictures.
    """
    for workdir, config in _runs_before(init):
        for part, pictures in _found(workdir, config).items():
            # One by one: what is learned from may be the same in two parts.
            for name, other in judged.items():
                preflight.check_disjoint(
                    {f"{part} of {workdir}": pictures, name: other}
                )


def _runs_before(init: InitConfig) -> Iterator[tuple[str, Config]]:
    """Yields workdir and config of the run of the first weights, of its, and so on."""
    met = set()
    while init.kind != "random":
        path = pathlib.Path(init.checkpoint)
        workdir = path if path.is_dir() else path.parent.parent  # Of a prefix.
        file = workdir / preflight.CONFIG_FILE
        if workdir in met or not file.exists():
            return
        met.add(workdir)
        config = config_lib.load(str(file))
        yield str(workdir), config
        init = config.init


def _found(workdir: str, config: Config) -> dict[str, preflight.PictureSet]:
    """Returns what a run has learned from and what is still there."""
    found = {}
    try:
        for part, pictures in learned_from(config).items():
            preflight.check_disjoint({part: pictures})
            found[part] = pictures
    except (ValueError, OSError) as error:
        logging.warning(
            "Whether %s, where the first weights come from, has learned from what is "
            "judged by cannot be told: %s",
            workdir,
            error,
        )
    return found
