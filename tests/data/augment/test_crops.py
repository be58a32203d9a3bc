"""What random parts of a picture promise."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data.augment import crops, geometry
from st_keras.data.augment.augmentation import Augmentation
from st_keras.data.augment.crops import Crop

TARGET = (32, 48)
CROP = Crop()


def sampled(size, number, crop=CROP, flip_probability=0.5):
    """The part of the picture that is seen (y0, x0, y1, x1), and if it is mirrored."""
    matrix = crops.crop_map(
        tf.constant(size),
        TARGET,
        tf.constant([7, number]),
        crop,
        flip_probability=flip_probability,
    )
    corners = tf.constant([[0.0, 0.0], [float(side) for side in TARGET]])
    (y0, xa), (y1, xb) = geometry.apply(geometry.inverse(matrix), corners).numpy()
    return np.array([y0, min(xa, xb), y1, max(xa, xb)]), xa > xb


@pytest.mark.parametrize("size", [(60, 100), (100, 60), (70, 70)])
def test_parts_lie_in_the_picture_and_keep_their_bounds(size):
    crop = Crop(area_min=0.2, area_max=0.6, aspect_min=0.8, aspect_max=1.6)
    parts = np.array([sampled(size, number, crop)[0] for number in range(60)])
    assert parts.min() >= -1e-3
    assert np.all(parts[:, 2:] <= np.array(size) + 1e-3)
    heights, widths = (parts[:, 2:] - parts[:, :2]).T
    areas, aspects = heights * widths / np.prod(size), widths / heights
    assert 0.199 < areas.min() < 0.25 and 0.5 < areas.max() < 0.601
    assert 0.799 < aspects.min() < 0.9 and 1.4 < aspects.max() < 1.601
    # Each end of the picture is reached, or nearly.
    assert parts[:, :2].min(axis=0) == pytest.approx([0, 0], abs=4)
    assert parts[:, 2:].max(axis=0) == pytest.approx(size, abs=4)


def test_areas_are_spread_evenly():
    areas = []
    for number in range(300):
        y0, x0, y1, x1 = sampled((90, 90), number, Crop(area_max=0.5))[0]
        areas.append((y1 - y0) * (x1 - x0) / 90**2)
    # Even between 0.08 and 0.5: quarters at 0.185, 0.29 and 0.395.
    quarters = np.quantile(areas, [0.25, 0.5, 0.75])
    assert quarters == pytest.approx([0.185, 0.29, 0.395], abs=0.03)


def test_half_of_them_are_mirrored():
    flips = [sampled((60, 100), number)[1] for number in range(80)]
    assert 25 < sum(flips) < 55
    never = [sampled((60, 100), n, flip_probability=0.0)[1] for n in range(20)]
    assert not any(never)


@pytest.mark.parametrize(
    ("size", "seen"), [((20, 900), (20, 30)), ((900, 20), (25, 20))]
)
def test_of_a_picture_too_narrow_for_any_the_largest_legal_part_is_seen(size, seen):
    # All of the short side; the other is 3/2 of it at most, or 5/4: 1 / 0.8.
    crop = Crop(area_min=0.9, aspect_min=0.8, aspect_max=1.5)
    y0, x0, y1, x1 = sampled(size, 0, crop)[0]
    assert (y1 - y0, x1 - x0) == pytest.approx(seen, rel=1e-3)


def test_a_seed_draws_the_same_part_again_of_a_shrunken_picture_too():
    whole, _ = sampled((400, 640), 3)
    half, _ = sampled((200, 320), 3)
    np.testing.assert_allclose(half, whole / 2, rtol=1e-4)
    assert not np.allclose(sampled((400, 640), 4)[0], whole, rtol=0.01)


def test_the_scale_is_that_of_the_part_that_is_drawn():
    for number in range(8):
        seed = tf.constant([7, number])
        scale = float(crops.crop_scale(tf.constant([300, 500]), TARGET, seed, CROP))
        y0, x0, y1, x1 = sampled((300, 500), number)[0]
        wanted = max(TARGET[0] / (y1 - y0), TARGET[1] / (x1 - x0))
        assert scale == pytest.approx(wanted, rel=1e-4)


def test_an_augmentation_with_a_crop_leaves_no_margin():
    augmentation = Augmentation(
        target_size_px=TARGET,
        scale_min=0.1,  # Would leave a lot of it.
        scale_max=0.1,
        flip_probability=0.5,
        crop=CROP,
    )
    picture = tf.fill([60, 100, 3], tf.constant(255, tf.uint8))
    for number in range(5):
        seed = tf.constant([0, number])
        found = augmentation.sample(tf.constant([60, 100]), tf.zeros([0, 4]), seed)
        assert bool(found.geometry.is_straight)
        shown = augmentation.apply(picture, found)
        assert shown.shape == (*TARGET, 3)
        assert np.all(shown.numpy() == 255)


def test_a_large_picture_is_shrunk_before_but_not_below_the_part():
    augmentation = Augmentation(
        target_size_px=TARGET,
        scale_min=1.0,
        scale_max=1.0,
        flip_probability=0.0,
        crop=Crop(area_min=0.25, area_max=0.25, aspect_min=1.5, aspect_max=1.5),
    )
    # 256 x 384 of 512 x 768 px are shown in 32 x 48: an eighth.
    index = augmentation.halvings(tf.constant([512, 768]), tf.constant([0, 1]))
    assert int(index) == 3
    # From a canvas the whole picture is shown first: an eighth.
    index = augmentation.halvings(
        tf.constant([256, 384]), tf.constant([0, 1]), for_canvas=True
    )
    assert int(index) == 3
