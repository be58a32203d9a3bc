"""Lets Keras find our layers in a saved model once st_keras is imported.

Keras finds third-party layers by their registration, which needs TensorFlow; but
importing st_keras must not load TensorFlow. So the layers register once TensorFlow is
loaded: now, or as soon as someone imports it.
"""

import importlib
import importlib.abc
import importlib.machinery
import sys
from types import ModuleType

_LAYERS = (
    "st_keras.models.layers",
    "st_keras.models.synchronized",
)


def register_with_keras() -> None:
    """Imports the modules with layers once TensorFlow is imported."""
    if "tensorflow" in sys.modules:
        _import_layers()
    elif not any(isinstance(finder, _AfterTensorFlow) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterTensorFlow())


def _import_layers() -> None:
    for name in _LAYERS:
        importlib.import_module(name)


class _AfterTensorFlow(importlib.abc.MetaPathFinder):
    """Finds nothing itself; makes the layers load after TensorFlow."""

    def find_spec(self, fullname, path, target=None):
        if fullname != "tensorflow":
            return None
        # The finder stays until TensorFlow is loaded: some only ask for its spec.
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _ThenLayers(spec.loader)
        return spec


class _ThenLayers(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader):
        self._loader = loader

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        sys.meta_path[:] = [
            finder
            for finder in sys.meta_path
            if not isinstance(finder, _AfterTensorFlow)
        ]
        _import_layers()
