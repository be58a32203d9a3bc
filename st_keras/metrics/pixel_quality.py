"""How right pseudo label maps are, where the truth is known."""

import numpy as np

from st_keras.metrics import map_looks, sentences
from st_keras.metrics.confidences import LEVELS
from st_keras.metrics.mean_iou import add_confusions
from st_keras.metrics.measures import LabelQuality
from st_keras.metrics.pixel_breakdown import Breakdown
from st_keras.metrics.score_curves import THRESHOLDS
from st_keras.metrics.verdicts import PixelVerdicts
from st_keras.types import IGNORED, LabelMap

_CHARTS = [
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
]


class PixelQuality(LabelQuality):
    """Collects pseudo label maps picture by picture; only counts are held.

    A pixel is kept if it has a class and its confidence, stored rounded to 1/255,
    reaches the minimum score. Once the truth of any picture is known, pixels whose true
    class is not known count nowhere, and pictures without truth only in `images`.
    """

    threshold_free = ("calibration_error",)

    def __init__(self, class_names: tuple[str, ...]):
        self._class_names = tuple(class_names)
        count = len(self._class_names)
        # By confidence and pseudo class; the last: no class.
        self._pixels = np.zeros([LEVELS, count + 1], np.int64)
        # By confidence, then as `mean_iou.confusion`; 47 MB for 151 classes.
        self._confusions = np.zeros([LEVELS, count, count + 1], np.int64)
        # Pictures by their highest confidence + 1; 0: without any class.
        self._best = {judged: np.zeros(LEVELS + 1, np.int64) for judged in (0, 1)}
        self._images = 0
        self._human = _Counts(count)
        self._true = _Counts(count)

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
        ids, levels = np.asarray(pseudo.class_ids), np.asarray(pseudo.confidences)
        counts = ids < count
        if truth is None:
            index = levels.astype(np.int64) * (count + 1)
            index += np.minimum(ids, count)
            pixels = np.bincount(index.ravel(), minlength=self._pixels.size)
            self._pixels += pixels.reshape(self._pixels.shape)
        else:
            add_confusions(self._confusions, truth, pseudo, levels)
            self._true.add(truth)
            counts = counts & (np.asarray(truth.class_ids) != IGNORED)
        best = int(levels[counts].max()) if counts.any() else -1
        self._best[int(truth is not None)][best + 1] += 1
        self._images += 1

    def add_human(self, labels: LabelMap) -> None:
        """Adds a picture that people labelled, to compare how much is labelled."""
        self._human.add(labels)

    def result(self, min_score: float) -> dict:
        """Returns how much a minimum confidence keeps, and how right it is.

        Returns:
          `min_score`, `images`; in [0, 1]: `coverage`, the share of pixels that are
          kept; `accuracy`, the share of these that are right, and `mean_iou`, theirs
          (None without truth; 0 where nothing is kept); `thresholds`, the same numbers
          at each; `per_class`, coverage and accuracy by pseudo class, and its share of
          all that is kept; `human`, coverage by people; `charts`, which columns belong
          together; `sentence`, the same in words.
        """
        breakdown = self._breakdown()
        row = breakdown.row(min_score)
        human = self._human.numbers()
        return {
            "images": self._images,
            **row,
            "per_class": breakdown.per_class(min_score),
            "thresholds": (
                [breakdown.row(score) for score in THRESHOLDS]
                if breakdown.is_judged
                else []
            ),
            "human": human and {"coverage": human["coverage"]},
            "charts": _CHARTS,
            "sentence": _sentence(self._images, self._true.images, row),
        }

    def numbers(self, min_score: float) -> dict[str, float | None]:
        """Returns every number of what a minimum score keeps, by a plain name.

        Numbers of a class are named like `accuracy[car]`; None: not known.
        """
        return self._breakdown().numbers(min_score)

    def details(self, min_score: float) -> dict:
        """Returns all that a report shows; see `LabelQuality`."""
        breakdown = self._breakdown()
        return {
            "unit": "pixels",
            "images": self._images,
            "judged_images": self._true.images,
            "sentence": _sentence(
                self._images, self._true.images, breakdown.row(min_score)
            ),
            "human_are": "human labels" if self._human.images else "truth",
            "human": (self._human if self._human.images else self._true).numbers(),
            **breakdown.details(min_score),
        }

    def agreement(
        self, labels: LabelMap, other: LabelMap, *, min_score: float
    ) -> float:
        """Returns the share of equal pixels of two looks at a picture, in [0, 1].

        Args:
          labels: NumPy arrays [H, W].
          other: Of the same size; where it is `IGNORED`, as a truth may be, nothing is
            compared.
          min_score: Pixels that either keeps at this score are compared, and equal only
            if both keep them; without any, both agree.
        """
        return map_looks.agreement(labels, other, min_score)

    def doubt(self, labels: LabelMap, *, min_score: float) -> float:
        """Returns 1 minus the mean confidence of what is kept; 1 where nothing is."""
        is_kept = map_looks.is_kept(labels, min_score)
        if not is_kept.any():
            return 1.0
        return float(1.0 - np.asarray(labels.confidences)[is_kept].mean() / 255.0)

    def verdicts(
        self, pseudo: LabelMap, truth: LabelMap | None, *, min_score: float
    ) -> PixelVerdicts:
        """Returns the verdict on each pixel of a picture.

        Args:
          pseudo: NumPy arrays [H, W].
          truth: Of the same size; None: not known.
          min_score: Pixels of lower confidence are dropped.
        """
        return map_looks.verdicts(pseudo, truth, min_score)

    def mirrored(self, labels: LabelMap, width_px: int) -> LabelMap:
        """Returns the labels of a picture's mirror image."""
        del width_px  # As wide as the map.
        return LabelMap(*(np.asarray(field)[:, ::-1] for field in labels))

    def cropped(self, labels: LabelMap, size_px: tuple[int, int]) -> LabelMap:
        """Returns the part of the labels in the upper left (height, width) pixels."""
        height, width = size_px
        return LabelMap(*(np.asarray(field)[:height, :width] for field in labels))

    def _breakdown(self) -> Breakdown:
        is_judged = self._true.images > 0
        reference = self._human if self._human.images else self._true
        return Breakdown(
            pixels=self._confusions.sum(axis=1) if is_judged else self._pixels,
            confusions=self._confusions if is_judged else None,
            best=self._best[int(is_judged)],
            reference=reference.by_class,
            class_names=self._class_names,
        )


class _Counts:
    """Counts the pixels that people have labelled."""

    def __init__(self, num_classes: int):
        self.images = 0
        self.by_class = np.zeros(num_classes, np.int64)
        self._known = 0
        self._pixels = 0
        self._empty = 0

    def add(self, labels: LabelMap) -> None:
        ids = np.asarray(labels.class_ids)
        counts = np.bincount(ids.ravel(), minlength=IGNORED + 1)
        known = ids.size - int(counts[IGNORED])
        self.by_class += counts[: len(self.by_class)]
        self.images += 1
        self._known += known
        self._pixels += ids.size
        self._empty += not known

    def numbers(self) -> dict[str, float] | None:
        if not self._pixels:
            return None
        return {
            "coverage": self._known / self._pixels,
            "empty_share": self._empty / self.images,
        }


def _sentence(images: int, judged: int, row: dict) -> str:
    kept = (
        f"Pseudo labels: {row['coverage']:.0%} of the pixels of "
        f"{sentences.of_pictures(images, judged)} at a confidence of "
        f"{row['min_score']:g} or more"
    )
    if row["accuracy"] is None:
        return f"{kept}; how many are right is unknown, as there is no truth."
    return f"{kept}. {row['accuracy']:.0%} of them are right."
