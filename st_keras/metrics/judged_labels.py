"""Which pseudo labels are right, score by score: the basis for choosing thresholds."""

import abc
from typing import NamedTuple

import numpy as np

from st_keras.metrics import confidences
from st_keras.metrics.box_matching import match
from st_keras.metrics.mean_iou import confusion
from st_keras.types import Boxes, Classes, LabelMap


class Judged(NamedTuple):
    """Pseudo labels of one class, or of all, beside the truth of P pictures.

    A row stands for the labels of one picture that share a score.
    """

    image_indices: np.ndarray  # [R] int64 in [0, P).
    scores: np.ndarray  # [R] float64 in [0, 1].
    counts: np.ndarray  # [R] int64, pseudo labels.
    right: np.ndarray  # [R] int64, those of them that are right.
    truth: np.ndarray  # [P] int64, true labels of each picture.


class JudgedLabels(abc.ABC):
    """Collects pseudo labels of pictures whose truth is known."""

    unit: str  # What is counted.
    support_unit: str  # What choosing a threshold needs enough of.

    def __init__(self, num_classes: int):
        self._num_classes = num_classes
        # By image id: class ids, scores, counts and right ones [R]; truth [K].
        self._pictures: dict[str, tuple[np.ndarray, ...]] = {}

    def result(self, class_id: int | None = None) -> Judged:
        """Returns what was added, in the order of the image ids.

        Args:
          class_id: Of the pseudo and the true labels; None: those of all classes.
        """
        columns, truth = [], []
        for index, image_id in enumerate(sorted(self._pictures)):
            class_ids, *values, true_counts = self._pictures[image_id]
            where = slice(None) if class_id is None else class_ids == class_id
            values = [value[where] for value in values]
            columns.append([np.full(len(values[0]), index), *values])
            truth.append(
                true_counts.sum() if class_id is None else true_counts[class_id]
            )
        joined = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
        return Judged(*joined, np.asarray(truth, np.int64))

    @abc.abstractmethod
    def add(self, image_id: str, truth, predicted) -> None:
        """Adds one picture.

        Args:
          image_id: Unique; a second time is an error.
          truth: Of people, NumPy.
          predicted: Pseudo labels, NumPy.

        Raises:
          ValueError: The picture was added before.
        """

    @abc.abstractmethod
    def support(self, judged: Judged) -> int:
        """Returns how much truth there is, in `support_unit`."""

    def _add(self, image_id: str, *columns: np.ndarray) -> None:
        if image_id in self._pictures:
            raise ValueError(f"Picture `{image_id}` was added twice.")
        self._pictures[image_id] = columns


class JudgedBoxes(JudgedLabels):
    """Judges pseudo boxes as `BoxQuality` does; those in crowds are left out."""

    unit = support_unit = "boxes"

    def add(self, image_id: str, truth: Boxes, predicted: Boxes) -> None:
        class_ids, scores, right = [], [], []
        for class_id in np.unique(predicted.class_ids):
            found = match(_of_class(truth, class_id), _of_class(predicted, class_id))
            class_ids.append(np.full(len(found[0]), class_id))
            scores.append(found[0])
            right.append(found[1])
        real = np.asarray(truth.class_ids)[~np.asarray(truth.is_crowd, bool)]
        scores = np.concatenate([*scores, []])
        self._add(
            image_id,
            np.concatenate([*class_ids, np.zeros(0, np.int64)]),
            scores,
            np.ones(len(scores), np.int64),
            np.concatenate([*right, np.zeros(0, bool)]).astype(np.int64),
            np.bincount(real, minlength=self._num_classes),
        )

    def support(self, judged: Judged) -> int:
        return int(judged.truth.sum())


class JudgedPixels(JudgedLabels):
    """Judges the pixels whose true class is known, by class and confidence.

    Pixels of one picture are not independent samples, so there must be enough pictures.
    """

    unit = "pixels"
    support_unit = "pictures"

    def add(self, image_id: str, truth: LabelMap, predicted: LabelMap) -> None:
        """As the base class; a ValueError too if the sizes of the maps differ."""
        count = self._num_classes
        true_counts = confusion(truth, predicted, count).sum(axis=1)
        true_ids, ids = np.asarray(truth.class_ids), np.asarray(predicted.class_ids)
        # Pixels without a class, true or pseudo, have an id beyond the classes.
        is_judged = (true_ids < count) & (ids < count)
        true_ids, ids = true_ids[is_judged], ids[is_judged]
        levels = np.asarray(predicted.confidences)[is_judged]
        index = ids.astype(np.int64) * confidences.LEVELS + levels
        counts = np.bincount(index, minlength=count * confidences.LEVELS)
        right = np.bincount(
            index[true_ids == ids], minlength=count * confidences.LEVELS
        )
        (rows,) = np.nonzero(counts)
        class_ids, levels = np.divmod(rows, confidences.LEVELS)
        scores = confidences.SCORES[levels]
        self._add(image_id, class_ids, scores, counts[rows], right[rows], true_counts)

    def support(self, judged: Judged) -> int:
        return int((judged.truth > 0).sum())


class JudgedClasses(JudgedLabels):
    """Judges the class of whole pictures; unknown ones are left out."""

    unit = support_unit = "pictures"

    def add(self, image_id: str, truth: Classes, predicted: Classes) -> None:
        """As the base class; of several predicted classes the first counts."""
        is_known = bool(np.asarray(truth.weights)[0] > 0)
        is_judged = is_known and bool(np.asarray(predicted.weights)[0] > 0)
        true_ids = np.asarray(truth.class_ids)[:is_known]
        ids = np.asarray(predicted.class_ids)[:is_judged]
        self._add(
            image_id,
            ids,
            np.asarray(predicted.scores, np.float64)[:is_judged],
            np.ones(len(ids), np.int64),
            (ids == true_ids[: len(ids)]).astype(np.int64),
            np.bincount(true_ids, minlength=self._num_classes),
        )

    def support(self, judged: Judged) -> int:
        return int(judged.truth.sum())


def _of_class(labels: Boxes, class_id: int) -> Boxes:
    where = np.asarray(labels.class_ids) == class_id
    return Boxes(*(np.asarray(field)[where] for field in labels))
