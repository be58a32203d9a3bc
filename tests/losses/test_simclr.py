"""What SimCLR's loss promises, whatever the number of replicas."""

import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras.losses.simclr import nt_xent
from st_keras.training import optimization
from st_keras.training.step import TrainStep
from st_keras.types import Batch, Embeddings

# Two pictures: views at right angles, and views of one direction.
VIEWS = np.float32([[1, 0], [0, 1], [-1, 0], [-3, 0]])


def loss(views, temperature=0.5):
    return nt_xent(tf.constant(views), temperature=temperature)


def oracle(views, temperature):
    """The mean of eq. 1, one view after the other, by NumPy alone."""
    views = np.asarray(views, np.float64)
    views = views / np.sqrt((views**2).sum(axis=1, keepdims=True))
    losses = []
    for i in range(len(views)):
        partner = i + 1 if i % 2 == 0 else i - 1
        others = [
            math.exp(views[i] @ views[k] / temperature)
            for k in range(len(views))
            if k != i
        ]
        likeness = math.exp(views[i] @ views[partner] / temperature)
        losses.append(-math.log(likeness / sum(others)))
    return np.mean(losses)


def test_each_view_finds_its_other_among_all_but_itself():
    # Cosines over 0.5. View 0: 0 to its other, -2 and -2 to the rest; view 1: 0, 0, 0;
    # views 2 and 3: 2 to each other, -2 and 0 to the rest.
    e = math.exp
    expected = [
        math.log(1 + 2 * e(-2)),
        math.log(3),
        math.log(1 + e(-4) + e(-2)),
        math.log(1 + e(-4) + e(-2)),
    ]
    ratio = loss(VIEWS)
    assert float(ratio.total) == pytest.approx(sum(expected), rel=1e-5)
    assert float(ratio.count) == 4


def test_lengths_do_not_matter():
    longer = VIEWS * np.float32([[5], [0.1], [7], [1]])
    assert float(loss(longer).total) == pytest.approx(float(loss(VIEWS).total))


def test_a_single_picture_has_nothing_to_be_told_from():
    assert float(loss(VIEWS[:2]).total) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_it_agrees_with_numpy_and_so_does_its_gradient(temperature):
    views = np.random.default_rng(3).normal(size=[10, 6])
    variable = tf.Variable(views, dtype=tf.float32)
    with tf.GradientTape() as tape:
        ratio = nt_xent(variable, temperature=temperature)
        mean = ratio.total / ratio.count
    assert float(mean) == pytest.approx(oracle(views, temperature), rel=1e-5)
    expected = np.zeros_like(views)
    for place in np.ndindex(*views.shape):
        step = np.zeros_like(views)
        step[place] = 1e-5
        high, low = (oracle(views + s * step, temperature) for s in (1, -1))
        expected[place] = (high - low) / 2e-5
    np.testing.assert_allclose(tape.gradient(mean, variable), expected, atol=2e-5)


class Contrast:
    """All of a task that a step uses; two views of a picture are two pixels of it."""

    def finish_images(self, images, changes):
        return tf.reshape(images, [-1, *images.shape[2:]])

    def losses(self, labels, outputs):
        return {"contrast": nt_xent(outputs["y"], temperature=0.3)}


def linear_model():
    images = tf.keras.layers.Input([1, 1, 3])
    x = tf.keras.layers.Reshape([3])(images)
    start = tf.keras.initializers.RandomNormal(seed=4)
    y = tf.keras.layers.Dense(4, kernel_initializer=start, name="y")(x)
    return tf.keras.Model(images, {"y": y})


def after_a_step(strategy, images, jit_compile=None):
    """Returns the weights after a step with the pictures split over the replicas."""
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        model = linear_model()
        optimizer = tf.keras.optimizers.legacy.SGD(0.1)
        optimization.create_slots(optimizer, model.trainable_variables)
    take = TrainStep(
        Contrast(), model, optimizer, None, weight_decay=0.0, clip_norm=0.0
    )
    take = tf.function(take, jit_compile=jit_compile)
    size = len(images) // replicas

    def share(context):
        start = context.replica_id_in_sync_group * size
        part = tf.constant(images[start : start + size])
        return {"human": Batch(part, Embeddings(tf.zeros([size, 0, 0])))}

    parts = strategy.experimental_distribute_values_from_function(share)
    logs = tf.function(lambda values: strategy.run(take, args=(values,)))(parts)
    value = strategy.experimental_local_results(logs["human/contrast"])[0]
    return [v.numpy() for v in model.trainable_variables], float(value)


@pytest.fixture(scope="module")
def images():
    """Six pictures of two views, each view a single pixel."""
    random = np.random.default_rng(5)
    return random.integers(0, 256, [6, 2, 1, 1, 3]).astype(np.uint8)


def test_two_replicas_take_the_same_step_as_one(images):
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    two = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    weights, value = after_a_step(one, images)
    halves, same_value = after_a_step(two, images)
    assert same_value == pytest.approx(value, rel=1e-5)
    before = linear_model().trainable_variables
    for mine, other, start in zip(weights, halves, before, strict=True):
        assert np.abs(mine - start).max() > 1e-3
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-6)
    # Not what each half would do alone.
    alone, own_value = after_a_step(one, images[:3])
    assert own_value != pytest.approx(value, rel=0.01)
    assert not np.allclose(alone[0], weights[0], rtol=1e-3)


def test_a_step_is_of_as_many_images_as_there_are_views(images):
    one = tf.distribute.OneDeviceStrategy("CPU:0")
    _, value = after_a_step(one, images)
    model = linear_model()
    pixels = images.reshape([12, 1, 1, 3]) / 255.0
    normal = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = oracle(model(tf.constant(normal, tf.float32))["y"], 0.3)
    assert value == pytest.approx(expected, rel=1e-4)
