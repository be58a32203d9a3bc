"""Changes of training images that move boxes along."""

from st_keras import submodules

__getattr__, __dir__ = submodules.when_asked_for(__name__, "augmentation", "policies")
