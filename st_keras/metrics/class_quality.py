"""How right pseudo labels of whole pictures are, where the truth is known."""

import array

import numpy as np

from st_keras.metrics import class_looks, score_curves, sentences
from st_keras.metrics.measures import LabelQuality
from st_keras.metrics.verdicts import ClassVerdicts
from st_keras.types import Classes

_UNKNOWN = -1


class ClassQuality(LabelQuality):
    """Collects pseudo labels picture by picture; a dozen bytes of each are held.

    A picture is kept if it has a class whose score reaches the minimum. Once the truth
    of any picture is known, pictures whose true class is not known count nowhere.
    """

    threshold_free = ("calibration_error",)

    def __init__(self, class_names: tuple[str, ...]):
        self._class_names = tuple(class_names)
        self._scores = array.array("f")  # Below 0: no class.
        self._said = array.array("i")
        self._true = array.array("i")
        self._images = 0
        self._has_truth = False
        self._human = np.zeros(len(self._class_names), np.int64)  # By class.
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
        if labels.weights[0] > 0:
            self._human[labels.class_ids[0]] += 1
        self._human_images += 1

    def result(self, min_score: float) -> dict:
        """Returns how much a minimum score keeps, and how right it is.

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
            human = {"coverage": int(self._human.sum()) / self._human_images}
        thresholds = score_curves.THRESHOLDS if self._has_truth else ()
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
            "sentence": _sentence(self._images, self._judged, row),
        }

    def numbers(self, min_score: float) -> dict[str, float | None]:
        """Returns every number of what a minimum score keeps, by a plain name.

        Numbers of a class are named like `accuracy[car]`; None: not known.
        """
        found = self._line(min_score)
        del found["min_score"]
        for name, values in self._by_class(min_score).items():
            found |= {f"{column}[{name}]": value for column, value in values.items()}
        return found | {"calibration_error": self._calibration()["error"]}

    def details(self, min_score: float) -> dict:
        """Returns all that a report shows; see `LabelQuality`."""
        result = self.result(min_score)
        scores, said, true = self._columns()
        has_class = scores >= 0.0
        right = (said == true)[has_class].astype(np.int64) if self._has_truth else None
        ones = np.ones(int(has_class.sum()), np.int64)
        error = {"calibration_error": self._calibration()["error"]}
        human = result["human"]
        if human is None and self._has_truth:
            human = {"coverage": 1.0}  # Only pictures with a true class count.
        columns = ["coverage", "accuracy"] if self._has_truth else ["coverage"]
        return {
            "unit": "pictures",
            "images": self._images,
            "judged_images": self._judged,
            "sentence": result["sentence"],
            "human_are": "human labels" if self._human_images else "truth",
            "human": human,
            "numbers": self._line(min_score) | error,
            "thresholds": [self._line(score) for score in score_curves.THRESHOLDS],
            "charts": [
                {"title": "What is kept", "columns": columns, "is_share": True},
                {
                    "title": "Classes against people's",
                    "columns": ["class_shift"],
                    "is_share": True,
                },
            ],
            "tables": {"By class": self._by_class(min_score)},
            "histogram": score_curves.histogram(scores[has_class], ones, right),
            "calibration": self._calibration() if self._has_truth else None,
        }

    @property
    def _judged(self) -> int:
        return len(self._columns()[0]) if self._has_truth else 0

    def agreement(self, labels: Classes, other: Classes, *, min_score: float) -> float:
        """Returns 1 if two looks at a picture say the same, 0 if they do not.

        Args:
          labels: NumPy arrays, the most probable class first.
          other: The same; an unknown truth always agrees.
          min_score: A less probable class counts as none; without any, both agree.
        """
        return class_looks.agreement(labels, other, min_score)

    def doubt(self, labels: Classes, *, min_score: float) -> float:
        """Returns 1 minus the score of what is kept; 1 where nothing is."""
        is_kept = class_looks.is_kept(labels, min_score)
        return float(1.0 - labels.scores[0]) if is_kept else 1.0

    def verdicts(
        self, pseudo: Classes, truth: Classes | None, *, min_score: float
    ) -> ClassVerdicts:
        """Returns the verdict on a picture's class.

        Args:
          pseudo: NumPy arrays, the most probable class first.
          truth: NumPy arrays [1]; None: not known.
          min_score: A less probable class is dropped.
        """
        return class_looks.verdicts(pseudo, truth, min_score)

    def mirrored(self, labels: Classes, width_px: int) -> Classes:
        """Returns the labels of a picture's mirror image."""
        del width_px  # A class belongs to the whole picture.
        return labels

    def cropped(self, labels: Classes, size_px: tuple[int, int]) -> Classes:
        """Returns the part of the labels in the upper left (height, width) pixels."""
        del size_px  # A class belongs to the whole picture.
        return labels

    def _calibration(self) -> dict:
        if not self._has_truth:
            return {"error": None}
        scores, said, true = self._columns()
        has_class = scores >= 0.0
        right = (said == true)[has_class].astype(np.int64)
        return score_curves.calibration(
            scores[has_class].astype(float), np.ones_like(right), right
        )

    def _line(self, min_score: float) -> dict:
        scores, said, true = self._columns()
        kept = scores >= np.float32(min_score)
        return self._row(scores, said, true, min_score) | {
            "class_shift": score_curves.class_shift(
                np.bincount(said[kept], minlength=len(self._class_names)),
                self._reference(true),
            )
        }

    def _by_class(self, min_score: float) -> dict[str, dict]:
        columns = self._columns()
        people = self._reference(columns[2])
        shares = score_curves.shares(people)
        return {
            name: self._of_class(class_id, *columns, min_score)
            | {"human_share": float(shares[class_id]) if people.any() else None}
            for class_id, name in enumerate(self._class_names)
        }

    def _reference(self, true: np.ndarray) -> np.ndarray:
        """Returns [K] pictures by class, of people or, without them, of the truth."""
        if self._human_images or not self._has_truth:
            return self._human
        return np.bincount(true, minlength=len(self._class_names))

    def _columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        columns = [np.array(c) for c in (self._scores, self._said, self._true)]
        counts = columns[2] != _UNKNOWN if self._has_truth else slice(None)
        scores, said, true = (column[counts] for column in columns)
        return scores, said, true

    def _row(self, scores, said, true, min_score: float) -> dict:
        # In 32 bits, as the student compares.
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


def _sentence(images: int, judged: int, row: dict) -> str:
    kept = (
        f"Pseudo labels: {row['coverage']:.0%} of "
        f"{sentences.of_pictures(images, judged)} have a class at a score of "
        f"{row['min_score']:g} or more"
    )
    if row["accuracy"] is None:
        return f"{kept}; how many are right is unknown, as there is no truth."
    return f"{kept}. {row['accuracy']:.0%} of them are right."
