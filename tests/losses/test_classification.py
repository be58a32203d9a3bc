"""What the loss of a classifier promises."""

import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras.losses.classification import class_loss

# Probabilities 1/2, 1/4, 1/4 and 1/10, 8/10, 1/10.
LOGITS = np.log(np.float32([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1]]))


def loss(class_ids=(0, 2), weights=(1.0, 1.0), **settings):
    return class_loss(
        tf.constant(LOGITS), tf.constant(class_ids), tf.constant(weights), **settings
    )


def test_it_is_the_logarithm_of_the_true_class():
    # log 2 + log 10.
    ratio = loss()
    assert float(ratio.total) == pytest.approx(math.log(2) + math.log(10), rel=1e-5)
    assert float(ratio.count) == 2


def test_a_picture_of_weight_0_counts_nowhere():
    ratio = loss(weights=(0.0, 1.0))
    assert float(ratio.total) == pytest.approx(math.log(10), rel=1e-5)
    assert float(ratio.count) == 1


def test_a_picture_that_weighs_less_counts_as_one_still():
    ratio = loss(weights=(1.0, 0.25))
    assert float(ratio.total) == pytest.approx(math.log(2) + math.log(10) / 4, rel=1e-5)
    assert float(ratio.count) == 2


def test_where_no_class_is_known_all_is_zero_and_so_is_the_gradient():
    logits = tf.Variable(LOGITS)
    with tf.GradientTape() as tape:
        ratio = class_loss(logits, tf.constant([0, 0]), tf.zeros([2]))
    assert float(ratio.total) == float(ratio.count) == 0
    assert not np.any(tape.gradient(ratio.total, logits))


def test_smoothing_spreads_a_share_of_the_target_evenly():
    # Target of the first picture 0.7 + 0.1, 0.1, 0.1:
    # 0.8 log 2 + 0.1 log 4 + 0.1 log 4 = (0.8 + 0.2 + 0.2) log 2.
    ratio = loss(weights=(1.0, 0.0), label_smoothing=0.3)
    assert float(ratio.total) == pytest.approx(1.2 * math.log(2), rel=1e-5)


def test_it_agrees_with_keras():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=[7, 5]).astype(np.float32)
    class_ids = rng.integers(0, 5, 7)
    keras = tf.keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=0.1, reduction="sum"
    )
    ours = class_loss(
        tf.constant(logits),
        tf.constant(class_ids, tf.int32),
        tf.ones([7]),
        label_smoothing=0.1,
    )
    theirs = keras(tf.one_hot(class_ids, 5), logits)
    np.testing.assert_allclose(ours.total, theirs, rtol=1e-5)


def test_halves_are_counted_in_float32():
    ratio = class_loss(tf.cast(LOGITS, tf.bfloat16), tf.constant([0, 2]), tf.ones([2]))
    assert ratio.total.dtype == tf.float32
