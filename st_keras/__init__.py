"""Self-training for detection and segmentation, after arXiv:2006.06882.

Importing this package is cheap: TensorFlow is loaded by the part that needs it.
"""

import importlib

from st_keras import environment, registration

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


def __getattr__(name: str):
    if name in __all__:
        return importlib.import_module(f"st_keras.{name}")
    raise AttributeError(f"module 'st_keras' has no attribute {name!r}")
