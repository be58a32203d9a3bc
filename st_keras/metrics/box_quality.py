"""How right pseudo boxes are, where the truth is known."""

import numpy as np

from st_keras.metrics import box_looks, sentences
from st_keras.metrics.box_breakdown import ROW, Breakdown, size_of
from st_keras.metrics.box_matching import FALSE, IN_CROWD, find_true, overlaps
from st_keras.metrics.measures import LabelQuality
from st_keras.metrics.score_curves import THRESHOLDS
from st_keras.metrics.verdicts import BoxVerdicts
from st_keras.types import Boxes

_MATCH_IOUS = (0.5, 0.75)
_CHARTS = [
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
]


class BoxQuality(LabelQuality):
    """Collects pseudo boxes picture by picture; only scores and flags are held.

    A pseudo box is right if it overlaps, by an IoU of 0.5 or more, a true box of its
    class that no better-scored pseudo box has taken. One that finds none, but lies with
    half of its area or more in a crowd of its class, counts neither way, as in COCO's
    evaluation. Once the truth of any picture is known, pictures without truth count
    only in `images`.
    """

    threshold_free = ("ap50", "ap75", "calibration_error")

    def __init__(self, class_names: tuple[str, ...] = ()):
        """Makes an empty measure.

        Args:
          class_names: By class id; a class beyond them is called by its number.
        """
        self._class_names = tuple(class_names)
        # A few bytes per box, by whether its truth is known.
        self._rows: dict[bool, list[np.ndarray]] = {True: [], False: []}
        self._best: dict[bool, list[float]] = {True: [], False: []}  # By picture.
        self._true = _Counts()
        self._human = _Counts()

    def add(self, pseudo: Boxes, truth: Boxes | None) -> None:
        """Adds one picture.

        Args:
          pseudo: [N, ...] NumPy arrays with scores, pixels.
          truth: [M, ...] in the same pixels; None: not known.
        """
        rows = _rows(pseudo, truth)
        # Boxes in crowds do not make a picture less empty.
        counts = rows["found"][:, 0] != IN_CROWD
        is_judged = truth is not None
        self._rows[is_judged].append(rows)
        self._best[is_judged].append(float(rows["score"][counts].max(initial=-1.0)))
        if is_judged:
            self._true.add(truth)

    def add_human(self, labels: Boxes) -> None:
        """Adds a picture that people labelled, to compare boxes and classes."""
        self._human.add(labels)

    def result(self, min_score: float) -> dict:
        """Returns how many boxes a minimum score keeps, and how right they are.

        Returns:
          `min_score`, `images`, `boxes_per_image`, `precision` and `recall` in [0, 1]
          (None where no truth was given; precision is 0 where nothing is kept);
          `thresholds`, the same numbers at each; `human`, those of people; `charts`,
          which columns belong together; `sentence`, the same in words.
        """
        breakdown = self._breakdown()
        row = breakdown.row(min_score)
        human = self._human.numbers()
        return {
            "images": self.images,
            **row,
            "thresholds": (
                [breakdown.row(score) for score in THRESHOLDS]
                if breakdown.is_judged
                else []
            ),
            "human": human and {"boxes_per_image": human["boxes_per_image"]},
            "charts": _CHARTS,
            "sentence": self._sentence(row),
        }

    def numbers(self, min_score: float) -> dict[str, float | None]:
        """Returns every number of what a minimum score keeps, by a plain name.

        Numbers of a class are named like `precision[car]`; None: not known.
        """
        return self._breakdown().numbers(min_score)

    def details(self, min_score: float) -> dict:
        """Returns all that a report shows; see `LabelQuality`."""
        breakdown = self._breakdown()
        return {
            "unit": "boxes",
            "images": self.images,
            "judged_images": len(self._best[True]),
            "sentence": self._sentence(breakdown.row(min_score)),
            "human_are": "human labels" if self._human.images else "truth",
            "human": (self._human if self._human.images else self._true).numbers(),
            **breakdown.details(min_score),
        }

    @property
    def images(self) -> int:
        """Pictures that were added, with and without truth."""
        return sum(len(best) for best in self._best.values())

    def agreement(self, labels: Boxes, other: Boxes, *, min_score: float) -> float:
        """Returns the F1 of matched boxes of two looks at a picture, in [0, 1].

        Args:
          labels: [N, ...] NumPy arrays.
          other: [M, ...] in the same pixels; the truth is a look too.
          min_score: Weaker boxes of both are left out; without boxes, both agree.
        """
        return box_looks.agreement(labels, other, min_score)

    def doubt(self, labels: Boxes, *, min_score: float) -> float:
        """Returns 1 minus the mean score of what is kept; 1 where nothing is."""
        kept = labels.scores[labels.scores >= min_score]
        return float(1.0 - np.mean(kept)) if len(kept) else 1.0

    def verdicts(
        self, pseudo: Boxes, truth: Boxes | None, *, min_score: float
    ) -> BoxVerdicts:
        """Returns the verdict on each box of a picture.

        Args:
          pseudo: [N, ...] NumPy arrays.
          truth: [M, ...]; None: not known.
          min_score: Weaker boxes are dropped.
        """
        return box_looks.verdicts(pseudo, truth, min_score)

    def mirrored(self, labels: Boxes, width_px: int) -> Boxes:
        """Returns the labels of a picture's mirror image."""
        return box_looks.mirrored(labels, width_px)

    def cropped(self, labels: Boxes, size_px: tuple[int, int]) -> Boxes:
        """Returns the part of the labels in the upper left (height, width) pixels."""
        return box_looks.cropped(labels, size_px)

    def _sentence(self, row: dict) -> str:
        judged = len(self._best[True])
        kept = (
            f"Pseudo labels: {row['boxes_per_image']:.1f} boxes per picture on "
            f"{sentences.of_pictures(self.images, judged)} at a score of "
            f"{row['min_score']:g} or more"
        )
        if row["precision"] is None:
            return f"{kept}; how many are right is unknown, as there is no truth."
        told = (
            f"{kept}. {row['precision']:.0%} of them are right (precision), and they "
            f"are {row['recall']:.0%} of the true boxes (recall)."
        )
        if empty := self._true.empty:
            told += (
                f" {empty:,} of the pictures have no true box; if nobody looked for "
                "boxes there, more are right."
            )
        return told

    def _breakdown(self) -> Breakdown:
        is_judged = bool(self._best[True])
        parts = self._rows[is_judged]
        joined = np.concatenate([*parts, np.zeros(0, ROW)])
        self._rows[is_judged] = [joined]
        reference = self._human if self._human.images else self._true
        return Breakdown(
            rows=joined,
            best=np.asarray(self._best[is_judged], np.float32),
            true=self._true.by_class_and_size if is_judged else None,
            reference=reference.by_class_and_size.sum(axis=1),
            class_names=self._class_names,
        )


class _Counts:
    """Counts the boxes that people have drawn."""

    def __init__(self):
        self.images = 0
        self.by_class_and_size = np.zeros([0, 3], np.int64)
        self.empty = 0  # Pictures without a box.

    def add(self, labels: Boxes) -> None:
        is_one = ~np.asarray(labels.is_crowd, bool)
        ids = np.asarray(labels.class_ids)[is_one].astype(np.int64)
        missing = int(ids.max(initial=-1)) + 1 - len(self.by_class_and_size)
        if missing > 0:
            self.by_class_and_size = np.pad(
                self.by_class_and_size, [(0, missing), (0, 0)]
            )
        sizes = size_of(np.asarray(labels.boxes_yxyx)[is_one])
        np.add.at(self.by_class_and_size, (ids, sizes), 1)
        self.images += 1
        self.empty += not len(ids)

    def numbers(self) -> dict[str, float] | None:
        if not self.images:
            return None
        return {
            "boxes_per_image": int(self.by_class_and_size.sum()) / self.images,
            "empty_share": self.empty / self.images,
        }


def _rows(pseudo: Boxes, truth: Boxes | None) -> np.ndarray:
    scores = np.asarray(pseudo.scores, np.float32)
    rows = np.zeros(len(scores), ROW)
    rows["score"] = scores
    rows["class_id"] = pseudo.class_ids
    rows["size"] = size_of(pseudo.boxes_yxyx)
    rows["found"] = FALSE
    if truth is not None and len(scores):
        ious = overlaps(pseudo.boxes_yxyx, truth)
        sizes = size_of(truth.boxes_yxyx)
        for column, min_iou in enumerate(_MATCH_IOUS):
            found = find_true(truth, pseudo, ious, min_iou)
            is_right = found >= 0
            found[is_right] = sizes[found[is_right]]
            rows["found"][:, column] = found
    return rows[np.argsort(-scores, kind="stable")]
