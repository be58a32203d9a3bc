"""Numbers a model is judged by."""

from st_keras import submodules

__getattr__, __dir__ = submodules.when_asked_for(
    __name__, "accuracy", "average_precision", "mean_iou"
)
