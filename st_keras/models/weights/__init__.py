"""Published weights: where they are from, and how they get into our models."""

from st_keras import submodules
from st_keras.models.weights.addresses import named_weights
from st_keras.models.weights.formats import FORMATS
from st_keras.models.weights.loading import load_weights
from st_keras.models.weights.report import IncompleteError, Report

__all__ = ["FORMATS", "IncompleteError", "Report", "load_weights", "named_weights"]

__getattr__, __dir__ = submodules.when_asked_for(__name__, "importing")
