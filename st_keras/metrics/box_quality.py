"""How right pseudo boxes are, where the truth is known."""

import numpy as np

from st_keras.metrics.box_matching import match
from st_keras.metrics.thresholds import THRESHOLDS
from st_keras.types import Boxes


class BoxQuality:
    """Collects pseudo boxes picture by picture; only their scores are held.

    A pseudo box is right if it overlaps a true box of its class by an IoU of 0.5 or
    more that no better-scored pseudo box has taken. Boxes in crowds count neither way.
    Once the truth of a picture is known, pictures without truth count nowhere but in
    `images`.
    """

    def __init__(self):
        self._scores: list[np.ndarray] = []
        self._judged: list[tuple[np.ndarray, np.ndarray]] = []  # Scores, rightness.
        self._true_boxes = 0
        self._human_boxes = 0
        self._human_images = 0

    def add(self, pseudo: Boxes, truth: Boxes | None) -> None:
        """Adds one picture.

        Args:
          pseudo: [N, ...] NumPy arrays with scores, pixels.
          truth: [M, ...] in the same pixels; None: not known.
        """
        self._scores.append(np.asarray(pseudo.scores, np.float32))
        if truth is not None:
            self._true_boxes += _count(truth)
            self._judged.append(match(truth, pseudo))

    def add_human(self, labels: Boxes) -> None:
        """Adds a picture that people labelled, to compare the numbers of boxes."""
        self._human_boxes += _count(labels)
        self._human_images += 1

    def result(self, min_score: float) -> dict:
        """Returns how many boxes are kept from a score on, and how right they are.

        Returns:
          `min_score`, `images`, `boxes_per_image`, `precision` and `recall` in [0, 1]
          (None where no truth was given; precision is 0 where nothing is kept);
          `thresholds`, the same numbers at each; `human`, those of people; `charts`,
          which columns belong together; `sentence`, the same in words.
        """
        images = len(self._scores)
        row = self._row(min_score)
        is_judged = bool(self._judged)
        human = None
        if self._human_images:
            human = {"boxes_per_image": self._human_boxes / self._human_images}
        return {
            "images": images,
            **row,
            "thresholds": [self._row(s) for s in THRESHOLDS] if is_judged else [],
            "human": human,
            "charts": [
                {
                    "title": "Precision and recall",
                    "columns": ["precision", "recall"],
                    "is_share": True,
                },
                {
                    "title": "Boxes per picture",
                    "columns": ["boxes_per_image"],
                    "is_share": False,
                },
            ],
            "sentence": _sentence(images, row),
        }

    def _row(self, min_score: float) -> dict:
        # Without those in crowds where the truth is known.
        scores = [scores for scores, _ in self._judged] or self._scores
        kept = sum(int((scores >= min_score).sum()) for scores in scores)
        row = {
            "min_score": float(min_score),
            "precision": None,
            "recall": None,
            "boxes_per_image": kept / max(len(scores), 1),
        }
        if self._judged:
            right = sum(int(right[s >= min_score].sum()) for s, right in self._judged)
            row["precision"] = right / max(kept, 1)
            row["recall"] = right / max(self._true_boxes, 1)
        return row


def _sentence(images: int, row: dict) -> str:
    kept = (
        f"Pseudo labels: {row['boxes_per_image']:.1f} boxes per picture on {images:,} "
        f"pictures at a score of {row['min_score']:g} or more"
    )
    if row["precision"] is None:
        return f"{kept}; how many are right is unknown, as there is no truth."
    return (
        f"{kept}. {row['precision']:.0%} of them are right (precision), and they are "
        f"{row['recall']:.0%} of the true boxes (recall)."
    )


def _count(labels: Boxes) -> int:
    return int(np.sum(~np.asarray(labels.is_crowd, bool)))
