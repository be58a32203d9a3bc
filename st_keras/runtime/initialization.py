"""The weights a run starts from."""

import tensorflow as tf
from absl import logging

from st_keras.config import InitConfig
from st_keras.models import weights
from st_keras.runtime import checkpoints


def initialize(model: tf.keras.Model, config: InitConfig) -> None:
    """Loads published or earlier weights into a model, as its config says.

    `teacher` takes all weights of another run of the same model, the averaged ones
    where there are such. The other kinds take the backbone of a published file, in any
    format that `models.weights` reads.

    Args:
      model: Freshly built.
      config: Random leaves the model as it is.

    Raises:
      ValueError: The file is missing, damaged, or of another model.
    """
    if config.kind == "random":
        return
    if config.kind == "teacher":
        found = checkpoints.find_model(config.checkpoint)
        checkpoints.load_model(model, found)
        return
    report = weights.load_weights(model, config.checkpoint, parts=("backbone",))
    logging.info("%s: %s", config.checkpoint, report.summary())
