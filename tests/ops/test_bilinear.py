"""Bilinear resizing by pencil, and next to that of TensorFlow 2 and 1."""

import re

import numpy as np
import pytest
import tensorflow as tf

from st_keras.ops import bilinear

ROW = tf.constant([[[[0.0], [8.0], [4.0]]]])  # [1, 1, 3, 1]
SIZES = [(3, 5), (6, 10), (9, 5), (96, 160), (7, 11), (2, 3)]


def test_a_cell_lies_on_its_middle():
    # Four pixels per cell: middles at 2, 6, 10; pixels at 0.5, 1.5, ... 11.5.
    found = bilinear.resize(ROW, (1, 12))[0, 0, :, 0]
    expected = [0, 0, 1, 3, 5, 7, 7.5, 6.5, 5.5, 4.5, 4, 4]
    np.testing.assert_allclose(found, expected)


def test_a_legacy_cell_lies_on_its_first_pixel():
    found = bilinear.resize(ROW, (1, 12), legacy=True)[0, 0, :, 0]
    np.testing.assert_allclose(found, [0, 2, 4, 6, 8, 7, 6, 5, 4, 4, 4, 4])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("legacy", [False, True])
def test_it_is_that_of_tensorflow(size, legacy):
    maps = tf.random.stateless_normal([2, 3, 5, 4], (1, 2))
    theirs = tf.compat.v1.image.resize_bilinear if legacy else tf.image.resize
    found = bilinear.resize(maps, size, legacy=legacy)
    np.testing.assert_allclose(found, theirs(maps, size), rtol=1e-5, atol=1e-5)


def test_whole_numbers_of_half_precision_stay_what_they_are():
    # bfloat16 has 8 bits: from 256 on, it counts in twos.
    row = tf.constant([[[[256.0], [258.0]]]], tf.bfloat16)
    found = bilinear.resize(row, (1, 4), legacy=True)
    assert found.dtype == tf.float32
    assert found.numpy().ravel().tolist() == [256, 257, 258, 258]


@pytest.mark.parametrize("legacy", [False, True])
def test_it_and_its_gradient_compile_with_xla_for_any_number_of_maps(legacy):
    maps = tf.random.stateless_normal([2, 3, 5, 4], (1, 2))
    weights = tf.random.stateless_normal([2, 24, 40, 4], (3, 4))

    def both(maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            large = bilinear.resize(maps, (24, 40), legacy=legacy)
            loss = tf.reduce_sum(large * weights)
        return large, tape.gradient(loss, maps)

    of_any = tf.function(both, input_signature=[tf.TensorSpec([None, 3, 5, 4])])
    compiled = tf.function(both, jit_compile=True)
    for found, other, expected in zip(
        compiled(maps), of_any(maps), both(maps), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(other, expected, rtol=1e-4, atol=1e-4)


def test_what_xla_makes_of_it_is_no_larger_than_its_result():
    """TensorFlow's own has a map of nine corners for every pixel of the result."""

    def largest(resize):
        maps = tf.TensorSpec([2, 16, 24, 5])
        step = tf.function(resize, input_signature=[maps], jit_compile=True)
        text = step.experimental_get_compiler_ir(maps)(stage="hlo")
        shapes = re.findall(r"= f32\[([\d,]+)\]", text)
        return max(np.prod([int(side) for side in s.split(",")]) for s in shapes)

    result = 2 * 64 * 96 * 5
    assert largest(lambda maps: bilinear.resize(maps, (64, 96))) == result
    assert largest(lambda maps: tf.image.resize(maps, (64, 96))) > 5 * result
