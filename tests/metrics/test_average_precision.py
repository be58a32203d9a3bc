"""What `AveragePrecision` promises: the numbers of pycocotools."""

import contextlib
import io
import json
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from st_keras.metrics import average_precision
from st_keras.metrics.average_precision import NAMES, AveragePrecision
from st_keras.types import Boxes

CLASSES = ("ball", "cup", "kite")
BOX = [10, 20, 50, 100]  # 40 high, 80 wide: "medium".
FAR = [200, 10, 230, 40]


def labels(boxes=(), class_ids=None, scores=None, weights=None, is_crowd=None):
    count = len(boxes)
    return Boxes(
        np.asarray(boxes, np.float32).reshape([count, 4]),
        np.asarray(class_ids if class_ids is not None else [0] * count, np.int32),
        np.asarray(scores if scores is not None else [1] * count, np.float32),
        np.asarray(weights if weights is not None else [1] * count, np.float32),
        np.asarray(is_crowd if is_crowd is not None else [0] * count, bool),
    )


def score(*pictures):
    metric = AveragePrecision(CLASSES)
    for number, (truth, predicted) in enumerate(pictures):
        metric.add(f"picture {number}", truth, predicted)
    return metric.result()


def random_pictures(seed):
    """Twenty pictures: 0 to 7 boxes of all sizes, crowds, and imperfect predictions."""
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(20):
        count, extra = rng.integers(0, 8), rng.integers(0, 4)
        low = rng.uniform(0, [400, 500], [count + extra, 2])
        sides = rng.uniform(8, 160, [count + extra, 1]) * rng.uniform(0.4, 2.5, [1, 2])
        boxes = np.concatenate([low, low + sides], axis=1)
        class_ids = rng.integers(0, 3, count + extra)
        moved = boxes + rng.normal(0, 0.08, boxes.shape) * sides.repeat(2, axis=1)
        guesses = np.where(rng.random(count + extra) < 0.8, class_ids, 1)
        seen = rng.random(count + extra) < 0.9
        truth = labels(
            boxes[:count], class_ids[:count], is_crowd=rng.random(count) < 0.15
        )
        found = labels(moved[seen], guesses[seen], rng.random(np.sum(seen)))
        pictures.append((truth, found))
    return pictures


def by_pycocotools(pictures, folder, class_ids=(0, 1, 2)):
    """The oracle: a COCO JSON on disk, read and scored as anybody would."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, detections = [], []
    for image_id, (truth, found) in enumerate(pictures, start=1):
        for target, rows in ((annotations, truth), (detections, found)):
            for box, class_id, confidence, _, is_crowd in zip(*rows, strict=True):
                y0, x0, y1, x1 = box.tolist()
                row = {
                    "id": len(target) + 1,
                    "image_id": image_id,
                    "category_id": int(class_id) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                }
                if rows is truth:
                    area = (y1 - y0) * (x1 - x0)
                    row |= {"area": area, "iscrowd": int(is_crowd)}
                else:
                    row["score"] = float(confidence)
                target.append(row)
    content = {
        "info": {},
        "images": [{"id": i + 1} for i in range(len(pictures))],
        "annotations": annotations,
        "categories": [{"id": i + 1, "name": n} for i, n in enumerate(CLASSES)],
    }
    (folder / "truth.json").write_text(json.dumps(content))
    (folder / "found.json").write_text(json.dumps(detections))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "truth.json"))
        found = coco.loadRes(str(folder / "found.json"))
        evaluation = COCOeval(coco, found, "bbox")
        evaluation.params.catIds = [i + 1 for i in class_ids]
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(NAMES, evaluation.stats * 100, strict=True))


class AveragePrecisionTest(tf.test.TestCase, parameterized.TestCase):
    @pytest.fixture(autouse=True)
    def _use_folder(self, tmp_path):
        self.folder = tmp_path

    def test_finding_everything_is_100(self):
        truth = labels([BOX, FAR], [2, 0])
        numbers = score((truth, truth), (labels(), labels()))
        self.assertAllClose([numbers["AP"], numbers["AP50"], numbers["AR1"]], [100] * 3)
        self.assertEqual(numbers["per_class"]["kite"], {"AP": 100.0, "AP50": 100.0})

    def test_a_box_that_covers_three_quarters_passes_six_of_ten_thresholds(self):
        # 30 of 40 rows: IoU 0.75, which passes .50, .55, ..., .75.
        part = labels([[10, 20, 40, 100]])
        numbers = score((labels([BOX]), part))
        self.assertAllClose(numbers["AP"], 60.0)
        self.assertAllClose([numbers["AP50"], numbers["AP75"]], [100.0, 100.0])

    def test_height_and_width_are_not_confused(self):
        # The same box with its axes swapped overlaps little.
        swapped = labels([[20, 10, 100, 50]])
        self.assertAllClose(score((labels([BOX]), swapped))["AP50"], 0.0)

    def test_a_false_alarm_before_the_first_hit_halves_the_precision(self):
        found = labels([FAR, BOX], scores=[0.9, 0.8])
        self.assertAllClose(score((labels([BOX]), found))["AP"], 50.0)
        # After it, at full recall, it costs nothing.
        found = labels([FAR, BOX], scores=[0.8, 0.9])
        self.assertAllClose(score((labels([BOX]), found))["AP"], 100.0)

    def test_sizes_are_in_square_pixels_of_the_original(self):
        # 31 x 31 = 961 < 1024 is small, 40 x 80 medium, 96 x 96 = 9216 large.
        numbers = score(
            (labels([[0, 0, 31, 31]]), labels()),
            (labels([BOX]), labels([BOX])),
            (labels([[0, 0, 96, 96]]), labels([[0, 0, 96, 96]])),
        )
        sizes = [numbers[name] for name in ("APs", "APm", "APl")]
        self.assertAllClose(sizes, [0.0, 100.0, 100.0])

    def test_predictions_in_a_crowd_are_neither_right_nor_wrong(self):
        crowd = labels([BOX, FAR], is_crowd=[1, 0])
        inside = [[12, 22, 20, 30], [30, 50, 48, 90]]
        found = labels([*inside, FAR], scores=[0.9, 0.8, 0.1])
        self.assertAllClose(score((crowd, found))["AP"], 100.0)

    def test_rows_of_weight_0_do_not_exist(self):
        truth = labels([BOX, FAR], weights=[1, 0])
        found = labels([FAR, BOX], scores=[0.9, 0.8], weights=[0, 0.5])
        self.assertAllClose(score((truth, found))["AP"], 100.0)

    @parameterized.parameters(0, 1)
    def test_all_twelve_numbers_are_those_of_pycocotools(self, seed):
        pictures = random_pictures(seed)
        expected = by_pycocotools(pictures, self.folder)
        numbers = score(*pictures)
        for name in NAMES:
            self.assertAllClose(numbers[name], expected[name], msg=name)
        # The test would mean little at the ends of the scale.
        self.assertAllInRange([numbers["AP"], numbers["APs"], numbers["ARl"]], 5, 95)

    def test_a_class_has_the_number_pycocotools_gives_to_it_alone(self):
        pictures = random_pictures(2)
        numbers = score(*pictures)
        for class_id, name in enumerate(CLASSES):
            expected = by_pycocotools(pictures, self.folder, [class_id])
            found = numbers["per_class"][name]
            self.assertAllClose(found["AP"], expected["AP"])
            self.assertAllClose(found["AP50"], expected["AP50"])

    def test_many_classes_are_scored_some_at_a_time_with_the_same_numbers(self):
        pictures = random_pictures(3)
        at_once = score(*pictures)
        with mock.patch.object(average_precision, "_CLASSES_AT_ONCE", 2):
            self.assertEqual(score(*pictures), at_once)

    def test_seeing_nothing_is_0(self):
        numbers = score((labels([BOX], [1]), labels()))
        self.assertAllClose([numbers["AP"], numbers["AR100"]], [0.0, 0.0])
        self.assertEqual(numbers["per_class"]["cup"], {"AP": 0.0, "AP50": 0.0})

    def test_what_has_no_truth_is_minus_100(self):
        numbers = score((labels(), labels([BOX])))
        self.assertAllEqual([numbers[name] for name in NAMES], [-100.0] * 12)
        numbers = score((labels([BOX], [1]), labels([BOX], [1])))
        self.assertEqual(numbers["APs"], -100.0)
        self.assertEqual(numbers["per_class"]["kite"], {"AP": -100.0, "AP50": -100.0})
        self.assertAllClose(numbers["AP"], 100.0)

    def test_more_than_100_predictions_of_a_picture_do_not_count(self):
        # 100 false alarms come first.
        found = labels([FAR] * 100 + [BOX], scores=np.linspace(1, 0.1, 101))
        self.assertAllClose(score((labels([BOX]), found))["AP"], 0.0)

    def test_a_picture_cannot_be_added_twice(self):
        metric = AveragePrecision(CLASSES)
        metric.add("a", labels(), labels())
        with self.assertRaisesRegex(ValueError, "Picture `a` was added twice"):
            metric.add("a", labels(), labels())

    @parameterized.parameters(3, -1)
    def test_a_class_without_a_name_is_refused_unless_it_is_padding(self, unnamed):
        known, odd = labels([BOX], [2]), labels([BOX, FAR], [2, unnamed])
        for truth, predicted in ((odd, known), (known, odd)):
            metric = AveragePrecision(CLASSES)
            with self.assertRaisesRegex(ValueError, rf"in \[0, 3\), got {unnamed}\."):
                metric.add("a", truth, predicted)
            padded = labels([BOX, FAR], [2, unnamed], weights=[1, 0])
            metric.add("a", padded, known)
            self.assertAllClose(metric.result()["AP"], 100.0)

    def test_a_batch_is_refused(self):
        batch = Boxes(*(np.stack([field] * 3) for field in labels([BOX, FAR])))
        with self.assertRaisesRegex(ValueError, r"\[N, 4\], got \(3, 2, 4\); add"):
            AveragePrecision(CLASSES).add("a", batch, batch)

    def test_no_picture_is_an_error_and_not_a_number(self):
        with self.assertRaisesRegex(ValueError, "No picture was added"):
            AveragePrecision(CLASSES).result()

    def test_asking_twice_gives_the_same(self):
        metric = AveragePrecision(CLASSES)
        metric.add("a", labels([BOX], [1]), labels([BOX, FAR], [1, 1], [0.4, 0.5]))
        self.assertEqual(metric.result(), metric.result())
