"""Arithmetic on boxes and pixels, with plain arguments."""

from st_keras import submodules

__getattr__, __dir__ = submodules.when_asked_for(
    __name__, "anchors", "box_coding", "boxes", "images", "matching", "nms", "targets"
)
