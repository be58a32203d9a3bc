"""Mean intersection over union of label maps."""

import numpy as np

from st_keras.metrics.measures import Metric
from st_keras.metrics.percent import mean, percent
from st_keras.types import IGNORED, LabelMap


class MeanIoU(Metric):
    """Counts, over all pictures together, pixels by true and predicted class.

    A class that neither people nor the model uses anywhere is left out of the mean and
    has -100 beside its name; one that only the model predicts counts as 0. Pixels whose
    true class is not known count nowhere. A pixel without a prediction is wrong for its
    true class only.
    """

    headline = "mIoU"

    def __init__(self, class_names: tuple[str, ...]):
        self._class_names = tuple(class_names)
        count = len(self._class_names)
        # The last column: no class was predicted.
        self._confusion = np.zeros([count, count + 1], np.int64)
        self._image_ids: set[str] = set()

    def add(self, image_id: str, truth: LabelMap, predicted: LabelMap) -> None:
        """Adds one picture.

        Args:
          image_id: Unique; a second time is an error.
          truth: NumPy arrays [H, W].
          predicted: Of the same size; an id without a name is no prediction.

        Raises:
          ValueError: The picture was added before, the sizes differ, a true class has
            no name, or an id is negative. The picture is not counted then.
        """
        if image_id in self._image_ids:
            raise ValueError(f"Picture `{image_id}` was added twice to the metric.")
        self.add_confusion(confusion(truth, predicted, len(self._class_names)))
        self._image_ids.add(image_id)

    def add_confusion(self, matrix: np.ndarray) -> None:
        """Adds what another metric of the same classes has counted."""
        self._confusion += matrix

    def result(self) -> dict:
        """Returns mIoU, pixel_accuracy and mean_accuracy in percent, and `per_class`.

        For each class: IoU, accuracy (of its true pixels), its share of the pixels.

        Raises:
          ValueError: No picture was added.
        """
        if not self._confusion.any() and not self._image_ids:
            raise ValueError("No picture was added to the metric.")
        matrix = self._confusion
        right = np.diag(matrix).astype(np.float64)
        of_class, said = matrix.sum(axis=1), matrix[:, :-1].sum(axis=0)
        ious = percent(right, of_class + said - right)
        accuracies = percent(right, of_class)
        shares = percent(of_class, np.full_like(of_class, of_class.sum()))
        return {
            "mIoU": mean(ious),
            "pixel_accuracy": float(percent(right.sum(), of_class.sum())),
            "mean_accuracy": mean(accuracies),
            "per_class": {
                name: {
                    "IoU": float(ious[i]),
                    "accuracy": float(accuracies[i]),
                    "pixels": float(shares[i]),
                }
                for i, name in enumerate(self._class_names)
            },
        }


def confusion(truth: LabelMap, predicted: LabelMap, num_classes: int) -> np.ndarray:
    """Returns [K, K + 1] int64, pixels by true and by predicted class; last: by none.

    Raises:
      ValueError: The sizes differ, a true class is neither in [0, K) nor `IGNORED`, or
        a predicted one is negative.
    """
    everything = np.zeros(np.shape(truth.class_ids), np.uint8)
    counts = np.zeros([1, num_classes, num_classes + 1], np.int64)
    add_confusions(counts, truth, predicted, everything)
    return counts[0]


def add_confusions(
    counts: np.ndarray, truth: LabelMap, predicted: LabelMap, groups: np.ndarray
) -> None:
    """Adds the pixels of a picture to the `confusion` of each pixel's group.

    Args:
      counts: [G, K, K + 1] int64, changed in place: with many classes it is larger than
        a picture, too large to make one for each.
      truth: NumPy arrays [H, W].
      predicted: Of the same size.
      groups: [H, W] in [0, G), the group of each pixel of the truth.

    Raises:
      ValueError: As for `confusion`.
    """
    true_ids, ids = np.asarray(truth.class_ids), np.asarray(predicted.class_ids)
    if true_ids.shape != ids.shape:
        raise ValueError(
            f"The true map is {true_ids.shape} pixels, the predicted one {ids.shape}."
        )
    num_classes = counts.shape[1]
    is_known = true_ids != IGNORED
    true_ids = true_ids[is_known]
    for numbers in (true_ids, ids):
        # It would be counted in the place of another class.
        if numbers.size and numbers.min() < 0:
            raise ValueError(
                f"A class id must not be negative, got {numbers.min()}; a pixel whose "
                f"class is not known is {IGNORED}."
            )
    if true_ids.size and true_ids.max() >= num_classes:
        raise ValueError(
            f"A true class must be in [0, {num_classes}) or {IGNORED}, got "
            f"{true_ids.max()}. Are the class names those of other records?"
        )
    # In place and 32 bits: a picture may have many millions of pixels.
    index = groups[is_known].astype(np.int32)
    for numbers, count in zip((true_ids, ids[is_known]), counts.shape[1:], strict=True):
        index *= count
        index += np.minimum(numbers, count - 1)
    np.add.at(counts.reshape(-1), index, 1)
