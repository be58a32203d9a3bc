"""What the colours and the blur of SimCLR's views promise."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data.augment import simclr

PICTURE = np.random.default_rng(2).integers(30, 220, [40, 50, 3]).astype(np.uint8)


def distorted(number, picture=PICTURE, strength=1.0, blur=True):
    return simclr.distort(
        tf.constant(picture),
        tf.constant([1, number]),
        color_strength=strength,
        blur=blur,
    ).numpy()


def test_a_seed_draws_the_same_again():
    assert np.array_equal(distorted(1), distorted(1))
    assert not np.array_equal(distorted(1), distorted(2))


def test_without_colours_and_blur_nothing_changes():
    for number in range(4):
        assert np.array_equal(distorted(number, strength=0.0, blur=False), PICTURE)


def test_colours_change_in_eight_of_ten_and_vanish_in_two_of_ten():
    views = [distorted(number, blur=False) for number in range(100)]
    spread = [np.ptp(view.astype(int), axis=-1).max() for view in views]
    is_grey = np.array(spread) <= 1
    assert 0.1 < is_grey.mean() < 0.32
    is_same = [np.array_equal(view, PICTURE) for view in views]
    # Neither changed nor grey: 0.2 * 0.8.
    assert 0.08 < np.mean(is_same) < 0.26


def test_a_weaker_jitter_stays_nearer():
    def distance(strength):
        views = [distorted(n, strength=strength, blur=False) for n in range(30)]
        colored = [v for v in views if np.ptp(v.astype(int), axis=-1).max() > 1]
        return np.mean([np.abs(view.astype(int) - PICTURE).mean() for view in colored])

    assert 0 < distance(0.2) < 0.6 * distance(1.0)


def test_half_of_the_views_are_blurred():
    views = [distorted(number, strength=0.0) for number in range(60)]
    is_blurred = [not np.array_equal(view, PICTURE) for view in views]
    # A sigma close to 0 changes nothing.
    assert 0.3 < np.mean(is_blurred) < 0.65


def test_a_blur_keeps_the_mean_and_spreads_a_point():
    point = np.full([40, 50, 3], 100, np.uint8)
    point[20, 30] = 220
    blurred = simclr.gaussian_blur(tf.constant(point), tf.constant(1.0)).numpy()
    # 40 // 10 pixels: two to each side; weights exp(-d^2 / 2), normalised.
    weights = np.exp(-0.5 * np.arange(-2, 3) ** 2)
    weights /= weights.sum()
    expected = 100 + 120 * np.outer(weights, weights)
    assert blurred[18:23, 28:33, 1] == pytest.approx(expected, abs=0.51)
    assert np.all(blurred[:17] == 100) and np.all(blurred[:, 34:] == 100)


def test_a_blur_does_not_darken_the_border():
    white = np.full([40, 50, 3], 255, np.uint8)
    blurred = simclr.gaussian_blur(tf.constant(white), tf.constant(2.0))
    assert np.all(blurred.numpy() == 255)
