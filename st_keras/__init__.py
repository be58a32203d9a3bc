"""Self-training for detection and segmentation, after arXiv:2006.06882.

Importing this package is cheap: TensorFlow is loaded by the part that needs it.
"""

from st_keras import environment, registration, submodules

environment.check()
registration.register_with_keras()

__version__ = "0.1.0"
__all__ = [
    "config",
    "data",
    "experiments",
    "losses",
    "metrics",
    "models",
    "ops",
    "runtime",
    "self_training",
    "tasks",
    "training",
    "types",
]

__getattr__, __dir__ = submodules.when_asked_for(__name__, *__all__)
