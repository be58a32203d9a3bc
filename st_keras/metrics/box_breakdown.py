"""Precision, recall and the like of pseudo boxes: all, by class, by size, by IoU."""

import dataclasses
import functools

import numpy as np

from st_keras.metrics import score_curves
from st_keras.metrics.box_matching import FALSE, IN_CROWD

# One pseudo box. What it has found at an IoU of 0.5 and of 0.75: the size of the true
# box, or `FALSE` or `IN_CROWD`. Eleven bytes, as there may be many millions.
ROW = np.dtype(
    [("score", "f4"), ("class_id", "u4"), ("size", "i1"), ("found", "i1", (2,))]
)
SIZES = ("small", "medium", "large")
_SIDES_PX = (32, 96)  # COCO's: areas under 32^2 are small, from 96^2 on large.
_SUFFIXES = ("", "_75")  # Of the numbers at an IoU of 0.5 and of 0.75.
_CHARTS = [
    {
        "title": "Precision, recall and F1",
        "columns": ["precision", "recall", "f1"],
        "is_share": True,
    },
    {
        "title": "The same at an IoU of 0.75",
        "columns": ["precision_75", "recall_75", "f1_75"],
        "is_share": True,
    },
    {
        "title": "Boxes per picture",
        "columns": ["boxes_per_image"],
        "is_share": False,
    },
    {
        "title": "Empty pictures, and classes against people's",
        "columns": ["empty_share", "class_shift"],
        "is_share": True,
    },
]


def size_of(boxes_yxyx: np.ndarray) -> np.ndarray:
    """Returns [N] int, index into `SIZES`, of [N, 4] boxes in pixels."""
    y0, x0, y1, x1 = np.asarray(boxes_yxyx, np.float64).reshape([-1, 4]).T
    return np.searchsorted(
        [side**2 for side in _SIDES_PX], (y1 - y0) * (x1 - x0), side="right"
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Breakdown:
    """Pseudo boxes of many pictures, with or without truth.

    By size, a right box counts under the true box's size, a false one under its own.
    """

    rows: np.ndarray  # [N] of dtype ROW.
    best: np.ndarray  # [P] float32, the best score in each picture; -1: no box.
    true: np.ndarray | None  # [K, 3] true boxes by class and size; None: not known.
    reference: np.ndarray  # [K] boxes that people drew, by class.
    class_names: tuple[str, ...]

    @property
    def is_judged(self) -> bool:
        return self.true is not None

    def row(self, min_score: float) -> dict:
        """Returns the numbers in a line of the self-training report."""
        counted = self._counted(0)
        kept = counted["score"] >= min_score
        row = {"min_score": float(min_score), "precision": None, "recall": None}
        row["boxes_per_image"] = int(kept.sum()) / max(len(self.best), 1)
        if self.is_judged:
            right = int((counted["found"][kept, 0] >= 0).sum())
            row["precision"] = right / max(int(kept.sum()), 1)
            row["recall"] = right / max(int(self.true.sum()), 1)
        return row

    def numbers(self, min_score: float) -> dict[str, float | None]:
        found = self._line(min_score)
        del found["min_score"]
        for class_id, name in enumerate(self._names()):
            values = self._class(class_id, min_score)
            found |= {f"{column}[{name}]": value for column, value in values.items()}
        return found | self._score_free()

    def details(self, min_score: float) -> dict:
        rows = self._counted(0)
        ones = np.ones(len(rows), np.int64)
        right = (rows["found"][:, 0] >= 0).astype(np.int64)
        by_class = {
            name: self._class(class_id, min_score)
            for class_id, name in enumerate(self._names())
        }
        tables = {"By class": by_class}
        if self.is_judged:
            tables["By size of the box"] = {
                name: self._size(size, min_score) for size, name in enumerate(SIZES)
            }
            tables["By overlap with the true box"] = {
                f"IoU {iou}": self._precision(column, min_score)
                | {"ap": self._mean_ap(column)}
                for column, iou in enumerate((0.5, 0.75))
            }
        return {
            "numbers": self._line(min_score) | self._score_free(),
            "thresholds": [self._line(score) for score in score_curves.THRESHOLDS],
            "charts": [
                chart
                for chart in _CHARTS
                if self.is_judged or "precision" not in "".join(chart["columns"])
            ],
            "tables": tables,
            "histogram": score_curves.histogram(
                rows["score"], ones, right if self.is_judged else None
            ),
            "calibration": (
                score_curves.calibration(rows["score"].astype(float), ones, right)
                if self.is_judged
                else None
            ),
        }

    def _line(self, min_score: float) -> dict:
        kept = self._counted(0)
        kept = kept[kept["score"] >= min_score]
        row: dict = {"min_score": float(min_score)}
        for column, suffix in enumerate(_SUFFIXES):
            values = self._precision(column, min_score)
            row |= {f"{name}{suffix}": value for name, value in values.items()}
        pictures = max(len(self.best), 1)
        return row | {
            "boxes_per_image": len(kept) / pictures,
            "empty_share": int((self.best < min_score).sum()) / pictures,
            "class_shift": score_curves.class_shift(
                self._by_class(kept), self._padded(self.reference)
            ),
        }

    def _score_free(self) -> dict:
        """Returns the numbers that do not depend on a threshold."""
        error = None
        if self.is_judged:
            rows = self._counted(0)
            right = rows["found"][:, 0] >= 0
            error = score_curves.calibration(
                rows["score"].astype(float), np.ones(len(rows)), right
            )["error"]
        return {
            "ap50": self._mean_ap(0),
            "ap75": self._mean_ap(1),
            "calibration_error": error,
        }

    def _class(self, class_id: int, min_score: float) -> dict:
        def is_here(rows):
            return rows["class_id"] == class_id

        kept = self._counted(0)
        of_class = self._by_class(kept[kept["score"] >= min_score])
        true = None
        if self.is_judged:
            true = int(self._padded(self.true)[class_id].sum())
        shares = {
            "share": float(score_curves.shares(of_class)[class_id]),
            "human_share": None,
        }
        if self.reference.sum():
            people = score_curves.shares(self._padded(self.reference))
            shares["human_share"] = float(people[class_id])
        return {
            "true": true,
            "kept": int(of_class[class_id]),
            **self._precision(0, min_score, is_here, true),
            "ap50": self._ap(0, is_here, true),
            "ap75": self._ap(1, is_here, true),
            **shares,
        }

    def _size(self, size: int, min_score: float) -> dict:
        true = int(self.true[:, size].sum())

        def is_here_at(column):
            def is_here(rows):
                found = rows["found"][:, column]
                return np.where(found >= 0, found, rows["size"]) == size

            return is_here

        return {
            "true": true,
            **self._precision(0, min_score, is_here_at(0), true),
            **{
                name: self._mean_ap(column, is_here_at(column), size)
                for column, name in enumerate(("ap50", "ap75"))
            },
        }

    def _precision(self, column, min_score, is_here=None, true=None) -> dict:
        """Returns precision, recall and F1 of all boxes, or of some."""
        if not self.is_judged:
            return {"precision": None, "recall": None, "f1": None}
        rows = self._counted(column)
        is_kept = rows["score"] >= min_score
        if is_here is None:
            true = int(self.true.sum())
        else:
            is_kept &= is_here(rows)
        kept = int(is_kept.sum())
        right = int((rows["found"][is_kept, column] >= 0).sum())
        found = {
            "precision": right / max(kept, 1),
            "recall": right / max(true, 1),
            "f1": score_curves.f1(right, kept, true),
        }
        if is_here is not None:  # For all boxes together, 0 stays 0.
            found["precision"] = found["precision"] if kept else None
            found["recall"] = found["recall"] if true else None
            found["f1"] = found["f1"] if kept + true else None
        return found

    def _mean_ap(self, column, is_here=None, size=None) -> float | None:
        """Returns the mean AP over the classes in the truth."""
        if not self.is_judged:
            return None
        true = self.true.sum(axis=1) if size is None else self.true[:, size]
        found = []
        for class_id in np.flatnonzero(true):

            def is_both(rows, class_id=class_id):
                of_class = rows["class_id"] == class_id
                return of_class if is_here is None else of_class & is_here(rows)

            found.append(self._ap(column, is_both, int(true[class_id])))
        return float(np.mean(found)) if found else None

    def _ap(self, column, is_here, true) -> float | None:
        if not self.is_judged:
            return None
        rows = self._counted(column)
        rows = rows[is_here(rows)]
        right = rows["found"][:, column] > FALSE
        return score_curves.average_precision(rows["score"], right, true)

    def _counted(self, column: int) -> np.ndarray:
        """Returns the rows without those that lie in crowds."""
        return self._both_counted[column]

    @functools.cached_property
    def _both_counted(self) -> list[np.ndarray]:
        found = self.rows["found"].T
        return [self.rows[column != IN_CROWD] for column in found]

    def _names(self) -> list[str]:
        names = list(self.class_names)
        return names + [f"class {i}" for i in range(len(names), self._num_classes())]

    def _num_classes(self) -> int:
        return max(
            len(self.class_names),
            len(self.reference),
            len(self.true) if self.is_judged else 0,
            int(self.rows["class_id"].max(initial=0)) + 1 if len(self.rows) else 0,
        )

    def _by_class(self, rows: np.ndarray) -> np.ndarray:
        return np.bincount(rows["class_id"], minlength=self._num_classes())

    def _padded(self, counts: np.ndarray) -> np.ndarray:
        missing = self._num_classes() - len(counts)
        return np.pad(counts, [(0, missing)] + [(0, 0)] * (counts.ndim - 1))
