"""Which pixels are those of cells, by pencil."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.ops import logit_maps


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


@pytest.mark.parametrize("size_cells", [(2, 5), (3, 3), (16, 24)])
def test_cells_that_are_no_whole_part_of_the_pixels_are_refused(size_cells):
    with pytest.raises(ValueError, match=r"whole multiple of .* got \(8, 12\) pixels"):
        logit_maps.sample(tf.zeros([1, 8, 12], tf.uint8), size_cells)


@pytest.mark.parametrize("legacy", [False, True])
def test_it_compiles_with_xla_to_the_same(legacy):
    pixels = tf.reshape(tf.range(2 * 6 * 15), [2, 6, 15])

    def sample(pixels):
        return logit_maps.sample(pixels, (2, 3), legacy=legacy)

    compiled = tf.function(sample, jit_compile=True)
    np.testing.assert_array_equal(sample(pixels), compiled(pixels))
