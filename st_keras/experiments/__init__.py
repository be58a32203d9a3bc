"""Several runs, compared."""

from st_keras import submodules

__getattr__, __dir__ = submodules.when_asked_for(__name__, "predictions", "self_train")
