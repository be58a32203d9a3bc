"""The weights a run starts from."""

import pathlib

import tensorflow as tf
from absl import logging

from st_keras.config import Config, ConfigError, InitConfig
from st_keras.config.task import TaskConfig
from st_keras.models import weights
from st_keras.models.weights import function
from st_keras.models.weights.bundle import find_prefix
from st_keras.runtime import checkpoints, restored
from st_keras.tasks import build_task

# Settings that say what the numbers of a head mean.
_MEANINGS = ("class_names", "anchor_size", "anchor_scales", "aspect_ratios")


def initialize(
    model: tf.keras.Model, config: InitConfig, section: TaskConfig | None = None
) -> None:
    """Loads published or earlier weights into a model, as its config says.

    `teacher` loads a whole model: from another run, the averaged weights if it has any,
    or from a file that tools/import_checkpoint.py wrote. The other kinds load the
    backbone of a published file. Accepts every format that `models.weights` reads.
    Prints what was loaded.

    A file does not tell how its weights were learned: `imagenet` and `imagenet++` load
    the same way, and the config has to name the right one. For `simclr`, a warning is
    logged if neither file nor run shows that the weights are SimCLR's.

    Args:
      model: Freshly built.
      config: Kind `random` leaves the model as it is.
      section: The task that the model is for: a teacher that is a run must have the
        same classes and anchors. None: not compared.

    Raises:
      ValueError: The file is missing, damaged, or belongs to another model.
      ConfigError: The config of the run that the file is of cannot be read.
    """
    if config.kind == "random":
        return
    parts = None if config.kind == "teacher" else ("backbone",)
    of_run = _config_of_run(config.checkpoint)
    saved = None
    if of_run:
        saved = build_task(of_run).build_model(sync_batch_norm=False)
        _check_layers(model, saved, config.checkpoint, parts)
    if of_run and section and config.kind == "teacher":
        _check_meanings(section, of_run, config.checkpoint)
    try:
        report = weights.load_weights(
            model, config.checkpoint, parts=parts, saved=saved
        )
    except weights.IncompleteError as error:
        hint = "" if parts else " Here, `init.kind=imagenet` takes the backbone alone."
        raise weights.IncompleteError(f"{error}{hint}", error.report) from None
    print(report.summary(), flush=True)
    told = " ".join([report.origin, *report.notes])
    is_simclr = "SimCLR" in told or (of_run and of_run.task_name == config.kind)
    if config.kind == "simclr" and not is_simclr:
        logging.warning(
            "`init.kind` is simclr, but %s does not show that it is SimCLR's, which is "
            "a run of `simclr` or has its backbone in `base_model`: it is a %s. Was it "
            "learned without labels?",
            config.checkpoint,
            report.origin,
        )


def _config_of_run(checkpoint: str) -> Config | None:
    """Returns the config beside a checkpoint; None if it is no run's.

    Raises:
      ConfigError: It is a run's and cannot be read.
    """
    try:
        found = checkpoints.find_model(find_prefix(checkpoint))
    except ValueError:  # A file of another kind, or none: loading it tells.
        return None
    if not restored.config_file(found).exists():
        return None
    try:
        return restored.config_of(found)
    except ConfigError:
        if pathlib.Path(found.prefix).parent.name == checkpoints.FOLDER:
            raise
        return None  # Of something else, near a published file.


def _check_layers(
    model: tf.keras.Model, theirs: tf.keras.Model, checkpoint: str, parts
) -> None:
    """Refuses a run whose layers compute another function; its checkpoint cannot tell.

    Raises:
      ValueError: A layer differs.
    """
    refusals = function.differences(function.of_model(model), function.of_model(theirs))
    for part in parts or refusals:
        if part in refusals:
            raise ValueError(f"{checkpoint}: {refusals[part]}.")


def _check_meanings(section: TaskConfig, of_run: Config, checkpoint: str) -> None:
    """Refuses a run whose outputs have the same shapes and another meaning.

    Raises:
      ValueError: Classes or anchors differ.
    """
    for name in _MEANINGS:
        theirs, ours = (getattr(s, name, ()) for s in (of_run.section, section))
        # Class names are empty until records have told them.
        if theirs and ours and theirs != ours:
            raise ValueError(
                f"{checkpoint}: its run has `{name}` {_text(theirs)}, this one has "
                f"{_text(ours)}, so that the same outputs would mean something else. "
                "Set it as there; `init.kind=imagenet` takes the backbone alone."
            )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
