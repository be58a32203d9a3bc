"""How often the nearest view to a view is the other one of its picture."""

import numpy as np

from st_keras.metrics.measures import Metric
from st_keras.types import Embeddings


class ContrastiveAccuracy(Metric):
    """Compares two views of each picture with those of the pictures around it.

    Pictures are grouped in the order they come, `among` at a time, so that the number
    hardly depends on how many there are. An incomplete last group counts only if it is
    the only one.
    """

    headline = "contrastive_accuracy"

    def __init__(self, among: int = 256):
        self._among = among
        self._waiting: list[np.ndarray] = []  # [2, D] each.
        self._views = 0
        self._right = 0
        self._image_ids: set[str] = set()

    def add(self, image_id: str, truth: Embeddings, predicted: Embeddings) -> None:
        """Adds one picture.

        Args:
          image_id: Unique; a second time is an error.
          truth: Not used.
          predicted: NumPy array [2, D], of two views.

        Raises:
          ValueError: The picture was added before.
        """
        del truth
        if image_id in self._image_ids:
            raise ValueError(f"Picture `{image_id}` was added twice to the metric.")
        self._image_ids.add(image_id)
        self._waiting.append(np.asarray(predicted.vectors, np.float32))
        if len(self._waiting) == self._among:
            views, right = _compare(self._waiting)
            self._views += views
            self._right += right
            self._waiting = []

    def result(self) -> dict:
        """Returns `contrastive_accuracy` in percent.

        Raises:
          ValueError: No picture was added.
        """
        if not self._image_ids:
            raise ValueError("No picture was added to the metric.")
        views, right = self._views, self._right
        if not views:
            views, right = _compare(self._waiting)
        return {"contrastive_accuracy": 100.0 * right / views}


def _compare(pairs: list[np.ndarray]) -> tuple[int, int]:
    """Returns the number of views, and of those whose nearest is their other one."""
    vectors = np.concatenate(pairs)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.maximum(lengths, 1e-12)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    rows = np.arange(len(vectors))
    return len(rows), int((cosines.argmax(axis=1) == (rows ^ 1)).sum())
