"""What a magnitude makes of each operation; the table, by pencil."""

import math

import pytest

from st_keras.data.augment import operations
from st_keras.data.augment.operations import Menu, Step

MAGNITUDES = (0, 2, 5, 10)
# The published lengths: 250 px of translation, 120 in a box, cuts of 100 and of 50.
LENGTHS = Menu()
TABLE = {
    "AutoContrast": (0, 0, 0, 0),
    "Equalize": (0, 0, 0, 0),
    "Equalize_Only_BBoxes": (0, 0, 0, 0),
    "Invert": (0, 0, 0, 0),
    "Flip_Only_BBoxes": (0, 0, 0, 0),
    "Nothing": (0, 0, 0, 0),
    # int(0.4 m) is 0, 0, 2, 4 bits; one bit at least.
    "Posterize": (1, 1, 2, 4),
    # int(25.6 m).
    "Solarize": (0, 51, 128, 256),
    "Solarize_Only_BBoxes": (0, 51, 128, 256),
    "SolarizeAdd": (0, 22, 55, 110),
    # 0.18 m + 0.1: magnitude 5 changes nothing.
    "Color": (0.1, 0.46, 1.0, 1.9),
    "Contrast": (0.1, 0.46, 1.0, 1.9),
    "Brightness": (0.1, 0.46, 1.0, 1.9),
    "Sharpness": (0.1, 0.46, 1.0, 1.9),
    "Cutout": (0, 20, 50, 100),
    "Cutout_Only_BBoxes": (0, 10, 25, 50),
    "BBox_Cutout": (0, 0.15, 0.375, 0.75),
    # 3 m degrees.
    "Rotate": (0, 6, 15, 30),
    "Rotate_BBox": (0, 6, 15, 30),
    "Rotate_Only_BBoxes": (0, 6, 15, 30),
    "ShearX": (0, 0.06, 0.15, 0.3),
    "ShearX_BBox": (0, 0.06, 0.15, 0.3),
    "ShearX_Only_BBoxes": (0, 0.06, 0.15, 0.3),
    "ShearY": (0, 0.06, 0.15, 0.3),
    "ShearY_BBox": (0, 0.06, 0.15, 0.3),
    "ShearY_Only_BBoxes": (0, 0.06, 0.15, 0.3),
    "TranslateX": (0, 50, 125, 250),
    "TranslateX_BBox": (0, 50, 125, 250),
    "TranslateX_Only_BBoxes": (0, 24, 60, 120),
    "TranslateY": (0, 50, 125, 250),
    "TranslateY_BBox": (0, 50, 125, 250),
    "TranslateY_Only_BBoxes": (0, 24, 60, 120),
}


def argument(name, magnitude, menu=LENGTHS, authors_quirks=False):
    step = Step(name, 1.0, magnitude)
    return operations.argument(step, menu, authors_quirks=authors_quirks)


def test_the_table_is_complete():
    assert {operations.plain_name(name) for name in TABLE} == set(operations.NAMES)
    assert len(operations.NAMES) == len(set(operations.NAMES))


@pytest.mark.parametrize("name", TABLE)
def test_a_magnitude_is_this_argument(name):
    found = [argument(name, magnitude) for magnitude in MAGNITUDES]
    assert all(isinstance(value, float) for value in found)
    assert found == pytest.approx(TABLE[name], abs=1e-9)


@pytest.mark.parametrize("name", TABLE)
def test_the_authors_differ_in_solarize_at_10_alone(name):
    theirs = [argument(name, m, authors_quirks=True) for m in MAGNITUDES]
    expected = list(TABLE[name])
    if name.startswith("Solarize") and name != "SolarizeAdd":
        expected[-1] = 0  # 256 in a byte: every level is inverted.
    assert theirs == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("authors_quirks", [False, True])
@pytest.mark.parametrize("magnitude", [0, 0.5, 1, 2, 2.4])
def test_posterize_keeps_a_bit(magnitude, authors_quirks):
    # 0.4 * 2.4 = 0.96 bits.
    assert argument("Posterize", magnitude, authors_quirks=authors_quirks) == 1.0


def test_rand_augment_has_other_lengths():
    menu = Menu(translate_px=100.0, cutout_px=40.0)
    assert argument("TranslateX", 10, menu) == 100.0
    assert argument("TranslateY_BBox", 5, menu) == 50.0
    assert argument("Cutout", 10, menu) == 40.0
    assert argument("Cutout", 3, menu) == 12.0
    # Boxes keep theirs.
    assert argument("TranslateX_Only_BBoxes", 10, menu) == 120.0
    assert argument("Cutout_Only_BBoxes", 10, menu) == 50.0
    small = Menu(translate_in_box_px=60.0, cutout_in_box_px=30.0)
    assert argument("TranslateX_Only_BBoxes", 10, small) == 60.0
    assert argument("Cutout_Only_BBoxes", 5, small) == 15.0


@pytest.mark.parametrize("magnitude", [-0.1, 10.1, math.nan])
@pytest.mark.parametrize("name", ["Equalize", "Rotate_BBox"])
def test_a_magnitude_out_of_range_is_refused(name, magnitude):
    with pytest.raises(ValueError, match=rf"`magnitude`.*0 to 10; got {magnitude}"):
        argument(name, magnitude)


@pytest.mark.parametrize("name", ["Mixup", "rotate", "Rotate_Box", "", "Color_BBox2"])
def test_an_unknown_operation_is_refused_with_those_there_are(name):
    with pytest.raises(
        ValueError, match=rf"`operation` must be one of Rotate, .*; got '{name}'"
    ):
        operations.plain_name(name)
    with pytest.raises(ValueError, match="`operation`"):
        argument(name, 5)


@pytest.mark.parametrize(
    "published, name",
    [
        ("Rotate_BBox", "Rotate"),
        ("TranslateY", "TranslateY"),
        ("TranslateY_Only_BBoxes", "TranslateY_Only_BBoxes"),
        ("BBox_Cutout", "BBox_Cutout"),
    ],
)
def test_every_move_takes_its_boxes_along(published, name):
    assert operations.plain_name(published) == name


def test_a_menu_counts_what_one_picture_can_get():
    one, two = Step("Invert", 0.3, 2), Step("Rotate_BBox", 1.0, 7)
    assert Menu().slots == 0 and Menu().operations == frozenset()
    menu = Menu(rows=((one,), (two, one, two), (one, two)), draws=2)
    assert menu.slots == 6
    assert menu.operations == {"Invert", "Rotate"}
