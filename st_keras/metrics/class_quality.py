"""How right pseudo labels of whole pictures are, where the truth is known."""

import array

import numpy as np

from st_keras.metrics.thresholds import THRESHOLDS
from st_keras.types import Classes

_UNKNOWN = -1


class ClassQuality:
    """Collects pseudo labels picture by picture; a dozen bytes of each are held.

    A picture is kept from a score on if it has a class and its score reaches it. Once
    the truth of a picture is known, those whose true class is not count nowhere.
    """

    def __init__(self, class_names: tuple[str, ...]):
        self._class_names = tuple(class_names)
        self._scores = array.array("f")  # Below 0: no class.
        self._said = array.array("i")
        self._true = array.array("i")
        self._images = 0
        self._has_truth = False
        self._human_known = 0
        self._human_images = 0

    def add(self, pseudo: Classes, truth: Classes | None) -> None:
        """Adds one picture.

        Args:
          pseudo: NumPy arrays, the most probable class first.
          truth: NumPy arrays [1]; None: not known.

        Raises:
          ValueError: The true class has no name. The picture is not counted then.
        """
        true_id = _UNKNOWN
        if truth is not None:
            if truth.weights[0] > 0:
                true_id = int(truth.class_ids[0])
            if true_id >= len(self._class_names):
                raise ValueError(
                    f"A true class must be in [0, {len(self._class_names)}), got "
                    f"{true_id}. Are the class names those of other records?"
                )
            self._has_truth = True
        has_class = pseudo.weights[0] > 0
        self._scores.append(float(pseudo.scores[0]) if has_class else -1.0)
        self._said.append(int(pseudo.class_ids[0]))
        self._true.append(true_id)
        self._images += 1

    def add_human(self, labels: Classes) -> None:
        """Adds a picture that people labelled, to compare how much is labelled."""
        self._human_known += int(labels.weights[0] > 0)
        self._human_images += 1

    def result(self, min_score: float) -> dict:
        """Returns how much is kept from a score on, and how right it is.

        Returns:
          `min_score`, `images`; in [0, 1]: `coverage`, the share of pictures that are
          kept, and `accuracy`, the share of these that are right (None without truth;
          0 where nothing is kept); `thresholds`, the same numbers at each; `per_class`,
          coverage and accuracy by pseudo class, and its share of all that is kept;
          `human`, coverage by people; `charts`, which columns belong together;
          `sentence`, the same in words.
        """
        scores, said, true = self._columns()
        row = self._row(scores, said, true, min_score)
        human = None
        if self._human_images:
            human = {"coverage": self._human_known / self._human_images}
        thresholds = THRESHOLDS if self._has_truth else ()
        return {
            "images": self._images,
            **row,
            "per_class": {
                name: self._of_class(i, scores, said, true, min_score)
                for i, name in enumerate(self._class_names)
            },
            "thresholds": [self._row(scores, said, true, s) for s in thresholds],
            "human": human,
            "charts": [
                {
                    "title": "Coverage and accuracy",
                    "columns": ["coverage", "accuracy"],
                    "is_share": True,
                }
            ],
            "sentence": _sentence(self._images, row),
        }

    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        columns = [np.array(c) for c in (self._scores, self._said, self._true)]
        counts = columns[2] != _UNKNOWN if self._has_truth else slice(None)
        scores, said, true = (column[counts] for column in columns)
        return scores, said, true

    def _row(self, scores, said, true, min_score: float) -> dict:
        # As the student does, in 32 bits.
        kept = scores >= np.float32(min_score)
        right = (said == true) & kept
        accuracy = int(right.sum()) / max(int(kept.sum()), 1)
        return {
            "min_score": float(min_score),
            "coverage": int(kept.sum()) / max(kept.size, 1),
            "accuracy": accuracy if self._has_truth else None,
        }

    def _of_class(self, class_id, scores, said, true, min_score: float) -> dict:
        is_class = (said == class_id) & (scores >= 0.0)
        row = self._row(scores[is_class], said[is_class], true[is_class], min_score)
        kept = scores >= np.float32(min_score)
        return {
            "coverage": row["coverage"],
            "accuracy": row["accuracy"],
            "share": int((kept & is_class).sum()) / max(int(kept.sum()), 1),
        }


def _sentence(images: int, row: dict) -> str:
    kept = (
        f"Pseudo labels: {row['coverage']:.0%} of {images:,} pictures have a class at "
        f"a score of {row['min_score']:g} or more"
    )
    if row["accuracy"] is None:
        return f"{kept}; how many are right is unknown, as there is no truth."
    return f"{kept}. {row['accuracy']:.0%} of them are right."
