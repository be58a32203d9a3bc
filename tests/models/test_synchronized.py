"""What BatchNorm over replicas promises."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.ops import custom_gradient

from st_keras.models import layers
from st_keras.models.layers import Norm
from st_keras.models.synchronized import SynchronizedBatchNorm

# Replicas differ in mean and spread; 3 channels, 2 x 5 positions, 2 images each.
DRAW = np.random.default_rng(5)
PARTS = [
    DRAW.normal(1.0, 2.0, [2, 2, 5, 3]).astype(np.float32),
    DRAW.normal(-3.0, 0.5, [2, 2, 5, 3]).astype(np.float32),
]
WEIGHTS = DRAW.normal(size=[4, 2, 5, 3]).astype(np.float32)


@pytest.fixture(scope="module")
def strategy():
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


def on_both(strategy, function, *values):
    """Returns what a function of each replica's values gives, one after the other."""

    def spread(parts):
        return strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(parts[context.replica_id_in_sync_group])
        )

    run = tf.function(lambda *args: strategy.run(function, args))
    found = run(*map(spread, values))
    return [
        np.concatenate([p.numpy() for p in strategy.experimental_local_results(f)])
        for f in found
    ]


def outputs_and_gradients(layer, x, weights):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
        loss = tf.reduce_sum(y * weights)
    gradient = tape.gradient(loss, x)
    return y, gradient, layer.moving_mean[None], layer.moving_variance[None]


def test_two_replicas_give_outputs_gradients_and_statistics_of_one(strategy):
    alone = tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-3)
    whole = np.concatenate(PARTS)
    expected = outputs_and_gradients(alone, tf.constant(whole), WEIGHTS)
    with strategy.scope():
        layer = Norm(momentum=0.9, epsilon=1e-3, synchronized=True).layer("norm")
        layer.build([None, 2, 5, 3])
    assert isinstance(layer, SynchronizedBatchNorm)
    found = on_both(
        strategy,
        lambda x, weights: outputs_and_gradients(layer, x, weights),
        PARTS,
        np.split(WEIGHTS, 2),
    )
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[2][:1], expected[2], rtol=1e-5)
    # Keras' fused layer, alone, keeps the unbiased variance: n / (n - 1), n = 40.
    unbiased = 0.9 + (found[3][:1] - 0.9) * 40 / 39
    np.testing.assert_allclose(unbiased, expected[3], rtol=1e-4)


def test_the_mean_is_that_of_all_images_by_pencil(strategy):
    # 1, 3 here and 5, 11 there: mean 5, variance (16 + 4 + 0 + 36) / 4 = 14.
    parts = [np.float32([[[[1]]], [[[3]]]]), np.float32([[[[5]]], [[[11]]]])]
    with strategy.scope():
        layer = SynchronizedBatchNorm(momentum=0.0, epsilon=2.0)
        layer.build([None, 1, 1, 1])

    def step(x):
        return layer(x, training=True), layer.moving_mean, layer.moving_variance

    y, mean, variance = on_both(strategy, step, parts)
    # Standard deviation with epsilon: sqrt(16) = 4.
    np.testing.assert_allclose(y.ravel(), [-1.0, -0.5, 0.0, 1.5], rtol=1e-6)
    np.testing.assert_allclose(mean, 5)
    np.testing.assert_allclose(variance, 14)


def test_sums_are_float32_where_the_model_computes_in_bfloat16(strategy):
    # 2 x 40 x 40 ones and as many twos: a bfloat16 sum stops growing at 256.
    parts = [np.full([2, 40, 40, 1], value, np.float32) for value in (1.0, 2.0)]
    with strategy.scope():
        layer = SynchronizedBatchNorm(momentum=0.0, dtype="mixed_bfloat16")
        layer.build([None, 40, 40, 1])

    def step(x):
        layer(tf.cast(x, tf.bfloat16), training=True)
        return layer.moving_mean, layer.moving_variance

    mean, variance = on_both(strategy, step, parts)
    np.testing.assert_allclose(mean, 1.5)
    np.testing.assert_allclose(variance, 0.25)


def test_tracing_a_deep_model_walks_through_no_other_replica(strategy, monkeypatch):
    found = []
    walk = custom_gradient.op_selector.get_backward_walk_ops

    def counting(*args, **kwargs):
        result = walk(*args, **kwargs)
        found.append(len(result))
        return result

    with strategy.scope():
        inputs = x = tf.keras.Input([8, 8, 3])
        norm = Norm(synchronized=True)
        for number in range(12):
            x = norm(layers.convolve(x, 3, 3, name=f"c{number}"), f"n{number}")
        model = tf.keras.Model(inputs, x)

    def step(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x, training=True) ** 2)
        gradients = tape.gradient(loss, model.trainable_variables)
        return (gradients[0][None],)

    monkeypatch.setattr(custom_gradient.op_selector, "get_backward_walk_ops", counting)
    on_both(strategy, step, [np.ones([1, 8, 8, 3], np.float32)] * 2)
    assert len(found) >= 2 * 12  # Or the walk has another name now.
    assert max(found) < 20


def test_it_comes_back_from_its_config():
    layer = SynchronizedBatchNorm(momentum=0.7, name="norm")
    twin = tf.keras.layers.deserialize(tf.keras.layers.serialize(layer))
    assert isinstance(twin, SynchronizedBatchNorm)
    assert (twin.momentum, twin.name) == (0.7, "norm")


def test_replicas_may_have_different_numbers_of_images_by_pencil(strategy):
    # 1, 2, 3 here and 4, 10 there: mean 4, variance (9 + 4 + 1 + 0 + 36) / 5 = 10.
    # In channel 1 ten times as much: mean 40, variance 1000.
    parts = [
        np.float32([[[[v, 10 * v]]] for v in values]) for values in ((1, 2, 3), (4, 10))
    ]
    with strategy.scope():
        layer = SynchronizedBatchNorm(momentum=0.0, epsilon=0.0)
        layer.build([None, 1, 1, 2])

    def step(x):
        return layer(x, training=True), layer.moving_mean, layer.moving_variance

    values = [tf.constant(part) for part in parts]
    spread = strategy.experimental_distribute_values_from_function(
        lambda context: values[context.replica_id_in_sync_group]
    )
    y, mean, variance = tf.function(lambda x: strategy.run(step, (x,)))(spread)
    for of_both, expected in ((mean, [4, 40]), (variance, [10, 1000])):
        for found in strategy.experimental_local_results(of_both):
            np.testing.assert_allclose(found, expected, rtol=1e-5)
    last = strategy.experimental_local_results(y)[1]
    np.testing.assert_allclose(last[1, 0, 0], 6 / np.sqrt([10, 10]), rtol=1e-5)
