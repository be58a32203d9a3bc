"""What shrinking before a resize promises."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from st_keras.data import decode
from st_keras.data.augment import shrinking

PIXELS = np.random.default_rng(0).integers(0, 256, [21, 34, 3]).astype(np.uint8)


@pytest.mark.parametrize(
    "scale, factor",
    [
        (2.0, 1),
        (1.0, 1),
        (0.51, 1),
        (0.5, 2),
        (0.26, 2),
        (0.25, 4),
        (0.1, 8),
        (0.01, 8),
    ],
)
def test_a_picture_stays_as_large_as_it_is_shown(scale, factor):
    index = shrinking.halvings(tf.constant(scale))
    assert shrinking.FACTORS[int(index)] == factor
    assert float(shrinking.factor(index)) == factor


@pytest.mark.parametrize("index, factor", [(1, 2), (2, 4), (3, 8)])
def test_a_pixel_is_the_mean_of_those_it_stands_for(index, factor):
    found = shrinking.shrink(tf.constant(PIXELS), tf.constant(index)).numpy()
    rows, columns = -(-21 // factor), -(-34 // factor)
    assert found.shape == (rows, columns, 3)
    for row in range(rows):
        for column in range(columns):
            # The last ones stand for what is left of the picture.
            part = PIXELS[
                row * factor : (row + 1) * factor,
                column * factor : (column + 1) * factor,
            ]
            np.testing.assert_allclose(
                found[row, column], part.mean(axis=(0, 1)), atol=0.51
            )


def test_no_shrinking_changes_nothing():
    found = shrinking.shrink(tf.constant(PIXELS), tf.constant(0))
    np.testing.assert_array_equal(found, PIXELS)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (300, 3)])
def test_thin_pictures_keep_a_pixel(size):
    image = np.full([*size, 3], 77, np.uint8)
    found = shrinking.shrink(tf.constant(image), tf.constant(3)).numpy()
    assert found.shape == (-(-size[0] // 8), -(-size[1] // 8), 3)
    assert np.all(found == 77)


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_is_decoded_to_about_the_means_of_its_pixels(index, mode):
    smooth = Image.fromarray(PIXELS).resize((163, 122), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    smooth.convert(mode).save(file, "jpeg", quality=95, subsampling=0)
    encoded = tf.constant(file.getvalue())
    found = decode.decode_shrunk_image(encoded, tf.constant(index)).numpy()
    means = shrinking.shrink(decode.decode_image(encoded), tf.constant(index)).numpy()
    assert found.shape == means.shape
    error = np.abs(found.astype(int) - means)
    # Low frequencies are nearly means; the last row and column stand for a rest.
    assert error[:-1, :-1].mean() < 2.5 and np.percentile(error[:-1, :-1], 99) < 10


def test_a_png_is_shrunk_by_its_pixels():
    encoded = tf.io.encode_png(PIXELS)
    found = decode.decode_shrunk_image(encoded, tf.constant(1))
    expected = shrinking.shrink(tf.constant(PIXELS), tf.constant(1))
    np.testing.assert_array_equal(found, expected)
