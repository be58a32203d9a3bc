"""What agreement and the verdicts on one picture mean, of boxes and of label maps."""

import numpy as np
import pytest

from st_keras.metrics import verdicts
from st_keras.metrics.box_quality import BoxQuality
from st_keras.metrics.class_quality import ClassQuality
from st_keras.metrics.pixel_quality import PixelQuality
from st_keras.types import IGNORED, Boxes, Classes, LabelMap
from tests.metrics.test_box_breakdown import labels

BOX, FAR, THIRD = [10, 20, 30, 60], [100, 100, 120, 160], [5, 200, 45, 220]
BOXES, PIXELS = BoxQuality(("ball", "cup")), PixelQuality(("sky", "road", "car"))
CLASSES = ClassQuality(("ant", "bee", "cat"))


def label_map(ids, confidences=None):
    ids = np.array(ids, np.uint8)
    return LabelMap(ids, np.full_like(ids, 255) if confidences is None else confidences)


def kinds(found):
    return [verdicts.KINDS[kind] for kind in found.kinds]


def test_boxes_agree_by_the_f1_of_those_that_match():
    # Of three and two boxes two match: 4 / 5.
    one = labels([BOX, FAR, THIRD], [0, 1, 1], [0.9, 0.8, 0.7])
    other = labels([FAR, BOX], [1, 0], [0.6, 0.9])
    assert BOXES.agreement(one, other, min_score=0.5) == pytest.approx(4 / 5)
    # From 0.65 on, FAR is no longer in the other: 2 / 4.
    assert BOXES.agreement(one, other, min_score=0.65) == pytest.approx(2 / 4)


def test_boxes_of_another_class_do_not_agree():
    assert BOXES.agreement(labels([BOX], [0]), labels([BOX], [1]), min_score=0.5) == 0


def test_two_looks_that_see_nothing_agree():
    nothing = labels([], [])
    assert BOXES.agreement(nothing, nothing, min_score=0.5) == 1.0
    assert BOXES.agreement(nothing, labels([BOX], [0]), min_score=0.5) == 0.0
    crowd = labels([BOX], [0], is_crowd=[True])
    assert BOXES.agreement(labels([BOX], [0]), crowd, min_score=0.5) == 1.0


def test_every_box_has_its_verdict():
    pseudo = labels([BOX, FAR, THIRD, FAR], [0, 0, 1, 1], [0.9, 0.8, 0.6, 0.3])
    truth = labels([BOX, FAR, THIRD], [0, 1, 1], is_crowd=[False, False, True])
    found = BOXES.verdicts(pseudo, truth, min_score=0.5)
    assert kinds(found) == ["matched", "false", "kept", "dropped", "missed"]
    np.testing.assert_array_equal(found.boxes_yxyx[-1], FAR)
    assert found.class_ids[-1] == 1 and found.scores[-1] == 1.0
    assert found.counts() == {
        **{"matched": 1, "false": 1, "missed": 1, "kept": 1, "dropped": 1}
    }
    assert found.caption() == "1 matched, 1 false, 1 missed, 1 kept, 1 dropped"


def test_without_truth_boxes_are_kept_or_dropped():
    pseudo = labels([BOX, FAR], [0, 0], [0.2, 0.5])
    assert kinds(BOXES.verdicts(pseudo, None, min_score=0.5)) == ["dropped", "kept"]
    nothing = BOXES.verdicts(labels([], []), labels([], []), min_score=0.5)
    assert kinds(nothing) == [] and nothing.caption() == "empty"


def test_a_mirror_exchanges_left_and_right():
    # 200 px wide: from 20..60 to 140..180.
    found = BOXES.mirrored(labels([BOX], [1], [0.7]), 200)
    np.testing.assert_array_equal(found.boxes_yxyx, [[10, 140, 30, 180]])
    assert isinstance(found, Boxes) and found.class_ids[0] == 1
    back = BOXES.mirrored(found, 200)
    np.testing.assert_array_equal(back.boxes_yxyx, [BOX])


def test_boxes_are_cut_at_the_edge_and_left_out_beyond():
    found = BOXES.cropped(labels([FAR, BOX], [1, 0], [0.4, 0.9]), (25, 40))
    np.testing.assert_array_equal(found.boxes_yxyx, [[10, 20, 25, 40]])
    np.testing.assert_array_equal(found.scores, np.float32([0.9]))


def test_doubt_is_what_scores_lack():
    pseudo = labels([BOX, FAR, THIRD], [0, 0, 1], [0.9, 0.7, 0.2])
    assert BOXES.doubt(pseudo, min_score=0.5) == pytest.approx(0.2)
    assert BOXES.doubt(pseudo, min_score=0.95) == 1.0
    sky = label_map([[0, 0, 1]], np.uint8([[255, 204, 51]]))
    assert PIXELS.doubt(sky, min_score=0.5) == pytest.approx(0.1)
    assert PIXELS.doubt(label_map([[IGNORED]]), min_score=0.5) == 1.0
    ant = Classes(np.int32([2, 0]), np.float32([0.7, 0.3]), np.float32([1, 1]))
    assert CLASSES.doubt(ant, min_score=0.5) == pytest.approx(0.3)
    assert CLASSES.doubt(ant, min_score=0.75) == 1.0


# Two rows of four; the confidences of the right half are low.
ONE = label_map([[0, 0, 1, 1], [2, 2, 2, 1]], np.uint8([[255, 200, 90, 90]] * 2))


def test_maps_agree_by_the_share_of_equal_pixels():
    # At 0 all eight count; unlike are (0, 1) and (1, 3).
    other = label_map([[0, 1, 1, 1], [2, 2, 2, 0]])
    assert PIXELS.agreement(ONE, other, min_score=0.0) == pytest.approx(6 / 8)


def test_pixels_that_only_one_is_sure_of_do_not_agree():
    other = label_map([[0, 1, 1, 1], [2, 2, 2, 0]], np.uint8([[255, 255, 90, 255]] * 2))
    # Kept by either: six. Alike and kept by both: (0, 0), (1, 0), (1, 1).
    assert PIXELS.agreement(ONE, other, min_score=0.5) == pytest.approx(3 / 6)


def test_where_the_truth_is_not_known_nothing_is_compared():
    truth = label_map([[0, IGNORED, 1, 1], [2, 2, IGNORED, 0]])
    # Six known; three are dropped or wrong: (0, 2), (0, 3), (1, 3).
    assert PIXELS.agreement(ONE, truth, min_score=0.5) == pytest.approx(3 / 6)
    nothing = label_map([[IGNORED] * 4] * 2)
    assert PIXELS.agreement(ONE, nothing, min_score=0.5) == 1.0


def test_every_pixel_has_its_verdict():
    truth = label_map([[0, 1, 1, 2], [IGNORED, 2, IGNORED, IGNORED]])
    ids = np.array([[0, 0, 1, 1], [2, IGNORED, 2, 1]], np.uint8)
    found = PIXELS.verdicts(ONE._replace(class_ids=ids), truth, min_score=0.5)
    names = [*verdicts.KINDS, *[""] * 251]
    assert [[names[kind] for kind in row] for row in found.kinds] == [
        ["matched", "false", "missed", "dropped"],
        ["kept", "", "dropped", "dropped"],
    ]
    assert found.counts()["dropped"] == 3
    assert found.caption().startswith("12% matched, 12% false, 12% missed")
    assert set(PIXELS.verdicts(ONE, None, min_score=0.5).kinds[:, :2].ravel()) == {
        verdicts.KEPT
    }


def test_maps_are_mirrored_and_cut():
    found = PIXELS.mirrored(ONE, 4)
    np.testing.assert_array_equal(found.class_ids, [[1, 1, 0, 0], [1, 2, 2, 2]])
    np.testing.assert_array_equal(found.confidences[0], [90, 90, 200, 255])
    found = PIXELS.cropped(ONE, (1, 3))
    np.testing.assert_array_equal(found.class_ids, [[0, 0, 1]])
    assert found.confidences.shape == (1, 3)
