"""How right pseudo label maps are, where the truth is known."""

import numpy as np

from st_keras.metrics.mean_iou import MeanIoU, confusion
from st_keras.metrics.thresholds import THRESHOLDS
from st_keras.types import IGNORED, LabelMap

_LEVELS = 256  # Of confidence, in 1/255.


class PixelQuality:
    """Collects pseudo label maps picture by picture; only counts are held.

    A pixel is kept from a score on if its confidence, which is stored rounded to 1/255,
    reaches it. Pixels whose true class is not known count nowhere, if there is a truth.
    """

    def __init__(self, class_names: tuple[str, ...]):
        self._class_names = tuple(class_names)
        count = len(self._class_names)
        # By pseudo class and confidence.
        self._pixels = np.zeros([count, _LEVELS], np.int64)
        self._right = np.zeros([count, _LEVELS], np.int64)
        # By threshold, then as `mean_iou.confusion`, of the pixels under the next one.
        self._confusions = np.zeros([len(THRESHOLDS) + 1, count, count + 1], np.int64)
        self._images = 0
        self._has_truth = False
        self._human_known = 0
        self._human_pixels = 0

    def add(self, pseudo: LabelMap, truth: LabelMap | None) -> None:
        """Adds one picture.

        Args:
          pseudo: NumPy arrays [H, W].
          truth: Of the same size; None: not known.

        Raises:
          ValueError: The sizes differ.
        """
        self._images += 1
        ids, confidences = np.asarray(pseudo.class_ids), np.asarray(pseudo.confidences)
        counts = ids != IGNORED
        if truth is not None:
            self._has_truth = True
            levels = np.searchsorted(THRESHOLDS, confidences / 255.0, side="right")
            for level in np.unique(levels):
                chosen = np.where(levels == level, truth.class_ids, IGNORED)
                self._confusions[level] += confusion(
                    truth._replace(class_ids=chosen), pseudo, len(self._class_names)
                )
            counts = counts & (np.asarray(truth.class_ids) != IGNORED)
            right = counts & (truth.class_ids == ids)
            self._right += self._histogram(ids[right], confidences[right])
        self._pixels += self._histogram(ids[counts], confidences[counts])

    def add_human(self, labels: LabelMap) -> None:
        """Adds a picture that people labelled, to compare how much is labelled."""
        ids = np.asarray(labels.class_ids)
        self._human_known += int((ids != IGNORED).sum())
        self._human_pixels += ids.size

    def result(self, min_score: float) -> dict:
        """Returns how much is kept from a confidence on, and how right it is.

        Returns:
          `min_score`, `images`; `coverage`, the share of pixels that are kept;
          `accuracy`, the share of these that are right (None without truth);
          `per_class`, the same by pseudo class, and its share of all that is kept;
          `thresholds`, the same numbers and `mean_iou` of what is kept, in [0, 1], at
          each; `human`, those of people; `charts`, which columns belong together;
          `sentence`, the same in words.
        """
        row = self._row(min_score)
        human = None
        if self._human_pixels:
            human = {"coverage": self._human_known / self._human_pixels}
        rows = []
        if self._has_truth:
            for number, threshold in enumerate(THRESHOLDS):
                metric = MeanIoU(self._class_names)
                metric.add_confusion(self._confusions[number + 1 :].sum(axis=0))
                share = {"mean_iou": _mean_iou(metric)}
                rows.append(self._row(threshold) | share)
        return {
            "images": self._images,
            **row,
            "per_class": self._per_class(min_score),
            "thresholds": rows,
            "human": human,
            "charts": [
                {
                    "title": "Coverage and accuracy",
                    "columns": ["coverage", "accuracy"],
                    "is_share": True,
                },
                {
                    "title": "Mean IoU of what is kept",
                    "columns": ["mean_iou"],
                    "is_share": True,
                },
            ],
            "sentence": _sentence(self._images, row),
        }

    def _row(self, min_score: float) -> dict:
        kept = _kept(min_score)
        pixels = int(self._pixels[:, kept].sum())
        row = {
            "min_score": float(min_score),
            "coverage": pixels / max(int(self._pixels.sum()), 1),
            "accuracy": None,
        }
        if self._has_truth:
            row["accuracy"] = int(self._right[:, kept].sum()) / max(pixels, 1)
        return row

    def _per_class(self, min_score: float) -> dict[str, dict]:
        kept = _kept(min_score)
        pixels, right = (
            counts[:, kept].sum(axis=1) for counts in (self._pixels, self._right)
        )
        of_class, total = self._pixels.sum(axis=1), max(int(pixels.sum()), 1)
        return {
            name: {
                "coverage": float(pixels[i] / max(of_class[i], 1)),
                "accuracy": (
                    float(right[i] / max(pixels[i], 1)) if self._has_truth else None
                ),
                "share": float(pixels[i] / total),
            }
            for i, name in enumerate(self._class_names)
        }

    def _histogram(self, ids: np.ndarray, confidences: np.ndarray) -> np.ndarray:
        index = ids.astype(np.int64) * _LEVELS + confidences
        counts = np.bincount(index, minlength=self._pixels.size)
        return counts.reshape(self._pixels.shape)


def _kept(min_score: float) -> np.ndarray:
    return np.arange(_LEVELS) / 255.0 >= min_score


def _mean_iou(metric: MeanIoU) -> float:
    if not metric.confusion.any():
        return 0.0
    return metric.result()["mIoU"] / 100.0


def _sentence(images: int, row: dict) -> str:
    kept = (
        f"Pseudo labels: {row['coverage']:.0%} of the pixels of {images:,} pictures at "
        f"a confidence of {row['min_score']:g} or more"
    )
    if row["accuracy"] is None:
        return f"{kept}; how many are right is unknown, as there is no truth."
    return f"{kept}. {row['accuracy']:.0%} of them are right."
