"""What `jitter_color` promises."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image, ImageEnhance

from st_keras.data.augment.color import jitter_color

# Mid-tones: no factor of a small strength drives them over an edge.
IMAGE = np.random.default_rng(0).integers(90, 160, [6, 10, 3]).astype(np.uint8)


def jitter(seed, strength, image=IMAGE):
    return jitter_color(tf.constant(image), tf.constant(seed), strength).numpy()


class JitterColorTest(tf.test.TestCase, parameterized.TestCase):
    def test_strength_0_changes_nothing(self):
        self.assertAllEqual(jitter([1, 2], 0.0), IMAGE)

    def test_the_seed_decides(self):
        self.assertAllEqual(jitter([1, 2], 0.3), jitter([1, 2], 0.3))
        self.assertNotAllEqual(jitter([1, 2], 0.3), jitter([1, 3], 0.3))

    @parameterized.parameters(*range(5))
    def test_it_is_brightness_then_contrast_then_saturation_of_pil(self, number):
        factors = tf.random.stateless_uniform([3], [7, number], 0.8, 1.2).numpy()
        expected = Image.fromarray(IMAGE)
        for enhance, factor in zip(
            (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color),
            factors.tolist(),
            strict=True,
        ):
            expected = enhance(expected).enhance(factor)
        found = jitter([7, number], 0.2).astype(int)
        # PIL rounds down after every change; here it is once, to the nearest.
        self.assertAllClose(found, np.asarray(expected).astype(int), atol=3)

    def test_the_three_factors_are_independent(self):
        # A grey picture of one value shows brightness alone, a grey ramp contrast too.
        flat = np.full([4, 8, 3], 120, np.uint8)
        ramp = np.tile(
            np.linspace(100, 140, 8).astype(np.uint8)[None, :, None], (4, 1, 3)
        )
        brightness, contrast = [], []
        for number in range(200):
            bright = jitter([3, number], 0.3, flat).mean() / 120
            brightness.append(bright)
            contrast.append(np.ptp(jitter([3, number], 0.3, ramp)) / 40 / bright)
        self.assertAllInRange(brightness, 0.69, 1.31)
        self.assertAllInRange(contrast, 0.65, 1.35)
        self.assertGreater(np.ptp(brightness), 0.5)
        self.assertGreater(np.ptp(contrast), 0.5)
        self.assertLess(abs(np.corrcoef(brightness, contrast)[0, 1]), 0.2)

    def test_grey_stays_grey(self):
        ramp = np.tile(np.arange(0, 250, 25, np.uint8)[None, :, None], (6, 1, 3))
        found = jitter([5, 5], 0.9, ramp).astype(int)
        self.assertAllClose(found[..., 0], found[..., 1], atol=1)
        self.assertAllClose(found[..., 0], found[..., 2], atol=1)

    def test_values_are_cut_at_black_and_white_and_never_wrap(self):
        edges = np.zeros([6, 10, 3], np.uint8)
        edges[:, 5:] = 255
        for number in range(20):
            found = jitter([9, number], 0.9, edges)
            # What was brighter is not darker than what was black.
            self.assertGreaterEqual(found[:, 5:].min(), found[:, :5].max())
