"""What views promise: all of a picture, at the places they state."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data import views

VIEW = (32, 48)
SCALES = (0.5, 1.0, 1.75)


def ramp(height, width):
    """Green is 3 y and blue 2 x, so that a pixel tells where it is."""
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    return np.stack([np.zeros_like(y), 3 * y, 2 * x], -1).astype(np.uint8)


def tiled(picture, scales=SCALES, flip=False, overlap=0.25):
    found = views.tiled(
        tf.constant(picture), VIEW, scales=scales, flip=flip, overlap=overlap
    )
    return tf.nest.map_structure(lambda field: field.numpy(), found)


def one(found, number):
    return tf.nest.map_structure(lambda field: field[number], found)


def assert_places_are_right(view, picture):
    """Each pixel of a view shows the point of the picture that the view says."""
    height, width = picture.shape[:2]
    y, x = np.meshgrid(*(np.arange(side) + 0.5 for side in VIEW), indexing="ij")
    if view.is_mirrored:
        x = VIEW[1] - x
    y = (y + view.offset_yx[0]) / view.scale_yx[0] - 0.5
    x = (x + view.offset_yx[1]) / view.scale_yx[1] - 0.5
    inside = (y > 1) & (x > 1) & (y < height - 2) & (x < width - 2)
    assert inside.any()
    expected = np.stack([np.zeros_like(y), 3 * y, 2 * x], -1)
    error = np.abs(view.image.astype(float) - expected)[inside]
    assert error.max() <= 1.6  # Halves of rows are averaged where it is shrunk.
    outside = (y > height) | (x > width)
    assert np.all(view.image[outside] == 128)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", [(60, 100), (84, 50), (20, 20)])
def test_every_pixel_of_a_view_is_where_the_view_says(size, flip):
    picture = ramp(*size)
    found = tiled(picture, flip=flip)
    assert found.image.shape[1:] == (*VIEW, 3)
    for number in range(len(found.image)):
        view = one(found, number)
        assert view.picture_size_px.tolist() == list(size)
        assert_places_are_right(view, picture)


@pytest.mark.parametrize("size", [(60, 100), (84, 50), (500, 8)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
def test_tiles_cover_the_picture_and_overlap(size, overlap):
    found = tiled(ramp(*size), scales=(1.75,), overlap=overlap)
    scale_yx = found.scale_yx[0]
    for axis in (0, 1):
        starts = np.unique(found.offset_yx[:, axis])
        end = size[axis] * scale_yx[axis]
        assert starts[0] == 0.0
        assert starts[-1] + VIEW[axis] >= end - 1e-3
        gaps = np.diff(starts)
        assert np.all(gaps <= VIEW[axis] * (1 - overlap) + 1.0)
        if len(starts) > 1:  # No tile reaches beyond, so none is needless.
            assert starts[-1] + VIEW[axis] < end + 1.0


def test_there_are_as_few_tiles_as_the_overlap_allows():
    """100 x 150 px fit 32 x 48 at 0.32. At 1.75 of that: 56 x 84 px.

    Steps of 24 and 36: 1 + ceil(24 / 24) = 2 and 1 + ceil(36 / 36) = 2.
    """
    found = tiled(ramp(85, 127)[:, :, :], scales=(1.75,))
    assert len(found.image) == 4
    assert len(tiled(ramp(85, 127), scales=(0.5, 1.0, 1.75), flip=True).image) == 12


def test_mirrored_views_come_after_the_others_and_are_their_mirror_images():
    found = tiled(ramp(60, 100), flip=True)
    half = len(found.image) // 2
    assert found.is_mirrored.tolist() == [False] * half + [True] * half
    np.testing.assert_array_equal(found.image[half:], found.image[:half, :, ::-1])
    np.testing.assert_array_equal(found.offset_yx[half:], found.offset_yx[:half])


def test_at_scale_1_it_is_the_view_of_the_whole_picture():
    picture = np.random.default_rng(0).integers(0, 256, [61, 100, 3]).astype(np.uint8)
    alone = views.whole(tf.constant(picture), VIEW)
    found = one(tiled(picture, scales=(1.0,)), 0)
    np.testing.assert_array_equal(found.image, alone.image)
    np.testing.assert_allclose(found.scale_yx, alone.scale_yx, rtol=1e-6)
    assert not alone.is_mirrored and alone.offset_yx.numpy().tolist() == [0, 0]


@pytest.mark.parametrize(
    ("size", "factor"), [((60, 100), 1), ((100, 60), 1), ((300, 500), 8)]
)
@pytest.mark.parametrize("share", [0.875, 1.0])
def test_the_middle_fills_the_view_and_is_where_the_view_says(size, factor, share):
    height, width = size
    y, x = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    # A pixel tells where it is, whatever the size: by shares of 240.
    picture = np.stack([0 * y, 240 * y / height, 240 * x / width], -1).astype(np.uint8)
    view = views.middle(tf.constant(picture), VIEW, share)
    view = tf.nest.map_structure(lambda field: field.numpy(), view)
    assert view.picture_size_px.tolist() == list(size)
    # The largest 2 : 3 window, times the share, in the middle, to a pixel of the
    # shrunken picture, whose last one may stand for less.
    largest = min(height / 2, width / 3)
    window = share * largest * np.array([2.0, 3.0])
    assert np.array(VIEW) / view.scale_yx == pytest.approx(window, abs=1.5 * factor)
    start = view.offset_yx / view.scale_yx
    assert start == pytest.approx((np.array(size) - window) / 2, abs=1.5 * factor)
    # The pixel in row 20, column 30 of the view.
    place = (np.array([20.5, 30.5]) + view.offset_yx) / view.scale_yx - 0.5
    expected = 240 * place / np.array(size)
    assert view.image[20, 30, 1:] == pytest.approx(expected, abs=2.5)
