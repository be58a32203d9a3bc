"""How label maps are drawn."""

import numpy as np
import pytest
from PIL import Image

from st_keras.data import drawing
from st_keras.data.class_colors import class_color
from st_keras.data.drawing_maps import tint
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


def test_pixels_are_half_in_the_colour_of_their_class_and_background_is_plain():
    tinted = np.asarray(tint(Image.fromarray(BRIGHT), halves(0, 2), NAMES))
    assert np.all(tinted[:, :29] == 100)
    half = (100 + np.array(class_color(2))) / 2
    assert np.abs(tinted[:, 30:] - half).max() <= 1
    assert np.all(tinted[:, 29] == 35)  # The line between the two.
    assert np.all(BRIGHT == 100)


def test_what_is_ignored_is_dark_and_hatched():
    tinted = np.asarray(tint(Image.fromarray(BRIGHT), halves(1, IGNORED), NAMES))
    ignored = tinted[:, 30:]
    assert set(np.unique(ignored)) == {50, 140}
    assert 0.05 < np.mean(ignored == 140) < 0.2


def test_a_map_is_brought_to_the_size_of_the_picture():
    large = Image.fromarray(BRIGHT).resize([120, 80])
    small = np.asarray(tint(large, halves(0, 2), NAMES))
    assert small.shape == (80, 120, 3)
    assert np.all(small[:, :59] == 100) and np.all(small[:, 60:] != 100)


def test_the_legend_names_what_is_there_and_grows_with_it():
    draw = {"smallest_side_px": 40}
    alone = drawing.draw_labels(BRIGHT, label_map(halves(1, 1)), NAMES, **draw)
    both = drawing.draw_labels(BRIGHT, label_map(halves(1, 2)), NAMES, **draw)
    none = drawing.draw_labels(
        BRIGHT, label_map(halves(1, 2)), NAMES, legend=False, **draw
    )
    assert none.shape == BRIGHT.shape
    assert alone.shape[1] == both.shape[1] == 60
    # 60 px have room for one entry in a row.
    assert both.shape[0] == alone.shape[0] + 18 > 58
    colors = {tuple(pixel) for pixel in both[40:].reshape(-1, 3)}
    assert class_color(1) in colors and class_color(2) in colors
    assert class_color(2) not in {tuple(p) for p in alone[40:].reshape(-1, 3)}


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
