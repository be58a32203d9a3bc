"""What a drawing of verdicts shows."""

import numpy as np
import pytest

from st_keras.data.drawing_verdicts import COLORS, draw_verdicts
from st_keras.metrics import verdicts
from st_keras.metrics.verdicts import (
    KINDS,
    BoxVerdicts,
    ClassVerdicts,
    PixelVerdicts,
)

GREY = np.full([60, 100, 3], 90, np.uint8)
AS_IS = {"smallest_side_px": 60, "largest_side_px": 0}


def box(kind, box_yxyx=(30, 40, 50, 90), score=0.7):
    return BoxVerdicts(
        np.float32([box_yxyx]), np.int32([1]), np.float32([score]), np.array([kind])
    )


def share_of(drawn, color, ys, xs):
    """Returns which share of some pixels has a colour."""
    return float((drawn[ys, xs] == color).all(axis=-1).mean())


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_a_box_is_in_the_colour_of_its_verdict(kind):
    drawn = draw_verdicts(GREY, box(kind), ("ball", "cup"), **AS_IS)
    edge = share_of(drawn, COLORS[kind], 50, slice(40, 91))
    is_dashed = kind in (verdicts.MISSED, verdicts.DROPPED)
    assert 0.4 < edge < 0.7 if is_dashed else edge == 1.0
    for other, color in enumerate(COLORS):
        if other != kind:
            assert not share_of(drawn, color, slice(None), slice(None))
    # 90 x 50 to 40 x 30, not the other way round.
    assert (drawn[33:45, 50:80] == 90).all()


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_all_but_dropped_boxes_have_names(kind):
    drawn = draw_verdicts(GREY, box(kind), ("ball", "cup"), **AS_IS)
    above = drawn[14:29, 40:80]
    is_named = bool((above == 0).all(axis=-1).any())  # Black letters.
    assert is_named == (kind != verdicts.DROPPED)


def test_what_was_missed_lies_over_what_is_false():
    two = (30, 40, 50, 90)
    both = BoxVerdicts(
        np.float32([two, two]),
        np.int32([0, 1]),
        np.float32([1, 0.9]),
        np.array([verdicts.MISSED, verdicts.FALSE]),
    )
    drawn = draw_verdicts(GREY, both, ("ball", "cup"), **AS_IS)
    for kind in (verdicts.MISSED, verdicts.FALSE):
        assert share_of(drawn, COLORS[kind], 50, slice(40, 91)) > 0.3


def test_a_map_is_drawn_by_class_and_beside_it_by_verdict():
    kinds = np.full([60, 100], verdicts.MATCHED, np.uint8)
    kinds[:20] = verdicts.FALSE
    kinds[40:] = verdicts.NOTHING
    ids = np.ones([60, 100], np.uint8)
    drawn = draw_verdicts(GREY, PixelVerdicts(ids, kinds), ("sky", "road"), **AS_IS)
    assert drawn.shape[1] == 204
    assert (drawn[60:] == 255).all(axis=-1).mean() > 0.5  # The legend.
    right = drawn[:60, 104:]
    for rows, color in (
        (slice(0, 20), COLORS[verdicts.FALSE]),
        (slice(20, 40), COLORS[verdicts.MATCHED]),
        (slice(40, 60), (0, 0, 0)),
    ):
        half = (np.array(color) + 90) / 2
        assert np.abs(right[rows] - half).max() <= 1
    # On the left, one class but for what is not kept.
    assert (drawn[5, 50] == drawn[30, 50]).all()


def test_a_small_picture_is_enlarged_and_a_large_one_shrunk():
    look = {"smallest_side_px": 240, "largest_side_px": 480}
    drawn = draw_verdicts(GREY, box(verdicts.MATCHED), ("ball", "cup"), **look)
    assert drawn.shape == (240, 400, 3)
    # 4 times: 50 px down is 200.
    assert share_of(drawn, COLORS[0], 200, slice(160, 361)) == 1.0
    huge = np.zeros([960, 600, 3], np.uint8)
    assert draw_verdicts(huge, box(0), ("a", "b"), **look).shape == (480, 300, 3)


def test_classes_of_a_whole_picture_are_written_in_the_colours_of_their_verdicts():
    found = ClassVerdicts(
        np.array([1, 0]),
        np.array([0.9, 1.0]),
        np.array([verdicts.FALSE, verdicts.MISSED]),
    )
    drawn = draw_verdicts(GREY, found, ("ball", "cup"), **AS_IS)
    first, second = (drawn[rows, :40] for rows in (slice(0, 18), slice(18, 40)))
    for part, kind in ((first, verdicts.FALSE), (second, verdicts.MISSED)):
        assert (part == COLORS[kind]).all(axis=-1).any()
    assert not (second == COLORS[verdicts.FALSE]).all(axis=-1).any()
    assert (drawn[45:] == 90).all()
