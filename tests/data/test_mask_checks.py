"""What the checks of label maps promise."""

import io

import numpy as np
import pytest
from PIL import Image

from st_keras.data import images, mask_checks
from st_keras.data.images import Picture
from st_keras.data.skipping import Reason, SkipPicture


def picture(size_px, upright_size_px):
    return Picture(b"", "png", *size_px, upright_size_px, orientation=1)


def check(label_map, num_classes=3, size_px=None):
    label_map = np.array(label_map)
    of = picture(size_px or label_map.shape, label_map.shape)
    return mask_checks.check_label_map(label_map, of, num_classes)


def test_a_good_map_stays_as_it_is_in_8_bits():
    checked = check([[0, 1, 255], [2, 1, 0]])
    assert checked.label_map.tolist() == [[0, 1, 255], [2, 1, 0]]
    assert checked.label_map.dtype == np.uint8
    assert checked.labeled_pixels == 5


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_map_turns_as_the_picture_under_it(orientation):
    stored = np.arange(8, dtype=np.uint8).reshape([2, 4])
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "PNG", exif=exif)
    shown = Image.open(io.BytesIO(images.read_picture(buffer.getvalue()).encoded))
    turned = mask_checks.turn_upright(stored, orientation)
    assert turned.tolist() == np.asarray(shown).tolist()


def test_a_shrunk_map_has_the_class_of_the_nearest_pixel():
    # Two columns of six: their centres, 1.5 and 4.5, lie in columns 1 and 4. One row of
    # two: its centre lies on the edge, and the lower one counts.
    rows = [[9, 9, 9, 9, 9, 9], [0, 1, 2, 3, 4, 5]]
    assert check(rows, 10, size_px=(1, 2)).label_map.tolist() == [[1, 4]]


def test_labelled_pixels_are_counted_in_the_stored_map():
    rows = [[0, 255, 0, 0, 255, 0]] * 2
    assert check(rows, size_px=(1, 2)).labeled_pixels == 0


def test_another_size_names_both():
    with pytest.raises(
        SkipPicture, match=r"2 x 3 pixels .*, the upright picture 3 x 2"
    ):
        mask_checks.check_label_map(np.zeros([2, 3]), picture((3, 2), (3, 2)), 1)


def test_values_outside_the_classes_are_told_the_most_frequent_first():
    values = [[3, 4, 4, 5, 5, 5], [254, 7, 7, 7, 7, 7], [8, 8, 8, 8, 0, -1]]
    with pytest.raises(SkipPicture) as skip:
        check(values)
    assert skip.value.reason is Reason.UNKNOWN_LABEL_VALUE
    assert skip.value.detail == (
        "value 7 in 5 pixels, value 8 in 4 pixels, value 5 in 3 pixels, value 4 in 2 "
        "pixels, value -1 in 1 pixels and 2 more values"
    )


def test_values_become_class_ids():
    values = np.array([[7, 70_000], [0, 7]])
    ids = mask_checks.relabel(values, {70_000: 1, 7: 0, 0: 255})
    assert ids.tolist() == [[0, 1], [255, 0]]


def test_numbers_that_no_pixel_can_have_do_not_matter():
    ids = mask_checks.relabel(np.array([[7, -1]]), {2**63: 2, 7: 1, -1: 0, -(2**70): 3})
    assert ids.tolist() == [[1, 0]]


def test_255_is_a_value_like_others_when_values_are_given():
    with pytest.raises(SkipPicture, match="<255> in 1 pixels"):
        mask_checks.relabel(np.array([[7, 255]]), {7: 0}, told=lambda v: f"<{v}>")
