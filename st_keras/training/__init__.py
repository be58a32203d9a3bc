"""The loop that trains teachers and students alike."""

from st_keras import submodules

__getattr__, __dir__ = submodules.when_asked_for(__name__, "evaluate", "loop")
