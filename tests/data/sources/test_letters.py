"""What the pictures of letters promise."""

import io

import numpy as np
import pytest
from PIL import Image

from st_keras.data.sources import letters
from st_keras.data.sources.letters import LetterSource


@pytest.fixture(scope="module")
def source():
    return LetterSource()


def pixels(scene):
    return np.asarray(Image.open(io.BytesIO(scene.picture)))


def bright(scene):
    """Returns where the letter is; the ground is under 108 of 255, and its grain."""
    return pixels(scene).max(axis=-1) > 140


def test_every_letter_has_as_many_pictures(source):
    assert source.image_class_names == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    train, val = source.items("train"), source.items("val")
    assert (len(train), len(val)) == (26 * 200, 26 * 20)
    assert [train[i].read().image_class for i in (0, 25, 26, 53)] == [1, 26, 1, 2]
    assert val[27].image_id == "val_000027"


def test_no_font_is_in_both_splits():
    assert not set(letters._FONTS["train"]) & set(letters._FONTS["val"])


def test_a_letter_is_16_to_28_pixels_high_and_inside(source):
    heights, widths = [], []
    for item in source.items("train")[:104]:
        rows, columns = np.nonzero(bright(item.read()))
        heights.append(np.ptp(rows) + 1)
        widths.append(np.ptp(columns) + 1)
    # A row of faint ink more or less; what is wide, as a W, is lower.
    assert 11 <= min(heights) < 18
    assert 25 < max(heights) <= 28
    assert max(widths) <= 32


def test_the_drawing_is_of_its_letter(source):
    """An I is a stroke, an O a ring, and a T has its bar above."""
    by_letter = {}
    for item in source.items("train")[:260]:
        scene = item.read()
        rows, columns = np.nonzero(bright(scene))
        cut = bright(scene)[rows.min() : rows.max() + 1]
        cut = cut[:, columns.min() : columns.max() + 1]
        name = source.image_class_names[scene.image_class - 1]
        by_letter.setdefault(name, []).append(cut)
    widths = {
        name: np.median([cut.shape[1] / cut.shape[0] for cut in cuts])
        for name, cuts in by_letter.items()
    }
    assert widths["I"] == min(widths.values())
    for cut in by_letter["O"]:
        middle = np.add(cut.shape, -1) // 2
        assert not cut[tuple(middle)]
    halves = [np.array_split(cut, 2) for cut in by_letter["T"]]
    assert all(top.sum() > bottom.sum() for top, bottom in halves)


def test_the_same_seed_gives_the_same_and_another_others(source):
    item, other = 7, LetterSource(seed=1)
    first = pixels(source.items("train")[item].read())
    again = pixels(LetterSource().items("train")[item].read())
    np.testing.assert_array_equal(first, again)
    assert (first != pixels(other.items("train")[item].read())).any()
    assert (first != pixels(source.items("val")[item].read())).any()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"image_size_px": 15}, "`image_size_px` must be 16 or more, got 15"),
        ({"seed": -1}, "`seed` must be 0 or more, got -1"),
    ],
)
def test_a_number_that_is_too_small_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        LetterSource(**options)
