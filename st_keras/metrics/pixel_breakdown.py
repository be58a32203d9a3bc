"""Coverage, accuracy and the like of pseudo label maps: all, and by class."""

import dataclasses
import functools

import numpy as np

from st_keras.metrics import confidences, score_curves
from st_keras.metrics.mean_iou import MeanIoU

_CHARTS = [
    {
        "title": "Coverage, accuracy and mean IoU",
        "columns": ["coverage", "accuracy", "mean_iou"],
        "is_share": True,
    },
    {
        "title": "Empty pictures, and classes against people's",
        "columns": ["empty_share", "class_shift"],
        "is_share": True,
    },
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Breakdown:
    """Pseudo-labelled pixels of many pictures, with or without truth."""

    pixels: np.ndarray  # [256, K + 1] by confidence and pseudo class; last: none.
    confusions: np.ndarray | None  # [256, K, K + 1], with true classes between.
    best: np.ndarray  # [257] pictures by highest confidence + 1; 0: without a class.
    reference: np.ndarray  # [K] pixels that people labelled, by class.
    class_names: tuple[str, ...]

    @property
    def is_judged(self) -> bool:
        return self.confusions is not None

    def row(self, min_score: float) -> dict:
        """Returns the numbers in a line of the self-training report."""
        row = {"min_score": float(min_score), "accuracy": None, "mean_iou": None}
        kept = int(self._kept(min_score).sum())
        row["coverage"] = kept / max(int(self.pixels.sum()), 1)
        if self.is_judged:
            matrix = self._matrix(min_score)
            ious = list(self._ious(min_score).values())
            row["accuracy"] = int(np.trace(matrix)) / max(kept, 1)
            row["mean_iou"] = float(np.mean(ious)) if ious else 0.0
        return row

    def per_class(self, min_score: float) -> dict[str, dict]:
        """Returns coverage, accuracy and share by pseudo class."""
        kept, of_class = self._kept(min_score), self.pixels.sum(axis=0)
        right = np.diag(self._matrix(min_score)) if self.is_judged else None
        shares = score_curves.shares(kept)
        return {
            name: {
                "coverage": float(kept[i] / max(of_class[i], 1)),
                "accuracy": (
                    float(right[i] / max(kept[i], 1)) if self.is_judged else None
                ),
                "share": float(shares[i]),
            }
            for i, name in enumerate(self.class_names)
        }

    def numbers(self, min_score: float) -> dict[str, float | None]:
        found = self._line(min_score)
        del found["min_score"]
        for name, values in self._by_class(min_score).items():
            found |= {f"{column}[{name}]": value for column, value in values.items()}
        return found | {"calibration_error": self._calibration_error}

    def details(self, min_score: float) -> dict:
        counts, right = self._by_level
        return {
            "numbers": self._line(min_score)
            | {"calibration_error": self._calibration_error},
            "thresholds": [self._line(score) for score in score_curves.THRESHOLDS],
            "charts": [
                chart | {"columns": [n for n in chart["columns"] if self._knows(n)]}
                for chart in _CHARTS
            ],
            "tables": {"By class": self._by_class(min_score)},
            "histogram": score_curves.histogram(confidences.SCORES, counts, right),
            "calibration": (
                score_curves.calibration(confidences.SCORES, counts, right)
                if self.is_judged
                else None
            ),
        }

    def _line(self, min_score: float) -> dict:
        pictures = max(int(self.best.sum()), 1)
        return self.row(min_score) | {
            "empty_share": int(self.best[: confidences.first_kept(min_score) + 1].sum())
            / pictures,
            "class_shift": score_curves.class_shift(
                self._kept(min_score), self.reference
            ),
        }

    def _by_class(self, min_score: float) -> dict[str, dict]:
        ious = self._ious(min_score)
        people = score_curves.shares(self.reference)
        found = self.per_class(min_score)
        for class_id, (name, values) in enumerate(found.items()):
            values["iou"] = ious.get(name)
            values["human_share"] = None
            if self.reference.any():
                values["human_share"] = float(people[class_id])
        return found

    def _kept(self, min_score: float) -> np.ndarray:
        """Returns [K] kept pixels by pseudo class."""
        return self.pixels[confidences.first_kept(min_score) :, :-1].sum(axis=0)

    def _matrix(self, min_score: float) -> np.ndarray:
        """Returns the [K, K + 1] confusion of what is kept."""
        matrix = self.confusions[confidences.first_kept(min_score) :].sum(axis=0)
        matrix[:, -1] = 0  # Without a class a pixel is not kept.
        return matrix

    def _ious(self, min_score: float) -> dict[str, float]:
        """Returns the IoU of each class that people or the teacher see anywhere."""
        matrix = self._matrix(min_score) if self.is_judged else np.zeros(0)
        if not matrix.any():
            return {}
        metric = MeanIoU(self.class_names)
        metric.add_confusion(matrix)
        per_class = metric.result()["per_class"]
        ious = {name: values["IoU"] / 100.0 for name, values in per_class.items()}
        return {name: iou for name, iou in ious.items() if iou >= 0.0}

    def _knows(self, column: str) -> bool:
        return self.is_judged or column not in ("accuracy", "mean_iou")

    @functools.cached_property
    def _by_level(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Returns [256] pixels with a class, and those that are right, if known."""
        counts = self.pixels[:, :-1].sum(axis=1)
        if not self.is_judged:
            return counts, None
        return counts, np.trace(self.confusions[:, :, :-1], axis1=1, axis2=2)

    @functools.cached_property
    def _calibration_error(self) -> float | None:
        counts, right = self._by_level
        if right is None:
            return None
        return score_curves.calibration(confidences.SCORES, counts, right)["error"]
