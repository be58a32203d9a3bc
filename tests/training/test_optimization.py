"""What optimizer and learning rate promise."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.config import OptimizationConfig
from st_keras.training import optimization
from st_keras.training.averaging import AveragedModel

DECAYING = OptimizationConfig(
    optimizer="adamw",
    learning_rate=0.1,
    schedule="constant",
    warmup_steps=0,
    weight_decay=0.5,
)


def rate_at(config, step, total_steps=1000):
    optimizer = optimization.build_optimizer(config, total_steps)
    optimizer.iterations.assign(step)
    return float(optimization.current_learning_rate(optimizer))


def test_the_warm_up_rises_linearly_to_the_learning_rate():
    config = OptimizationConfig(
        learning_rate=0.32, warmup_steps=100, warmup_learning_rate=0.02
    )
    # 0.02 + 25 / 100 * (0.32 - 0.02)
    assert rate_at(config, 0) == pytest.approx(0.02)
    assert rate_at(config, 25) == pytest.approx(0.095)
    assert rate_at(config, 100) == pytest.approx(0.32)


def test_a_cosine_ends_at_zero_after_the_last_step():
    config = OptimizationConfig(learning_rate=0.32, warmup_steps=100)
    # Half of the 900 steps after the warm-up: cos(pi / 2) = 0.
    assert rate_at(config, 550) == pytest.approx(0.16, rel=1e-4)
    assert rate_at(config, 1000) == pytest.approx(0.0, abs=1e-6)


def test_a_polynomial_ends_at_zero_after_the_last_step():
    config = OptimizationConfig(
        learning_rate=0.32, schedule="polynomial", power=0.5, warmup_steps=100
    )
    # A quarter of the 900 steps after the warm-up is left: 0.25^0.5.
    assert rate_at(config, 100) == pytest.approx(0.32)
    assert rate_at(config, 775) == pytest.approx(0.16, rel=1e-4)
    assert rate_at(config, 1000) == pytest.approx(0.0, abs=1e-6)


def test_steps_multiply_by_the_factor():
    config = OptimizationConfig(
        learning_rate=0.28, schedule="step", step_boundaries=(700, 900), warmup_steps=0
    )
    assert rate_at(config, 700) == pytest.approx(0.28)
    assert rate_at(config, 701) == pytest.approx(0.028)
    assert rate_at(config, 999) == pytest.approx(0.0028)


def test_adamw_decays_kernels_and_nothing_else():
    optimizer = optimization.build_optimizer(DECAYING, 10)
    names = ("conv/kernel", "conv/bias", "norm/gamma", "dw/depthwise_kernel")
    variables = [tf.Variable([2.0], name=name) for name in names]
    optimizer.apply_gradients([(tf.zeros([1]), variable) for variable in variables])
    moved = [float(variable.numpy()[0]) < 2.0 for variable in variables]
    assert moved == [True, False, False, True]
    assert [optimization.is_kernel(v) for v in variables] == moved


def test_adamw_decays_every_replica_alike():
    # A mirrored variable's second copy has another name, `conv/kernel/replica_1:0`.
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        variable = tf.Variable([2.0], name="conv/kernel")
        optimizer = optimization.build_optimizer(DECAYING, 10)
        optimization.create_slots(optimizer, [variable])

    def step():
        optimizer.apply_gradients(
            [(tf.zeros([1]), variable)], experimental_aggregate_gradients=False
        )

    strategy.run(tf.function(step))
    first, second = strategy.experimental_local_results(variable)
    assert float(first.numpy()[0]) < 2.0
    np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_the_average_follows_kernels_and_batch_norm_statistics():
    def model():
        return tf.keras.Sequential(
            [tf.keras.layers.BatchNormalization(input_shape=[2])]
        )

    trained, average = model(), model()
    averaged = AveragedModel(trained, average, 0.9)
    for variable in trained.variables:
        variable.assign(tf.ones_like(variable) * 5.0)
    averaged.update(tf.constant(0))
    # At step 0 the decay is (1 + 0) / (10 + 0): 0.1 * old + 0.9 * 5.
    old = {"gamma": 1.0, "beta": 0.0, "moving_mean": 0.0, "moving_variance": 1.0}
    for variable in averaged.model.variables:
        name = variable.name.split("/")[-1].split(":")[0]
        np.testing.assert_allclose(variable.numpy(), 0.1 * old[name] + 4.5, rtol=1e-6)


def test_the_average_starts_at_the_weights_of_the_model():
    trained = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=[1])])
    average = tf.keras.models.clone_model(trained)
    trained.variables[0].assign([[3.0]])
    averaged = AveragedModel(trained, average, 0.9)
    np.testing.assert_array_equal(averaged.model.variables[0].numpy(), [[3.0]])


def test_the_average_slows_down_to_its_decay():
    trained = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=[1])])
    average = tf.keras.models.clone_model(trained)
    averaged = AveragedModel(trained, average, 0.9)
    averaged.model.variables[0].assign([[1.0]])
    trained.variables[0].assign([[2.0]])
    averaged.update(tf.constant(10_000))
    np.testing.assert_allclose(averaged.model.variables[0].numpy(), [[1.1]], rtol=1e-6)


@pytest.mark.parametrize(("images", "factor"), [(256, 1.0), (64, 0.25), (384, 1.5)])
def test_rates_grow_with_the_images_per_step(images, factor):
    config = OptimizationConfig(
        learning_rate=0.32,
        warmup_steps=100,
        warmup_learning_rate=0.02,
        base_images_per_step=256,
    )
    scaled = config.for_images_per_step(images)
    assert rate_at(scaled, 0) == pytest.approx(0.02 * factor)
    assert rate_at(scaled, 100) == pytest.approx(0.32 * factor)


def test_without_a_base_the_rate_is_what_is_given():
    config = OptimizationConfig(learning_rate=0.32)
    assert config.for_images_per_step(8) == config


def test_the_average_moves_in_every_replica():
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )

    def model():
        layer = tf.keras.layers.BatchNormalization(input_shape=[1])
        return tf.keras.Sequential([layer])

    with strategy.scope():
        trained, average = model(), model()
        averaged = AveragedModel(trained, average, 0.9)
    for variable in trained.variables:
        variable.assign([5.0])
    step = tf.constant(0)
    tf.function(lambda: strategy.run(averaged.update, args=(step,)))()
    # At step 0 the decay is (1 + 0) / (10 + 0): 0.1 * old + 0.9 * 5.
    for old, variable in zip((1.0, 0.0, 0.0, 1.0), average.variables, strict=True):
        for copy in strategy.experimental_local_results(variable):
            np.testing.assert_allclose(copy.numpy(), [0.1 * old + 4.5], rtol=1e-6)


def moved(gradients, name="a/bias", **settings):
    """A variable of 2.0 after steps with these gradients, at a rate of 0.1."""
    plain = {"schedule": "constant", "warmup_steps": 0, "learning_rate": 0.1}
    variable = tf.Variable([2.0], name=name)
    optimizer = optimization.build_optimizer(OptimizationConfig(**plain | settings), 10)
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant([gradient]), variable)])
    return float(variable.numpy()[0])


def test_each_optimizer_moves_by_its_own_settings():
    # The second step has half of the first one's, too: 0.1 and 0.15.
    sgd = moved([1.0, 1.0], optimizer="sgd", momentum=0.5)
    assert sgd == pytest.approx(2.0 - 0.1 - 0.15)
    adam = {"optimizer": "adamw", "beta_2": 0.5, "weight_decay": 0.5}
    decayed = moved([0.0], "a/kernel", **adam)
    assert decayed == pytest.approx(2.0 * (1.0 - 0.1 * 0.5))
    # With a clip of its own at 1 it would be 1.8. m and v after 100 and 1, unbiased:
    # (0.9 * 10 + 0.1) / 0.19 = 47.9 and (0.5 * 5000 + 0.5) / 0.75 = 3334, so that the
    # second step is 0.1 * 47.9 / 57.7 = 0.083 and the first 0.1.
    assert moved([100.0, 1.0], **adam) == pytest.approx(1.817052, abs=1e-5)
