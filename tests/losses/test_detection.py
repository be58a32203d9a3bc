"""What the two losses of a detector promise."""

import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from st_keras.losses.detection import box_loss, focal_loss

ALL = np.ones([1, 1], bool)


def focal(
    logits,
    targets,
    is_counted=ALL,
    num_positives=1.0,
    alpha=0.25,
    gamma=1.5,
    weights=None,
):
    return focal_loss(
        tf.convert_to_tensor(logits, tf.float32),
        tf.constant(np.asarray(targets) > 0.5),
        tf.convert_to_tensor(is_counted),
        tf.constant(num_positives),
        alpha=alpha,
        gamma=gamma,
        weights=weights,
    )


def gradient(function, at):
    at = tf.constant(at, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(at)
        total = function(at).total
    return tape.gradient(total, at)


class FocalLossTest(tf.test.TestCase, parameterized.TestCase):
    def test_an_undecided_positive_and_an_undecided_negative(self):
        # Logit 0 is p = 1/2: cross entropy log 2, modulator (1/2)^2. Alpha 0.25.
        positive = focal([[[0.0]]], [[[1.0]]], gamma=2.0)
        self.assertAllClose(positive.total, 0.25 * 0.25 * math.log(2))
        negative = focal([[[0.0]]], [[[0.0]]], gamma=2.0)
        self.assertAllClose(negative.total, 0.75 * 0.25 * math.log(2))

    def test_what_is_easy_counts_little(self):
        # Logit -log 9 is p = 0.1. A negative: 0.75 * 0.1^1.5 * -log 0.9.
        easy = focal([[[-math.log(9)]]], [[[0.0]]])
        self.assertAllClose(easy.total, 0.75 * 0.1**1.5 * -math.log(0.9))
        # A positive there: 0.25 * 0.9^1.5 * -log 0.1.
        hard = focal([[[-math.log(9)]]], [[[1.0]]])
        self.assertAllClose(hard.total, 0.25 * 0.9**1.5 * -math.log(0.1))

    def test_gamma_0_is_cross_entropy(self):
        # p = 0.8 at logit log 4.
        loss = focal([[[math.log(4)]]], [[[1.0]]], gamma=0.0, alpha=0.3)
        self.assertAllClose(loss.total, 0.3 * -math.log(0.8))

    def test_it_is_a_sum_that_is_not_divided_yet(self):
        logits, targets = np.zeros([2, 3, 4]), np.zeros([2, 3, 4])
        loss = focal(logits, targets, np.ones([2, 3], bool), 7.0, gamma=0.0)
        self.assertAllClose(loss.total, 2 * 3 * 4 * 0.75 * math.log(2))
        self.assertAllClose(loss.count, 7.0)
        self.assertAllClose(loss.mean(), loss.total / 7.0)

    def test_its_mean_without_an_object_is_the_sum(self):
        loss = focal([[[0.0]]], [[[0.0]]], num_positives=0.0, gamma=0.0)
        self.assertAllClose(loss.mean(), 0.75 * math.log(2))

    def test_soft_targets_are_refused(self):
        soft = tf.constant([[[0.3, 0.7]]])
        with self.assertRaisesRegex(ValueError, "bool or integers, got float32"):
            focal_loss(soft, soft, ALL, tf.ones([]), alpha=0.25, gamma=1.5)

    def test_targets_may_be_0_and_1(self):
        # Two logits of 0: 0.25 * log 2 for the positive, 0.75 * log 2 for the other.
        targets, logits = tf.constant([[[0, 1]]]), tf.zeros([1, 1, 2])
        loss = focal_loss(logits, targets, ALL, tf.ones([]), alpha=0.25, gamma=0.0)
        self.assertAllClose(loss.total, (0.25 + 0.75) * math.log(2))

    def test_anchors_that_do_not_count_have_no_loss_and_no_gradient(self):
        is_counted = np.array([[True, False, True]])
        logits = np.array([[[1.0, 2.0], [50.0, -3.0], [-1.0, 0.5]]])
        targets = np.zeros([1, 3, 2])
        kept = [0, 2]
        self.assertAllClose(
            focal(logits, targets, is_counted).total,
            focal(logits[:, kept], targets[:, kept], is_counted[:, kept]).total,
        )
        found = gradient(lambda x: focal(x, targets, is_counted), logits)
        self.assertAllEqual(found[0, 1], [0, 0])
        self.assertAllInRange(found.numpy()[0, kept], 1e-3, 10)

    def test_an_anchor_counts_as_much_as_it_weighs(self):
        logits = np.array([[[1.0, 2.0], [5.0, -3.0], [-1.0, 0.5]]])
        targets = np.array([[[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]])
        counted = np.ones([1, 3], bool)
        each = [
            focal(logits[:, i : i + 1], targets[:, i : i + 1]).total for i in range(3)
        ]
        weights = tf.constant([[0.5, 1.0, 0.25]])
        found = focal(logits, targets, counted, num_positives=2.0, weights=weights)
        self.assertAllClose(found.total, 0.5 * each[0] + each[1] + 0.25 * each[2])
        self.assertEqual(found.count, 2.0)

    @parameterized.parameters(0.5, 1.5, 2.0)
    def test_it_is_the_focal_loss_of_tf_models_official(self, gamma):
        from official.vision.losses import focal_loss as official

        rng = np.random.default_rng(0)
        logits = rng.normal(0, 4, [2, 30, 3]).astype(np.float32)
        targets = (rng.random([2, 30, 3]) < 0.2).astype(np.float32)
        oracle = official.FocalLoss(0.3, gamma, reduction="sum")
        found = focal(logits, targets, np.ones([2, 30], bool), alpha=0.3, gamma=gamma)
        self.assertAllClose(found.total, oracle(targets, logits), rtol=1e-5)

    @parameterized.parameters(0.0, 0.5, 1.5, 2.0)
    def test_the_gradient_is_the_slope_of_the_loss(self, gamma):
        # An oracle in float64: the loss a little to the right and to the left.
        rng = np.random.default_rng(1)
        logits = rng.normal(0, 2, [2, 5, 3])
        targets = rng.random([2, 5, 3]) < 0.3
        weights = rng.uniform(0.2, 3.0, [2, 5])
        is_counted = rng.random([2, 5]) < 0.8

        def losses(x):
            p = 1 / (1 + np.exp(-x))
            p = np.where(targets, p, 1 - p)
            balance = np.where(targets, 0.3, 0.7)
            of_rows = (weights * is_counted)[..., None]
            return -of_rows * balance * (1 - p) ** gamma * np.log(p)

        slope = (losses(logits + 1e-5) - losses(logits - 1e-5)) / 2e-5
        found = gradient(
            lambda x: focal(
                x,
                targets,
                is_counted,
                alpha=0.3,
                gamma=gamma,
                weights=weights.astype(np.float32),
            ),
            logits,
        )
        self.assertAllClose(found, slope, atol=1e-5, rtol=1e-4)

    @parameterized.parameters(0.0, 0.5, 1.5)
    def test_gradients_are_finite_where_a_sigmoid_saturates(self, gamma):
        logits = np.array([[[50.0, -50.0, 200.0, -200.0]]])
        for target in (0.0, 1.0):
            targets = np.full([1, 1, 4], target)
            found = gradient(lambda x, t=targets: focal(x, t, gamma=gamma), logits)
            self.assertAllInRange(found, -1.0, 1.0)
            # What is certainly wrong is pulled with the full weight of its side.
            pull = 0.75 if target == 0.0 else -0.25
            wrong = [0, 2] if target == 0.0 else [1, 3]
            self.assertAllClose(found.numpy()[0, 0, wrong], [pull, pull])


def huber(offsets, targets, is_positive, num_positives=1.0, delta=0.1, weights=None):
    return box_loss(
        tf.convert_to_tensor(offsets, tf.float32),
        tf.convert_to_tensor(targets, tf.float32),
        tf.convert_to_tensor(is_positive),
        tf.constant(num_positives),
        delta=delta,
        weights=weights,
    )


class BoxLossTest(tf.test.TestCase):
    def test_small_errors_count_squared_and_large_ones_linearly(self):
        # 0.05^2 / 2 = 0.00125; at 0.1 both forms give 0.005; 0.1 * (0.5 - 0.05).
        loss = huber([[[0.05, -0.1, 0.5, 0.0]]], np.zeros([1, 1, 4]), ALL)
        self.assertAllClose(loss.total, 0.00125 + 0.005 + 0.045)

    def test_a_box_counts_as_much_as_it_weighs(self):
        offsets = np.array([[[0.05, 0.0, 0.0, 0.0], [0.0, -0.1, 0.5, 0.0]]])
        both, weights = np.ones([1, 2], bool), tf.constant([[0.6, 0.2]])
        loss = huber(offsets, np.zeros([1, 2, 4]), both, 2.0, weights=weights)
        self.assertAllClose(loss.total, 0.6 * 0.00125 + 0.2 * (0.005 + 0.045))
        self.assertAllClose(loss.count, 8.0)

    def test_the_mean_is_over_the_four_offsets_of_every_positive(self):
        loss = huber(np.zeros([1, 1, 4]), np.zeros([1, 1, 4]), ALL, num_positives=7.0)
        self.assertAllClose(loss.count, 28.0)

    def test_it_is_the_huber_loss_of_keras(self):
        rng = np.random.default_rng(0)
        offsets, targets = rng.normal(0, 0.2, [2, 2, 30, 4]).astype(np.float32)
        is_positive = rng.random([2, 30]) < 0.4
        found = huber(offsets, targets, is_positive, delta=0.15)
        # Keras averages over the last axis before it adds up.
        oracle = tf.keras.losses.Huber(0.15, reduction="sum")
        expected = 4.0 * oracle(targets[is_positive], offsets[is_positive])
        self.assertAllClose(found.total, expected, rtol=1e-5)

    def test_targets_of_other_anchors_may_be_anything(self):
        targets = np.zeros([1, 4, 4])
        targets[0, 1:] = [[np.nan], [np.inf], [1e30]]
        is_positive = np.array([[True, False, False, False]])
        offsets = np.full([1, 4, 4], 0.05)
        loss = huber(offsets, targets, is_positive)
        self.assertAllClose(loss.total, 4 * 0.00125)
        found = gradient(lambda x: huber(x, targets, is_positive), offsets)
        # The gradient of x^2 / 2 at 0.05.
        self.assertAllClose(found[0, 0], [0.05] * 4)
        self.assertAllEqual(found[0, 1:], np.zeros([3, 4]))

    def test_a_batch_without_positives_is_zero_and_pulls_nowhere(self):
        offsets, nothing = np.ones([2, 3, 4]), np.zeros([2, 3], bool)
        loss = huber(offsets, np.zeros([2, 3, 4]), nothing, num_positives=0.0)
        self.assertAllEqual([loss.total, loss.count], [0.0, 0.0])
        found = gradient(lambda x: huber(x, np.zeros([2, 3, 4]), nothing, 0.0), offsets)
        self.assertAllEqual(found, np.zeros([2, 3, 4]))
