"""What is new in arXiv:2006.06882."""

from st_keras import submodules

__getattr__, __dir__ = submodules.when_asked_for(__name__, "blend", "labeling")
