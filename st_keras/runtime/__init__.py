"""Devices, checkpoints and failures."""

from st_keras import submodules

__getattr__, __dir__ = submodules.when_asked_for(
    __name__, "export", "restored", "stored_labels"
)
