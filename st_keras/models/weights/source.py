"""A file of named weights, whatever its format."""

import abc
from collections.abc import Mapping

import numpy as np


class Source(abc.ABC):
    """Names and shapes are known at once; values are read one by one."""

    def __init__(self, path: str, shapes: Mapping[str, tuple[int, ...]]):
        """Takes what the file's table of contents says.

        Args:
          path: Of the file, or the prefix of its files.
          shapes: Of every weight, by its name in the file.
        """
        self.path = path
        self.shapes = dict(shapes)

    @abc.abstractmethod
    def value(self, name: str) -> np.ndarray:
        """Reads one weight.

        Raises:
          ValueError: The file is damaged there.
        """
