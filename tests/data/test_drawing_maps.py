"""How label maps are drawn."""

import numpy as np
import pytest
from PIL import Image

from st_keras.data import drawing
from st_keras.data.class_colors import class_color
from st_keras.data.drawing_maps import tint, with_legend
from st_keras.types import IGNORED, Batch, LabelMap

NAMES = ("background", "road", "car")
BRIGHT = np.full([40, 60, 3], 100, np.uint8)


def label_map(ids):
    ids = np.asarray(ids, np.uint8)
    return LabelMap(ids, np.full_like(ids, 255))


def halves(first, second, shape=(40, 60)):
    ids = np.full(shape, first, np.uint8)
    ids[:, shape[1] // 2 :] = second
    return ids


def legend_below(ids, names=NAMES):
    """Returns what is written below a picture of 20 x 400."""
    picture = Image.new("RGB", (400, 20))
    return np.asarray(with_legend(picture, np.asarray(ids, np.uint8), names))[20:]


def test_pixels_are_half_in_the_colour_of_their_class_and_background_is_plain():
    tinted = np.asarray(tint(Image.fromarray(BRIGHT), halves(0, 2), NAMES))
    assert np.all(tinted[:, :29] == 100)
    half = (100 + np.array(class_color(2))) / 2
    assert np.abs(tinted[:, 30:] - half).max() <= 1
    assert np.all(tinted[:, 29] == 45)  # The line between the two.
    assert np.all(BRIGHT == 100)


def test_what_is_ignored_is_grey_and_hatched_on_any_picture():
    for color, grey in (((0, 0, 0), 35), ((255, 255, 255), 162), ((255, 0, 0), 73)):
        picture = Image.new("RGB", (60, 40), color)
        ignored = np.asarray(tint(picture, halves(1, IGNORED), NAMES))[:, 30:]
        # Luma of the red is 76.
        assert set(np.unique(ignored)) == {grey, grey + 60}
        assert np.ptp(ignored, axis=-1).max() == 0
        assert 0.05 < np.mean(ignored == grey + 60) < 0.2


def test_lines_grow_with_the_picture_so_that_they_are_seen_when_it_is_shrunk():
    large = Image.new("RGB", (1500, 1000), (100, 100, 100))
    tinted = np.asarray(tint(large, halves(0, IGNORED), NAMES))
    # A thousand pixels high, lines are two wide.
    border = np.flatnonzero(tinted[500, :760, 0] == 45)
    assert border.tolist() == [748, 749]
    is_line = tinted[500, 750:, 0] == 145
    assert abs(is_line.mean() - 1 / 9) < 0.01
    assert np.count_nonzero(np.diff(is_line.astype(int)) == 1) == round(750 / 18)


def test_a_map_is_brought_to_the_size_of_the_picture():
    large = Image.fromarray(BRIGHT).resize([120, 80])
    small = np.asarray(tint(large, halves(0, 2), NAMES))
    assert small.shape == (80, 120, 3)
    assert np.all(small[:, :59] == 100) and np.all(small[:, 60:] != 100)


def colors(pixels):
    return {tuple(color) for color in pixels.reshape([-1, 3]).tolist()}


def test_the_legend_names_what_is_there_and_grows_with_it():
    def draw(second, **options):
        found = label_map(halves(1, second))
        return drawing.draw_labels(
            BRIGHT, found, NAMES, smallest_side_px=120, **options
        )

    alone, both, none = draw(1), draw(2), draw(2, legend=False)
    assert none.shape == (120, 180, 3)
    assert alone.shape[1] == both.shape[1] == 180
    # 180 px have room for two entries in a row, not for three.
    ids = halves(1, 2)
    ids[:5] = IGNORED
    three = drawing.draw_labels(BRIGHT, label_map(ids), NAMES, smallest_side_px=120)
    assert both.shape[0] == alone.shape[0] == three.shape[0] - 18
    assert {class_color(1), class_color(2)} <= colors(both[120:])
    assert class_color(2) not in colors(alone[120:])


def test_the_largest_share_comes_first_in_the_legend():
    ids = halves(2, 1)
    for cut, first in ((0.4, 1), (0.6, 2)):
        ids[:] = 1
        ids[:, : round(cut * 60)] = 2
        drawn = drawing.draw_labels(BRIGHT, label_map(ids), NAMES, smallest_side_px=160)
        # A patch is 11 px wide after a margin of 5.
        assert class_color(first) in colors(drawn[160:, :20])
        assert class_color(3 - first) not in colors(drawn[160:, :20])


def test_a_background_that_is_plain_in_the_picture_is_plain_in_the_legend():
    drawn = drawing.draw_labels(BRIGHT, label_map(halves(0, 2)), NAMES)
    assert class_color(2) in colors(drawn[320:])
    assert class_color(0) not in colors(drawn[320:])


def test_the_legend_of_a_large_picture_is_large():
    image = np.zeros([1600, 2000, 3], np.uint8)
    heights = [
        with_legend(Image.fromarray(picture), np.ones([4, 5]).astype(int), NAMES).height
        - len(picture)
        for picture in (image[:400, :500], image)
    ]
    # Letters of 13 px, which are the smallest, and of 1600 / 40 = 40.
    assert heights[0] == 28 and heights[1] == 88


def test_a_name_wider_than_the_picture_is_written_in_full():
    names = ("background", "an unusually long name of a class of pixels")
    image = np.zeros([400, 30, 3], np.uint8)
    pages = [
        with_legend(Image.fromarray(image), np.full([4, 3], class_id), names)
        for class_id in (1, 2)
    ]
    wide, narrow = (np.asarray(page) for page in pages)
    assert narrow.shape[1] < wide.shape[1]
    np.testing.assert_array_equal(wide[:400, :30], image)
    # White at its end: the text has not run out of the page.
    assert (wide[400:, -4:] == 255).all() and (wide[400:, -40:] < 200).any()


@pytest.mark.parametrize("size", [(40, 60), (3, 500), (300, 2)])
def test_pictures_of_any_form_can_be_drawn(size):
    image = np.zeros([*size, 3], np.uint8)
    ids = np.random.default_rng(0).integers(0, 12, size)  # Some have no name.
    drawn = drawing.draw_labels(image, label_map(ids), NAMES)
    assert drawn.dtype == np.uint8 and drawn.shape[2] == 3


def test_a_batch_is_drawn_without_legends_and_so_at_one_size():
    ids = np.stack([halves(0, 1), halves(2, IGNORED)])
    batch = Batch(np.stack([BRIGHT] * 2), label_map(ids))
    drawn = drawing.draw_batch(batch, NAMES)
    assert drawn.shape == (2, 320, 480, 3)
    assert (drawn[0] != drawn[1]).any()


def test_what_is_less_than_a_percent_is_said_so_and_never_rounded():
    def page(count):
        # Of a thousand pixels. The others are 60% and 39%, as rounded, either way.
        return legend_below(np.repeat([1, 0, 2], [602, 398 - count, count])[None])

    np.testing.assert_array_equal(page(4), page(7))
    assert (page(4) != page(0)).any()


def test_pixels_without_a_class_are_called_ignored_in_the_legend_below():
    ignored = legend_below(np.full([2, 3], IGNORED))
    named = legend_below(np.ones([2, 3]), ("background", "ignored"))
    # A patch is 11 px wide after a margin of 5; the text is the same.
    np.testing.assert_array_equal(ignored[:, 17:], named[:, 17:])
    assert (ignored[:, :17] != named[:, :17]).any()


def test_marks_are_crosses_over_a_label_map_too():
    ids = np.ones([60, 100], np.uint8)
    drawn = drawing.draw_labels(
        np.zeros([60, 100, 3], np.uint8),
        LabelMap(ids, ids),
        NAMES,
        smallest_side_px=120,
        marks_yx=np.array([[40.0, 10.0]]),
    )
    # Enlarged twice.
    assert (drawn[80, 18:23] == 255).all()
    assert not (drawn[:70] == 255).all(-1).any()
