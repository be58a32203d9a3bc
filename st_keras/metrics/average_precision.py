"""COCO average precision, by pycocotools: the only arbiter."""

import contextlib
import io
from collections.abc import Iterator

import numpy as np

from st_keras.metrics.measures import Metric
from st_keras.metrics.percent import NONE
from st_keras.types import Boxes

# In the order pycocotools prints them. The size of an object is that of its box, in
# square pixels of the stored picture: small is under 32^2, large from 96^2 on. COCO's
# own evaluation takes the area of the object's outline, if the annotations have one.
NAMES = (
    *("AP", "AP50", "AP75", "APs", "APm", "APl"),
    *("AR1", "AR10", "AR100", "ARs", "ARm", "ARl"),
)
# pycocotools has a dictionary for every box, and keeps results for each class, picture
# and range of areas until it has accumulated: with LVIS' 1203 classes at once, more
# than a gigabyte for 1000 pictures.
_CLASSES_AT_ONCE = 20


class AveragePrecision(Metric):
    """Collects truth and predictions of pictures, then scores them all at once.

    A number is -100 where the truth has no box to compute it from: pycocotools' -1, in
    percent.
    """

    headline = "AP"

    def __init__(self, class_names: tuple[str, ...]):
        self._class_names = tuple(class_names)
        self._image_ids: set[str] = set()
        self._truth: list[Boxes] = []  # Of each picture.
        self._predicted: list[Boxes] = []

    def add(self, image_id: str, truth: Boxes, predicted: Boxes) -> None:
        """Adds one picture.

        Args:
          image_id: Unique; a second time is an error.
          truth: [N, ...] NumPy arrays, pixels of the original; rows of weight 0 are
            padding.
          predicted: [M, ...], the same; its scores rank the boxes.

        Raises:
          ValueError: The picture was added before, fields have a batch axis, or a class
            has no name. The picture is not counted then.
        """
        if image_id in self._image_ids:
            raise ValueError(f"Picture `{image_id}` was added twice to the metric.")
        true_rows, rows = self._counting(truth), self._counting(predicted)
        self._image_ids.add(image_id)
        self._truth.append(true_rows)
        self._predicted.append(rows)

    def result(self) -> dict:
        """Returns the 12 COCO numbers in percent, and `per_class`: name to AP, AP50.

        Raises:
          ValueError: No picture was added.
        """
        if not self._image_ids:
            raise ValueError("No picture was added to the metric.")
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = self._evaluate()
        numbers = dict(zip(NAMES, (evaluation.stats * 100).tolist(), strict=True))
        return numbers | {"per_class": self._per_class(evaluation)}

    def _counting(self, boxes: Boxes) -> Boxes:
        shape = np.shape(boxes.boxes_yxyx)
        if len(shape) != 2:
            raise ValueError(
                f"Boxes of one picture are [N, 4], got {shape}; add the pictures of a "
                "batch one by one."
            )
        boxes = _chosen(boxes, boxes.weights > 0)
        class_ids, count = np.asarray(boxes.class_ids), len(self._class_names)
        unnamed = class_ids[(class_ids < 0) | (class_ids >= count)]
        if unnamed.size:
            raise ValueError(
                f"A class must be in [0, {count}), got {unnamed[0]}. Are the class "
                "names those of other records?"
            )
        return boxes

    def _evaluate(self):
        parts = []
        for first in range(0, max(len(self._class_names), 1), _CLASSES_AT_ONCE):
            stop = min(first + _CLASSES_AT_ONCE, len(self._class_names))
            evaluation = self._evaluate_classes(range(first, stop))
            parts.append(evaluation.eval)
        # Axis -3 is that of classes.
        evaluation.eval = {
            name: np.concatenate([part[name] for part in parts], axis=-3)
            for name in ("precision", "recall")
        }
        evaluation.summarize()
        return evaluation

    def _evaluate_classes(self, classes: range):
        from pycocotools.cocoeval import COCOeval

        # Without loadRes: it refuses an empty list, though a model may see nothing,
        # and gives every box a polygon.
        truth = self._coco(self._truth, classes)
        evaluation = COCOeval(truth, self._coco(self._predicted, classes), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        return evaluation

    def _coco(self, pictures: list[Boxes], classes: range):
        from pycocotools.coco import COCO

        # COCO wants image ids to be integers, and no id to be 0.
        numbered = list(enumerate(pictures, start=1))
        rows = [
            {"image_id": number, **row}
            for number, boxes in numbered
            for row in _rows(boxes, classes)
        ]
        found = COCO()
        found.dataset = {
            "images": [{"id": number} for number, _ in numbered],
            "annotations": [row | {"id": i} for i, row in enumerate(rows, start=1)],
            "categories": [{"id": i, "name": self._class_names[i]} for i in classes],
        }
        found.createIndex()
        return found

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
    return float(known.mean() * 100) if known.size else NONE


def _chosen(boxes: Boxes, rows: np.ndarray) -> Boxes:
    return Boxes(*(field[rows] for field in boxes))


def _rows(boxes: Boxes, classes: range) -> Iterator[dict]:
    is_one = (classes.start <= boxes.class_ids) & (boxes.class_ids < classes.stop)
    for box, class_id, score, _, is_crowd in zip(*_chosen(boxes, is_one), strict=True):
        y0, x0, y1, x1 = (float(value) for value in box)
        yield {
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": (y1 - y0) * (x1 - x0),
            "category_id": int(class_id),
            "score": float(score),
            "iscrowd": int(is_crowd),
        }
