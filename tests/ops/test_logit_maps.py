"""Where cells of logits and pixels meet, by pencil."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.ops import logit_maps

ROW = tf.constant([[[[0.0], [8.0], [4.0]]]])  # [1, 1, 3, 1]


def test_a_cell_lies_on_its_middle():
    # Four pixels per cell: middles at 2, 6, 10; pixels at 0.5, 1.5, ... 11.5.
    found = logit_maps.enlarge(ROW, (1, 12))[0, 0, :, 0]
    expected = [0, 0, 1, 3, 5, 7, 7.5, 6.5, 5.5, 4.5, 4, 4]
    np.testing.assert_allclose(found, expected)


def test_a_legacy_cell_lies_on_its_first_pixel():
    found = logit_maps.enlarge(ROW, (1, 12), legacy=True)[0, 0, :, 0]
    np.testing.assert_allclose(found, [0, 2, 4, 6, 8, 7, 6, 5, 4, 4, 4, 4])


def test_labels_of_cells_are_labels_of_pixels():
    pixels = tf.reshape(tf.range(8 * 12), [1, 8, 12])
    middle = logit_maps.sample(pixels, (2, 3))
    # Rows 2 and 6, columns 2, 6 and 10.
    assert middle[0].numpy().tolist() == [[26, 30, 34], [74, 78, 82]]
    first = logit_maps.sample(pixels, (2, 3), legacy=True)
    assert first[0].numpy().tolist() == [[0, 4, 8], [48, 52, 56]]


def test_the_nearest_pixel_is_that_of_tensorflow():
    pixels = tf.random.uniform([2, 24, 40, 1], maxval=250, dtype=tf.int32, seed=1)
    theirs = tf.image.resize(pixels, (6, 10), method="nearest")[..., 0]
    ours = logit_maps.sample(pixels[..., 0], (6, 10))
    np.testing.assert_array_equal(ours, theirs)


def test_logits_of_half_precision_become_whole():
    assert logit_maps.enlarge(tf.cast(ROW, tf.bfloat16), (2, 6)).dtype == tf.float32


@pytest.mark.parametrize("size_cells", [(2, 5), (3, 3), (16, 24)])
def test_cells_that_are_no_whole_part_of_the_pixels_are_refused(size_cells):
    with pytest.raises(ValueError, match=r"whole multiple of .* got \(8, 12\) pixels"):
        logit_maps.sample(tf.zeros([1, 8, 12], tf.uint8), size_cells)


@pytest.mark.parametrize("legacy", [False, True])
def test_both_directions_compile_with_xla_to_the_same(legacy):
    logits = tf.random.stateless_normal([2, 3, 5, 4], (1, 2))
    pixels = tf.reshape(tf.range(2 * 6 * 15), [2, 6, 15])

    def both(logits, pixels):
        return (
            logit_maps.enlarge(logits, (12, 10), legacy=legacy),
            logit_maps.sample(pixels, (2, 3), legacy=legacy),
        )

    compiled = tf.function(both, jit_compile=True)(logits, pixels)
    for one, other in zip(both(logits, pixels), compiled, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
