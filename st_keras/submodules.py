"""Lets `st_keras.ops.nms` be written without an import of its own.

Python knows a module as a name of its package only once somebody has imported it, so
what works in one program would fail in another. A package of ours imports its public
modules as soon as they are asked for, and none before.
"""

import importlib
import sys
from collections.abc import Callable
from typing import Any


def when_asked_for(
    package: str, *names: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Returns the `__getattr__` and the `__dir__` of a package.

    Args:
      package: Its `__name__`.
      *names: Of its modules that other code may import.

    Source: PEP 562.
    """

    def getattr_of_package(name: str) -> Any:
        if name in names:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def dir_of_package() -> list[str]:
        return sorted({*vars(sys.modules[package]), *names})

    return getattr_of_package, dir_of_package
