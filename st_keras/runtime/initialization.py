"""The weights a run starts from."""

import tensorflow as tf
from absl import logging

from st_keras.config import InitConfig
from st_keras.models import weights
from st_keras.models.weights import function
from st_keras.models.weights.bundle import find_prefix
from st_keras.runtime import checkpoints, restored
from st_keras.tasks import build_task


def initialize(model: tf.keras.Model, config: InitConfig) -> None:
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

    Raises:
      ValueError: The file is missing, damaged, or belongs to another model.
    """
    if config.kind == "random":
        return
    parts = None if config.kind == "teacher" else ("backbone",)
    task_name, saved = _check_run(model, config.checkpoint, parts)
    try:
        report = weights.load_weights(
            model, config.checkpoint, parts=parts, saved=saved
        )
    except weights.IncompleteError as error:
        hint = "" if parts else " Here, `init.kind=imagenet` takes the backbone alone."
        raise weights.IncompleteError(f"{error}{hint}", error.report) from None
    print(report.summary(), flush=True)
    told = " ".join([report.origin, *report.notes])
    is_simclr = "SimCLR" in told or task_name == config.kind
    if config.kind == "simclr" and not is_simclr:
        logging.warning(
            "`init.kind` is simclr, but %s does not show that it is SimCLR's, which is "
            "a run of `simclr` or has its backbone in `base_model`: it is a %s. Was it "
            "learned without labels?",
            config.checkpoint,
            report.origin,
        )


def _check_run(
    model: tf.keras.Model, checkpoint: str, parts
) -> tuple[str, tf.keras.Model | None]:
    """Refuses a run whose layers compute another function; its checkpoint cannot tell.

    Returns:
      The name of the task of the run and its model; empty and None if it is no run.
    """
    try:
        found = checkpoints.find_model(find_prefix(checkpoint))
        of_run = restored.config_of(found)
    except ValueError:  # Not a run but a file, which may or may not tell.
        return "", None
    theirs = build_task(of_run).build_model(sync_batch_norm=False)
    refusals = function.differences(function.of_model(model), function.of_model(theirs))
    for part in parts or refusals:
        if part in refusals:
            raise ValueError(f"{checkpoint}: {refusals[part]}.")
    return of_run.task_name, theirs
