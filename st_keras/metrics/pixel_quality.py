"""How right pseudo label maps are, where the truth is known."""

import numpy as np

from st_keras.metrics.mean_iou import MeanIoU, confusions
from st_keras.metrics.thresholds import THRESHOLDS
from st_keras.types import IGNORED, LabelMap

_LEVELS = 256  # Of confidence, in 1/255.


class PixelQuality:
    """Collects pseudo label maps picture by picture; only counts are held.

    A pixel is kept from a score on if it has a class and its confidence, which is
    stored rounded to 1/255, reaches the score. Once the truth of a picture is known,
    pixels whose true class is not known count nowhere, nor do pictures without truth
    but in `images`.
    """

    def __init__(self, class_names: tuple[str, ...]):
        self._class_names = tuple(class_names)
        count = len(self._class_names)
        # By confidence and pseudo class; the last: nothing was said.
        self._pixels = np.zeros([_LEVELS, count + 1], np.int64)
        # By confidence, then as `mean_iou.confusion`; 47 MB for 151 classes.
        self._confusions = np.zeros([_LEVELS, count, count + 1], np.int64)
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
          ValueError: The sizes differ, or a true class has no name. The picture is not
            counted then.
        """
        count = len(self._class_names)
        if truth is None:
            index = np.asarray(pseudo.confidences).astype(np.int64) * (count + 1)
            index += np.minimum(pseudo.class_ids, count)
            counts = np.bincount(index.ravel(), minlength=self._pixels.size)
            self._pixels += counts.reshape(self._pixels.shape)
        else:
            self._confusions += confusions(
                truth, pseudo, count, np.asarray(pseudo.confidences), _LEVELS
            )
            self._has_truth = True
        self._images += 1

    def add_human(self, labels: LabelMap) -> None:
        """Adds a picture that people labelled, to compare how much is labelled."""
        ids = np.asarray(labels.class_ids)
        self._human_known += int((ids != IGNORED).sum())
        self._human_pixels += ids.size

    def result(self, min_score: float) -> dict:
        """Returns how much is kept from a confidence on, and how right it is.

        Returns:
          `min_score`, `images`; in [0, 1]: `coverage`, the share of pixels that are
          kept; `accuracy`, the share of these that are right, and `mean_iou`, theirs
          (None without truth; 0 where nothing is kept); `thresholds`, the same numbers
          at each; `per_class`, coverage and accuracy by pseudo class, and its share of
          all that is kept; `human`, coverage by people; `charts`, which columns belong
          together; `sentence`, the same in words.
        """
        row = self._row(min_score)
        human = None
        if self._human_pixels:
            human = {"coverage": self._human_known / self._human_pixels}
        return {
            "images": self._images,
            **row,
            "per_class": self._per_class(min_score),
            "thresholds": [self._row(s) for s in THRESHOLDS] if self._has_truth else [],
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
        row = {"min_score": float(min_score), "accuracy": None, "mean_iou": None}
        first = _first_kept(min_score)
        if not self._has_truth:
            pixels, of_all = int(self._pixels[first:, :-1].sum()), self._pixels.sum()
            return row | {"coverage": pixels / max(int(of_all), 1)}
        matrix = self._confusions[first:].sum(axis=0)
        matrix[:, -1] = 0  # Without a class a pixel is not kept.
        pixels, of_all = int(matrix.sum()), self._confusions.sum()
        metric = MeanIoU(self._class_names)
        metric.add_confusion(matrix)
        return row | {
            "coverage": pixels / max(int(of_all), 1),
            "accuracy": int(np.trace(matrix)) / max(pixels, 1),
            "mean_iou": metric.result()["mIoU"] / 100.0 if pixels else 0.0,
        }

    def _per_class(self, min_score: float) -> dict[str, dict]:
        first = _first_kept(min_score)
        counts, right = self._pixels, None
        if self._has_truth:
            counts = self._confusions.sum(axis=1)
            right = np.diag(self._confusions[first:].sum(axis=0))
        pixels, of_class = counts[first:].sum(axis=0), counts.sum(axis=0)
        total = max(int(pixels[:-1].sum()), 1)
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


def _first_kept(min_score: float) -> int:
    """Returns the lowest confidence, in 1/255, that is kept; 256: none is."""
    return int(np.searchsorted(np.arange(_LEVELS) / 255.0, min_score))


def _sentence(images: int, row: dict) -> str:
    kept = (
        f"Pseudo labels: {row['coverage']:.0%} of the pixels of {images:,} pictures at "
        f"a confidence of {row['min_score']:g} or more"
    )
    if row["accuracy"] is None:
        return f"{kept}; how many are right is unknown, as there is no truth."
    return f"{kept}. {row['accuracy']:.0%} of them are right."
