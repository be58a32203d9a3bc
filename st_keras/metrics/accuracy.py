"""How often the class of a picture is predicted right."""

import numpy as np

from st_keras.metrics.measures import Metric
from st_keras.metrics.percent import mean, percent
from st_keras.types import Classes

_TOP = 5


class Accuracy(Metric):
    """Counts pictures whose class is the most probable one, or among the best five.

    Pictures whose class is not known count nowhere.
    """

    headline = "top1"

    def __init__(self, class_names: tuple[str, ...]):
        self._class_names = tuple(class_names)
        # By true class: pictures, best class right, right one among the best five.
        self._counts = np.zeros([len(self._class_names), 3], np.int64)
        self._image_ids: set[str] = set()

    def add(self, image_id: str, truth: Classes, predicted: Classes) -> None:
        """Adds one picture.

        Args:
          image_id: Unique; a second time is an error.
          truth: NumPy arrays [1].
          predicted: [T], the most probable first; rows of weight 0 are ignored.

        Raises:
          ValueError: The picture was added before, or its true class has no name. It
            is not counted then.
        """
        if image_id in self._image_ids:
            raise ValueError(f"Picture `{image_id}` was added twice to the metric.")
        class_id, count = int(truth.class_ids[0]), len(self._class_names)
        if truth.weights[0] > 0:
            if not 0 <= class_id < count:
                raise ValueError(
                    f"A true class must be in [0, {count}), got {class_id}. Are the "
                    "class names those of other records?"
                )
            said = np.asarray(predicted.class_ids)[np.asarray(predicted.weights) > 0]
            is_right = [True, class_id in said[:1], class_id in said[:_TOP]]
            self._counts[class_id] += np.array(is_right, np.int64)
        self._image_ids.add(image_id)

    def result(self) -> dict:
        """Returns top1, top5 (with more than five classes) and more, in percent.

        `mean_accuracy` is the mean over classes of top1. `per_class` holds, for each
        class, top1, top5 and its share of the pictures.

        Raises:
          ValueError: No picture was added.
        """
        if not self._image_ids:
            raise ValueError("No picture was added to the metric.")
        # With five classes or fewer, the best five are always right.
        names = ["top1", "top5"][: 1 + (len(self._class_names) > _TOP)]
        pictures = self._counts[:, 0]
        rights = {name: self._counts[:, i] for i, name in enumerate(names, start=1)}
        by_class = {name: percent(right, pictures) for name, right in rights.items()}
        shares = percent(pictures, pictures.sum())
        return {
            **{
                name: float(percent(right.sum(), pictures.sum()))
                for name, right in rights.items()
            },
            "mean_accuracy": mean(by_class["top1"]),
            "per_class": {
                class_name: {
                    **{name: float(values[i]) for name, values in by_class.items()},
                    "pictures": float(shares[i]),
                }
                for i, class_name in enumerate(self._class_names)
            },
        }
