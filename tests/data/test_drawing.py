"""What a drawn picture shows."""

import numpy as np
import pytest

from st_keras.data.class_colors import class_color
from st_keras.data.drawing import (
    contact_sheet,
    draw_batch,
    draw_labels,
)
from st_keras.types import Batch, Boxes, Classes

NAMES = ("ball", "cup")
BLACK = np.zeros([60, 100, 3], np.uint8)
BOX = (20, 30, 50, 80)  # 30 high, 50 wide.
GREY = (170, 170, 170)


def labels(*boxes, class_ids=None, scores=None, weights=None, is_crowd=None):
    count = len(boxes)
    return Boxes(
        boxes_yxyx=np.array(boxes, np.float32).reshape([count, 4]),
        class_ids=np.array(class_ids or [1] * count, np.int32),
        scores=np.array(scores or [1.0] * count, np.float32),
        weights=np.array([1.0] * count if weights is None else weights, np.float32),
        is_crowd=np.array(is_crowd or [False] * count),
    )


def draw(found, image=BLACK, size=0, **options):
    return draw_labels(image, found, NAMES, smallest_side_px=size, **options)


def colors(pixels):
    return {tuple(color) for color in pixels.reshape([-1, 3]).tolist()}


def test_a_box_is_drawn_on_its_edges_in_the_colour_of_its_class():
    drawn = draw(labels(BOX))
    assert tuple(drawn[35, 30]) == tuple(drawn[50, 60]) == class_color(1)
    assert tuple(drawn[35, 80]) == class_color(1)
    assert colors(drawn[25:48, 35:78]) == {(0, 0, 0)}
    assert colors(drawn[52:]) == {(0, 0, 0)}


def test_padding_is_not_drawn():
    nothing = draw(labels((0, 0, 0, 0), weights=[0]))
    np.testing.assert_array_equal(nothing, BLACK)


def test_a_box_that_does_not_count_is_dashed_grey_and_nameless():
    drawn = draw(labels(BOX, weights=[0]))
    assert colors(drawn) == {(0, 0, 0), GREY}
    assert colors(drawn[20, 30:80]) == {(0, 0, 0), GREY}


def test_a_small_picture_is_enlarged_by_a_whole_factor_with_its_boxes():
    # 60 px must become 100 or more: twice.
    drawn = draw(labels(BOX), size=100)
    assert drawn.shape == (120, 200, 3)
    assert tuple(drawn[70, 60]) == class_color(1)


def test_a_strip_does_not_become_a_giant():
    assert draw(labels(), np.zeros([2, 900, 3], np.uint8), size=320).shape == (
        2,
        900,
        3,
    )


def test_a_large_picture_is_shrunk_with_its_boxes():
    # 100 px become 50: half.
    drawn = draw(labels(BOX), largest_side_px=50)
    assert drawn.shape == (30, 50, 3)
    assert tuple(drawn[20, 15]) == class_color(1)


def test_the_better_of_two_boxes_lies_on_top():
    both = labels(BOX, BOX, class_ids=[0, 1], scores=[0.9, 0.4])
    assert tuple(draw(both)[45, 30]) == class_color(0)


def test_a_box_at_the_border_keeps_its_edges_in_sight():
    drawn = draw(labels((0, 0, 60, 100)))
    assert tuple(drawn[59, 70]) == tuple(drawn[40, 99]) == class_color(1)


def test_a_class_without_a_name_is_drawn_too():
    assert tuple(draw(labels(BOX, class_ids=[7]))[35, 30]) == class_color(7)


def test_marks_are_crosses():
    drawn = draw(labels(), marks_yx=np.array([[40.0, 10.0]]))
    assert colors(drawn[40, 8:13]) == {(255, 255, 255)}
    assert colors(drawn[:35]) == {(0, 0, 0)}


def test_each_image_of_a_batch_gets_its_own_labels():
    found = labels((0, 0, 0, 0), BOX, weights=[0, 1])
    batch = Batch(
        image=np.stack([BLACK, BLACK]), labels=Boxes(*(f[:, None] for f in found))
    )
    first, second = draw_batch(batch, NAMES)
    assert colors(first) == {(0, 0, 0)}
    assert class_color(1) in colors(second)


def test_classes_have_colours_of_their_own():
    assert len({class_color(number) for number in range(90)}) == 90


@pytest.mark.parametrize("titles, title_px", [((), 0), (("a", "b", "c"), 20)])
def test_a_sheet_shows_pictures_of_any_size_row_by_row(titles, title_px):
    pictures = [
        np.full([height, width, 3], value, np.uint8)
        for value, (height, width) in enumerate([(30, 50), (40, 20), (10, 10)])
    ]
    sheet = contact_sheet(pictures, columns=2, titles=titles)
    # Cells of 40 x 50 with a gap of 6 around each.
    assert sheet.shape == (2 * (40 + title_px) + 18, 2 * 50 + 18, 3)
    top = 6 + title_px
    np.testing.assert_array_equal(sheet[top : top + 30, 6:56], pictures[0])
    np.testing.assert_array_equal(sheet[top : top + 40, 62:82], pictures[1])
    below = top + 46 + title_px
    np.testing.assert_array_equal(sheet[below : below + 10, 6:16], pictures[2])


def test_a_title_is_cut_to_the_width_of_its_picture():
    sheet = contact_sheet([BLACK, BLACK], columns=2, titles=["long " * 40, ""])
    assert colors(sheet[:25, 112:]) == {(255, 255, 255)}


def classes(*class_ids, scores, weights=None):
    weights = [1.0] * len(class_ids) if weights is None else weights
    return Classes(np.int32(class_ids), np.float32(scores), np.float32(weights))


def test_classes_of_a_picture_are_written_into_its_corner_the_best_on_top():
    drawn = draw(classes(1, 0, scores=[0.8, 0.2]))
    assert drawn.shape == BLACK.shape
    assert tuple(drawn[1, 1]) == class_color(1)
    rows = [tuple(color) for color in drawn[:, 1]]
    assert class_color(0) in rows[rows.index(class_color(1)) :]
    assert not np.any(drawn[:, 90:])


def test_a_class_that_does_not_count_is_grey():
    drawn = draw(classes(1, scores=[0.3], weights=[0.0]))
    assert tuple(drawn[1, 1]) == GREY
    assert class_color(1) not in colors(drawn)


def test_a_batch_of_classes_is_drawn_picture_by_picture():
    labels = Classes(np.int32([[0], [1]]), np.ones([2, 1]), np.ones([2, 1]))
    drawn = draw_batch(Batch(np.stack([BLACK, BLACK]), labels), NAMES)
    assert tuple(drawn[0, 1, 1]) == class_color(0)
    assert tuple(drawn[1, 1, 1]) == class_color(1)
