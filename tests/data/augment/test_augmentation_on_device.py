"""What the device makes of a canvas: what the host makes of the picture."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data.augment.operations import Menu
from tests.data.augment.augmentations import (
    TABLES,
    augmentation_of,
    labels_of,
    picture,
    single,
)


def on_host_and_device(augmentation, count, boxes=((20, 30, 40, 70), (5, 60, 33, 90))):
    """Returns [count, H, W, 3] twice: all on the host, and compiled from canvases."""
    labels = labels_of(*boxes)
    pictures = np.stack([picture(number) for number in range(3)])

    def prepare(index):
        seed = tf.random.experimental.stateless_fold_in(tf.constant([9, 3]), index)
        image = tf.gather(tf.constant(pictures), index % 3)
        changes = augmentation.sample(tf.shape(image)[:2], labels.boxes_yxyx, seed)
        canvas, left = augmentation.to_canvas(image, changes, 4)
        return augmentation.apply(image, changes), canvas, left

    dataset = (
        tf.data.Dataset.range(count).map(prepare).batch(count, drop_remainder=True)
    )
    on_host, canvases, left = next(iter(dataset))
    finish = tf.function(augmentation.apply_to_canvases, jit_compile=True)
    on_device = finish(canvases, left)
    assert on_device.dtype == tf.uint8
    return on_host.numpy().astype(int), on_device.numpy().astype(int)


def assert_alike(on_host, on_device):
    assert on_host.shape == on_device.shape
    error = np.abs(on_host - on_device)
    # A resize repeats the last pixel of what it shows; a warp has the next one.
    assert error.mean(axis=(1, 2, 3)).max() < 1.0
    assert np.mean(error > 2, axis=(1, 2, 3)).max() < 0.06


SINGLES = {
    "nothing but jitter": Menu(),
    "rotate": single("Rotate_BBox", 10),
    "shear": single("ShearX_BBox", 10),
    "translate": single("TranslateY_BBox", 6),
    "cut": single("Cutout", 8),
    "cut in a box": single("BBox_Cutout", 10),
    "equalize": single("Equalize", 10),
    "autocontrast": single("AutoContrast", 10),
    "contrast": single("Contrast", 10),
    "sharpness": single("Sharpness", 10),
    "shear of boxes": single("ShearX_Only_BBoxes", 10),
    "flip of boxes": single("Flip_Only_BBoxes", 10),
    "cut of boxes": single("Cutout_Only_BBoxes", 10),
    "equalize of boxes": single("Equalize_Only_BBoxes", 10),
}


FAST = ("rotate", "cut", "equalize", "shear of boxes")


@pytest.mark.parametrize(
    "name",
    [
        name if name in FAST else pytest.param(name, marks=pytest.mark.slow)
        for name in SINGLES
    ],
)
def test_the_device_shows_what_the_host_shows(name):
    augmentation = augmentation_of("S3", menu=SINGLES[name])
    on_host, on_device = on_host_and_device(augmentation, 12)
    assert_alike(on_host, on_device)
    # The draws differ, so that the comparison is not of one picture.
    assert np.abs(on_host[0] - on_host[3]).mean() > 5


def test_the_device_jitters_colors_as_the_host_does():
    augmentation = augmentation_of("S1", menu=Menu(), color_strength=0.4)
    assert_alike(*on_host_and_device(augmentation, 12))


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["S2", "S4", *TABLES])
def test_the_device_shows_what_the_host_shows_of_a_policy(policy):
    assert_alike(*on_host_and_device(augmentation_of(policy), 24))


def test_a_canvas_holds_a_whole_picture_and_boxes_of_its_pixels():
    # 128 x 160 fits 64 x 96 at a half: 64 x 80 px.
    image = np.repeat(picture(), 2, axis=0)[:, :80].repeat(2, axis=1)
    augmentation = augmentation_of("S1", menu=single("TranslateX_Only_BBoxes", 10))
    labels = labels_of((40, 60, 80, 140))
    for number in range(20):
        changes = augmentation.sample(
            tf.constant([128, 160]), labels.boxes_yxyx, tf.constant([1, number])
        )
        canvas, left = augmentation.to_canvas(tf.constant(image), changes, 3)
        assert left.window_yxyx.numpy().tolist() == [0, 0, 64, 80]
        assert np.all(canvas[:, 80:] == 128)
        np.testing.assert_allclose(
            canvas[:, :80].numpy().astype(int), picture()[:, :80], atol=1
        )
        if changes.contents.arguments[0, 0] != 0.0:
            # 120 px of 640 is 30 of 160, and 15 on the canvas.
            np.testing.assert_allclose(abs(left.contents.arguments[0, 0]), 15.0)
            np.testing.assert_allclose(left.contents.boxes_yxyx[0, 0], [20, 30, 40, 70])
            return
    raise AssertionError("The box was never chosen.")


def test_a_cut_is_made_on_the_canvas_where_it_is_in_the_picture():
    augmentation = augmentation_of("S1", menu=single("Cutout", 10))
    image = tf.zeros([128, 160, 3], tf.uint8)
    for number in range(10):
        seed = tf.constant([1, number])
        changes = augmentation.sample(tf.constant([128, 160]), tf.zeros([0, 4]), seed)
        _, left = augmentation.to_canvas(image, changes, 3)
        cut = changes.cuts_yxyx.numpy()
        assert cut.any()
        # The canvas shows the picture at a half, in whole pixels.
        np.testing.assert_allclose(left.cuts_yxyx, cut / 2, atol=0.5)
        np.testing.assert_array_equal(left.cuts_yxyx, np.round(left.cuts_yxyx))
