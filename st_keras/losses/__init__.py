"""Losses on plain tensors; each returns a Ratio, divided over all replicas at once."""

from st_keras import submodules

__getattr__, __dir__ = submodules.when_asked_for(
    __name__, "classification", "detection", "segmentation", "simclr"
)
