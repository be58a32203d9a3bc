"""Tells what kind of file holds some weights, and plans how to read it."""

from collections.abc import Mapping

import tensorflow as tf

from st_keras.models.weights.applications import is_applications, plan_applications
from st_keras.models.weights.bundle import Bundle, find_prefix
from st_keras.models.weights.hdf5 import Hdf5, is_hdf5
from st_keras.models.weights.own import plan_own
from st_keras.models.weights.plan import Plan
from st_keras.models.weights.source import Source
from st_keras.models.weights.tf1 import plan_tf1
from st_keras.models.weights.tf_models import is_tf_models, plan_tf_models

FORMATS = ("auto", "tf1", "tf_models", "keras_applications", "own")


def open_source(path: str) -> Source:
    """Opens a file and checks that it is whole.

    Args:
      path: A checkpoint's prefix or folder, a `.keras` or an `.h5` file.

    Raises:
      ValueError: There is none, or it is damaged.
    """
    if is_hdf5(path):
        return Hdf5(path)
    return Bundle(find_prefix(path))


def detect(source: Source) -> str:
    """Returns which of `FORMATS` a file has."""
    if isinstance(source, Hdf5):
        return "keras_applications" if is_applications(source) else "own"
    if source.graph is None:
        return "tf1"
    return "tf_models" if is_tf_models(source.graph) else "own"


def make_plan(
    model: tf.keras.Model,
    wanted: Mapping[str, tuple[int, ...]],
    source: Source,
    file_format: str,
    saved: tf.keras.Model | None = None,
) -> Plan:
    """Plans what to read for each address.

    Args:
      model: To load into.
      wanted: Shape of each of its weights, by address.
      source: The file.
      file_format: One of `FORMATS`.
      saved: As for `load_weights`.

    Raises:
      ValueError: The file cannot have this format.
    """
    if file_format not in FORMATS:
        raise ValueError(
            f"`format` must be one of {', '.join(FORMATS)}, got {file_format!r}."
        )
    if file_format == "auto":
        file_format = detect(source)
    if not _fits(source, file_format):
        raise ValueError(
            f"`format` must be one that {source.path} can have, got {file_format}; it "
            f"looks like {detect(source)}."
        )
    if file_format == "tf1":
        return plan_tf1(model, wanted, source)
    if file_format == "tf_models":
        return plan_tf_models(model, wanted, source)
    if file_format == "keras_applications":
        return plan_applications(model, wanted, source)
    return plan_own(model, source, saved)


def _fits(source: Source, file_format: str) -> bool:
    """Tells whether the file has what a format needs."""
    if file_format == "tf1":
        return isinstance(source, Bundle)
    if file_format == "tf_models":
        return isinstance(source, Bundle) and source.graph is not None
    if file_format == "keras_applications":
        return isinstance(source, Hdf5) and source.layers is not None
    return isinstance(source, Hdf5) or source.graph is not None
