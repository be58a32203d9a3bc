"""What `normalize` promises."""

import numpy as np
import tensorflow as tf

from st_keras.ops import images


class NormalizeTest(tf.test.TestCase):
    def test_every_channel_has_its_own_mean_and_deviation(self):
        # Black: -mean / deviation. White: (1 - mean) / deviation.
        found = images.normalize(tf.constant([[0, 0, 0], [255, 255, 255]], tf.uint8))
        self.assertAllClose(
            found,
            [
                [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
                [0.515 / 0.229, 0.544 / 0.224, 0.594 / 0.225],
            ],
        )

    def test_it_is_the_normalisation_of_tf_models_official(self):
        from official.vision.ops import preprocess_ops

        image = np.random.default_rng(0).integers(0, 256, [6, 10, 3], np.uint8)
        theirs = preprocess_ops.normalize_image(image)
        self.assertAllClose(images.normalize(image), theirs, atol=1e-5)

    def test_the_result_has_the_dtype_the_model_computes_in(self):
        image = tf.fill([2, 6, 10, 3], tf.constant(200, tf.uint8))
        self.assertEqual(images.normalize(image).dtype, tf.float32)
        self.assertEqual(images.normalize(image, "bfloat16").dtype, tf.bfloat16)
        # Rounded once, at the end: bfloat16 has 8 bits.
        self.assertAllClose(
            tf.cast(images.normalize(image, tf.bfloat16), tf.float32),
            images.normalize(image),
            rtol=2**-8,
        )

    def test_what_is_not_bytes_or_not_in_colour_is_refused(self):
        shares = tf.random.stateless_uniform([6, 10, 3], [0, 1])
        with self.assertRaisesRegex(ValueError, "`images` must be uint8, got float32"):
            images.normalize(shares)
        grey = np.full([2, 6, 10, 1], 200, np.uint8)
        with self.assertRaisesRegex(ValueError, r"3 channels.*got shape \(2, 6, 10, 1"):
            images.normalize(grey)

    def test_a_size_that_is_not_known_yet_is_no_error(self):
        spec = tf.TensorSpec([None, None, None, None], tf.uint8)
        traced = tf.function(images.normalize).get_concrete_function(spec)
        self.assertEqual(traced(tf.zeros([1, 6, 10, 3], tf.uint8)).shape, [1, 6, 10, 3])
