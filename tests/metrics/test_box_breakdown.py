"""What a report says of pseudo boxes: held against pycocotools, and by pencil."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from st_keras.metrics.box_quality import BoxQuality
from st_keras.types import Boxes

NAMES = ("ball", "cup", "kite")


def labels(boxes, class_ids, scores=None, is_crowd=None):
    count = len(boxes)
    return Boxes(
        boxes_yxyx=np.asarray(boxes, np.float32).reshape([count, 4]),
        class_ids=np.asarray(class_ids, np.int32).reshape([count]),
        scores=np.asarray(np.ones(count) if scores is None else scores, np.float32),
        weights=np.ones(count, np.float32),
        is_crowd=np.asarray(np.zeros(count) if is_crowd is None else is_crowd, bool),
    )


def noisy_pictures(seed, *, crowds):
    """Yields truth and pseudo labels; sizes from 10 to 200 px, none of them alike."""
    rng = np.random.default_rng(seed)
    for _ in range(60):
        count = rng.integers(0, 7)
        corner = rng.uniform(0, 300, [count, 2])
        boxes = np.concatenate([corner, corner + rng.uniform(10, 200, [count, 2])], 1)
        class_ids = rng.integers(0, 3, count)
        is_crowd = rng.random(count) < crowds
        truth = labels(boxes, class_ids, is_crowd=is_crowd)
        # Some are found twice, most a little beside, some as another class.
        rows = rng.permutation(np.repeat(np.arange(count), rng.integers(0, 3, count)))
        sides = np.tile(boxes[rows, 2:] - boxes[rows, :2], 2)
        moved = boxes[rows] + rng.normal(0, 0.07, [len(rows), 4]) * sides
        said = np.where(rng.random(len(rows)) < 0.85, class_ids[rows], 1)
        # Two decimals, so that many scores are alike.
        yield truth, labels(moved, said, rng.uniform(0.05, 1, len(rows)).round(2))


def by_pycocotools(pictures):
    """Returns [IoU, class, area] AP at 0.5 and 0.75, without a limit of boxes."""
    truth, predicted = [], []
    for number, (real, found) in enumerate(pictures, 1):
        for rows, boxes in ((truth, real), (predicted, found)):
            for box, class_id, score, _, is_crowd in zip(*boxes, strict=True):
                y0, x0, y1, x1 = (float(side) for side in box)
                rows.append(
                    {
                        **{"id": len(rows) + 1, "image_id": number},
                        "bbox": [x0, y0, x1 - x0, y1 - y0],
                        "area": (y1 - y0) * (x1 - x0),
                        "category_id": int(class_id),
                        **{"score": float(score), "iscrowd": int(is_crowd)},
                    }
                )
    both = []
    with contextlib.redirect_stdout(io.StringIO()):
        for rows in (truth, predicted):
            coco = COCO()
            coco.dataset = {
                "images": [{"id": number} for number in range(1, len(pictures) + 1)],
                "categories": [{"id": i, "name": n} for i, n in enumerate(NAMES)],
                "annotations": rows,
            }
            coco.createIndex()
            both.append(coco)
        evaluation = COCOeval(*both, "bbox")
        evaluation.params.iouThrs = np.array([0.5, 0.75])
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, :, -1].mean(axis=1)


def details(pictures, min_score=0.5):
    quality = BoxQuality(NAMES)
    for truth, pseudo in pictures:
        quality.add(pseudo, truth)
    return quality.details(min_score)


@pytest.mark.parametrize("crowds", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_that_of_pycocotools(seed, crowds):
    pictures = list(noisy_pictures(seed, crowds=crowds))
    expected = by_pycocotools(pictures)
    found = details(pictures)
    by_class = found["tables"]["By class"]
    for column, name in enumerate(("ap50", "ap75")):
        ours = [by_class[class_name][name] for class_name in NAMES]
        np.testing.assert_allclose(ours, expected[column, :, 0], atol=1e-12)
        assert found["numbers"][name] == pytest.approx(expected[column, :, 0].mean())
    assert 0.2 < found["numbers"]["ap75"] < found["numbers"]["ap50"] < 0.9


def test_average_precision_by_size_is_that_of_pycocotools_where_boxes_lie_apart():
    pictures = [
        # Small and large found; a false medium one before them.
        (
            labels([[0, 0, 20, 30], [100, 0, 250, 130]], [0, 1]),
            labels(
                [[0, 0, 20, 30], [100, 0, 250, 130], [300, 300, 350, 360]],
                *([0, 1, 0], [0.6, 0.7, 0.95]),
            ),
        ),
        # Medium found at an IoU of 0.6 only, and a false small one of another class.
        (
            labels([[0, 0, 50, 60], [200, 200, 210, 212]], [0, 1]),
            labels([[0, 0, 30, 60], [90, 90, 99, 99]], [0, 1], [0.8, 0.5]),
        ),
    ]
    expected = by_pycocotools(pictures)
    rows = details(pictures)["tables"]["By size of the box"]
    for area, name in enumerate(("small", "medium", "large"), 1):
        for column, number in enumerate(("ap50", "ap75")):
            known = expected[column, :, area]
            known = known[known >= 0]
            assert rows[name][number] == pytest.approx(known.mean())
    assert [rows[name]["true"] for name in rows] == [2, 1, 1]
    assert rows["medium"]["precision"] == 1 / 2 and rows["medium"]["recall"] == 1.0
    assert rows["small"]["precision"] == 1 / 2 and rows["small"]["recall"] == 1 / 2


def test_a_size_begins_where_that_of_coco_does():
    # 32 x 32 is medium, a sliver less small; 96 x 96 large.
    pictures = [
        (labels([[0, 0, *side]], [0]), labels([], []))
        for side in ((32, 31.9), (32, 32), (96, 95.9), (96, 96), (300, 96))
    ]
    rows = details(pictures)["tables"]["By size of the box"]
    assert {name: row["true"] for name, row in rows.items()} == {
        **{"small": 1, "medium": 2, "large": 2},
    }
    assert rows["small"]["precision"] is None and rows["small"]["recall"] == 0.0


def test_a_right_box_counts_with_the_size_of_the_true_one():
    # 33 x 32 is medium, 31 x 32 small; found elsewhere, it counts where it is itself.
    pictures = [
        (labels([[0, 0, 33, 32]], [0]), labels([[0, 0, 31, 32]], [0])),
        (labels([[0, 0, 33, 32]], [0]), labels([[200, 200, 231, 232]], [0])),
    ]
    rows = details(pictures)["tables"]["By size of the box"]
    assert (rows["medium"]["precision"], rows["medium"]["recall"]) == (1.0, 1 / 2)
    assert (rows["small"]["precision"], rows["small"]["recall"]) == (0.0, None)


def test_a_tighter_overlap_is_asked_for_beside_the_usual_one():
    # 20 x 40 against its upper 20 x 28: 0.7.
    pictures = [(labels([[10, 20, 30, 60]], [1]), labels([[10, 20, 30, 48]], [1]))]
    rows = details(pictures)["tables"]["By overlap with the true box"]
    assert rows["IoU 0.5"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "ap": 1.0}
    assert rows["IoU 0.75"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "ap": 0.0}


# Two pictures: ball right (0.9), cup right (0.6) and kite wrong (0.7); ball wrong
# (0.3). True: ball, cup, and, in the second, two kites.
BALL, CUP, KITE = [0, 0, 20, 40], [50, 0, 70, 40], [0, 60, 30, 90]
PICTURES = [
    (
        labels([BALL, CUP], [0, 1]),
        labels([BALL, CUP, KITE], [0, 1, 2], [0.9, 0.6, 0.7]),
    ),
    (labels([CUP, KITE], [2, 2]), labels([BALL], [0], [0.3])),
]


def test_every_number_of_what_is_kept_by_pencil():
    numbers = details(PICTURES)["numbers"]
    assert numbers["precision"] == 2 / 3 and numbers["recall"] == 2 / 4
    assert numbers["f1"] == pytest.approx(2 * 2 / (3 + 4))
    assert numbers["boxes_per_image"] == 3 / 2
    assert numbers["empty_share"] == 1 / 2
    # Bins 0.3 (0 of 1 right), 0.6 (1 of 1), 0.7 (0 of 1), 0.9 (1 of 1).
    off = (0.3 + (1 - 0.6) + 0.7 + (1 - 0.9)) / 4
    assert numbers["calibration_error"] == pytest.approx(off)


def test_numbers_are_those_of_the_score_that_is_asked_for():
    quality = BoxQuality(NAMES)
    for truth, pseudo in PICTURES:
        quality.add(pseudo, truth)
    assert quality.numbers(0.2)["precision"] == 2 / 4
    assert quality.numbers(0.2)["empty_share"] == 0.0
    assert quality.numbers(0.95)["empty_share"] == 1.0
    assert quality.numbers(0.2)["precision[ball]"] == 1 / 2
    assert quality.numbers(0.5)["precision[ball]"] == 1.0
    assert quality.numbers(0.95)["precision[ball]"] is None
    # A box whose score is the threshold is kept; the wrong one has 0.7.
    score = float(np.float32(0.7))
    assert quality.numbers(score)["boxes_per_image"] == 2 / 2
    assert quality.numbers(score)["precision"] == 1 / 2
    assert quality.numbers(score + 1e-6)["boxes_per_image"] == 1 / 2
    assert set(quality.threshold_free) <= set(quality.numbers(0.5))
    rows = quality.details(0.5)["thresholds"]
    for row in rows:
        asked = quality.numbers(row["min_score"])
        assert row == {"min_score": row["min_score"]} | {
            name: asked[name] for name in row if name != "min_score"
        }


def test_shares_of_the_classes_are_held_against_the_truth_or_against_people():
    quality = BoxQuality(NAMES)
    for truth, pseudo in PICTURES:
        quality.add(pseudo, truth)
    # Kept: one of each; true: one ball, one cup, two kites.
    row = quality.details(0.5)["tables"]["By class"]["kite"]
    assert (row["share"], row["human_share"]) == (1 / 3, 1 / 2)
    assert quality.details(0.5)["human"] == {"boxes_per_image": 2.0, "empty_share": 0.0}
    quality.add_human(labels([BALL, BALL, KITE], [0, 0, 2]))
    quality.add_human(labels([CUP], [1], is_crowd=[True]))
    found = quality.details(0.5)
    assert found["tables"]["By class"]["kite"]["human_share"] == 1 / 3
    assert found["human"] == {"boxes_per_image": 3 / 2, "empty_share": 1 / 2}
    assert (found["human_are"], found["images"]) == ("human labels", 2)


def test_without_truth_what_can_be_counted_is_and_the_rest_is_not_known():
    quality = BoxQuality(NAMES)
    for _, pseudo in PICTURES:
        quality.add(pseudo, None)
    found = quality.details(0.5)
    numbers = found["numbers"]
    known = {name for name, value in numbers.items() if value is not None}
    assert known == {"min_score", "boxes_per_image", "empty_share"}
    assert found["calibration"] is None and found["histogram"]["right"] is None
    assert sum(found["histogram"]["count"]) == 4
    assert list(found["tables"]) == ["By class"] and found["human"] is None
    columns = [name for chart in found["charts"] for name in chart["columns"]]
    assert "boxes_per_image" in columns and "recall" not in columns


def test_a_class_without_a_name_is_called_by_its_number():
    quality = BoxQuality(("ball",))
    quality.add(labels([KITE], [2]), labels([KITE, BALL], [2, 0]))
    rows = quality.details(0.5)["tables"]["By class"]
    assert list(rows) == ["ball", "class 1", "class 2"]
    assert rows["class 2"]["recall"] == 1.0 and rows["class 1"]["recall"] is None
