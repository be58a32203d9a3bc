"""Records, decoding, augmentation and the input pipeline, with plain arguments."""

from st_keras import submodules

__getattr__, __dir__ = submodules.when_asked_for(
    __name__, "augment", "conversion", "dataset_info", "sources", "splits"
)
