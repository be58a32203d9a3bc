"""COCO average precision, by pycocotools: the only arbiter."""

import contextlib
import copy
import io

import numpy as np

from st_keras.types import Boxes

# In the order pycocotools prints them. Sizes in square pixels of the original picture:
# small is under 32^2, large from 96^2 on.
NAMES = (
    *("AP", "AP50", "AP75", "APs", "APm", "APl"),
    *("AR1", "AR10", "AR100", "ARs", "ARm", "ARl"),
)


class AveragePrecision:
    """Collects truth and predictions of pictures, then scores them all at once.

    A number is -100 where the truth has no box it could be computed from, as
    pycocotools says it (-1, in percent).
    """

    headline = "AP"

    def __init__(self, class_names: tuple[str, ...]):
        self._class_names = tuple(class_names)
        self._numbers: dict[str, int] = {}  # COCO wants integers for image ids.
        self._truth: list[dict] = []
        self._predicted: list[dict] = []

    def add(self, image_id: str, truth: Boxes, predicted: Boxes) -> None:
        """Adds one picture.

        Args:
          image_id: Unique; a second time is an error.
          truth: [N, ...] NumPy arrays, pixels of the original; rows of weight 0 are
            padding.
          predicted: [M, ...], the same; its scores rank the boxes.

        Raises:
          ValueError: The picture was added before.
        """
        if image_id in self._numbers:
            raise ValueError(f"Picture `{image_id}` was added twice to the metric.")
        number = self._numbers[image_id] = len(self._numbers) + 1
        for row in _rows(truth):
            box = {"id": len(self._truth) + 1, "image_id": number, **row}
            self._truth.append(box)
        self._predicted += [{"image_id": number, **row} for row in _rows(predicted)]

    def result(self) -> dict:
        """Returns the 12 COCO numbers in percent, and `per_class`: name to AP, AP50.

        Raises:
          ValueError: No picture was added.
        """
        if not self._numbers:
            raise ValueError("No picture was added to the metric.")
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = self._evaluate()
        numbers = dict(zip(NAMES, (evaluation.stats * 100).tolist(), strict=True))
        return numbers | {"per_class": self._per_class(evaluation)}

    def _evaluate(self):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        truth = COCO()
        truth.dataset = {
            "images": [{"id": number} for number in self._numbers.values()],
            "annotations": copy.deepcopy(self._truth),
            "categories": [
                {"id": i, "name": name} for i, name in enumerate(self._class_names)
            ],
        }
        truth.createIndex()
        # loadRes refuses an empty list, though a model may see nothing.
        predicted = COCO()
        predicted.dataset = dict(truth.dataset, annotations=[])
        predicted.createIndex()
        if self._predicted:
            predicted = truth.loadRes(copy.deepcopy(self._predicted))
        evaluation = COCOeval(truth, predicted, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return evaluation

    def _per_class(self, evaluation) -> dict[str, dict[str, float]]:
        # Axes: IoU threshold, recall, class, area (0 is all), detections (last is 100).
        precision = evaluation.eval["precision"][:, :, :, 0, -1]
        return {
            name: {
                "AP": _mean_percent(precision[:, :, i]),
                "AP50": _mean_percent(precision[0, :, i]),
            }
            for i, name in enumerate(self._class_names)
        }


def _mean_percent(precision: np.ndarray) -> float:
    known = precision[precision > -1]
    return float(known.mean() * 100) if known.size else -100.0


def _rows(labels: Boxes) -> list[dict]:
    rows = []
    for box, class_id, score, weight, is_crowd in zip(*labels, strict=True):
        if weight > 0:
            y0, x0, y1, x1 = (float(value) for value in box)
            rows.append(
                {
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (y1 - y0) * (x1 - x0),
                    "category_id": int(class_id),
                    "score": float(score),
                    "iscrowd": int(is_crowd),
                }
            )
    return rows
