"""What a step promises whose examples are taken in slices."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.self_training.blend import Blend
from st_keras.training import optimization
from st_keras.training.step import TrainStep
from st_keras.types import Batch, Boxes, Ratio

RATE = 0.1


class WeightedTask:
    """Two distances of one output to each row's score, over rows that count.

    Their counts differ, as those of the two losses of a detector do.
    """

    def finish_images(self, images, changes):
        return images

    def losses(self, labels, outputs):
        error = outputs["y"] - labels.scores
        count = tf.reduce_sum(labels.weights)
        return {
            "squared": Ratio(tf.reduce_sum(labels.weights * error**2), count),
            "fourth": Ratio(tf.reduce_sum(labels.weights * error**4), 4.0 * count),
        }


def linear_model(*, normed=False):
    """y = kernel . (normalised pixel); with BatchNorm, what is normalised again."""
    images = tf.keras.layers.Input([1, 1, 3])
    x = tf.keras.layers.Flatten()(images)
    if normed:
        x = tf.keras.layers.BatchNormalization(momentum=0.5, center=False, scale=False)(
            x
        )
    start = tf.keras.initializers.Constant([[2.0], [-1.0], [0.5]])
    y = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer=start, name="y")(x)
    return tf.keras.Model(images, {"y": y})


def batch(seed, weights):
    """Rows of which the first replica and the first slice have other counts."""
    draw = np.random.default_rng(seed)
    count = len(weights)
    image = draw.integers(0, 256, [count, 1, 1, 3]).astype(np.uint8)
    return Batch(
        tf.constant(image),
        Boxes(
            boxes_yxyx=tf.zeros([count, 1, 4]),
            class_ids=tf.zeros([count, 1], tf.int32),
            scores=tf.constant(draw.normal(size=[count, 1]).astype(np.float32)),
            weights=tf.constant(np.asarray(weights, np.float32)[:, None]),
            is_crowd=tf.zeros([count, 1], tf.bool),
        ),
    )


# Per slice of two replicas with three slices: 3, 0, 5 and 1, 2, 0 rows' worth.
HUMAN = [2.0, 1.0, 0.0, 0.0, 4.0, 1.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0]
PSEUDO = [0.0, 1.0, 3.0, 0.0, 0.0, 2.0]  # A slice has half as many as of the others.


def parts_of(*, student):
    parts = {"human": batch(1, HUMAN)}
    return parts | ({"pseudo": batch(2, PSEUDO)} if student else {})


def run_steps(strategy, parts, *, slices, student, normed=False, jit=False, steps=2):
    """Takes steps and returns weights, the means of the blend and numbers."""
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        model = linear_model(normed=normed)
        optimizer = tf.keras.optimizers.legacy.SGD(RATE)
        optimization.create_slots(optimizer, model.trainable_variables)
        blend = None
        if student:
            blend = Blend(weight=1.0, normalize=True, decay=0.75, max_ratio=10.0)
    take = TrainStep(
        *(WeightedTask(), model, optimizer, blend),
        weight_decay=0.01,
        clip_norm=1.0,
        slices=slices,
    )

    def share(context):
        def cut(tensor):
            size = tensor.shape[0] // replicas
            start = context.replica_id_in_sync_group * size
            return tensor[start : start + size]

        return tf.nest.map_structure(cut, parts)

    per_replica = strategy.experimental_distribute_values_from_function(share)
    step = tf.function(take, jit_compile=True) if jit else take
    run = tf.function(lambda values: strategy.run(step, args=(values,)))
    for _ in range(steps):
        logs = run(per_replica)
    numbers = {
        name: float(strategy.experimental_local_results(value)[0])
        for name, value in logs.items()
    }
    return [weight.numpy() for weight in model.weights], numbers


def one_replica():
    return tf.distribute.OneDeviceStrategy("CPU:0")


def two_replicas():
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


@pytest.mark.parametrize("student", [False, True])
@pytest.mark.parametrize(
    ("strategy", "jit"),
    [(one_replica, False), (one_replica, True), (two_replicas, False)],
)
def test_slices_teach_what_the_whole_batch_teaches(strategy, jit, student):
    parts = parts_of(student=student)
    whole = run_steps(one_replica(), parts, slices=1, student=student)
    sliced = run_steps(strategy(), parts, slices=3, student=student, jit=jit)
    for weight, other in zip(whole[0], sliced[0], strict=True):
        np.testing.assert_allclose(weight, other, 1e-6, 1e-6)
    assert sliced[1] == pytest.approx(whole[1], rel=1e-5)


def test_dividing_in_each_slice_would_be_noticed():
    # The classic mistake: each slice divides by its own count, and the means are
    # averaged. What slices 0 and 1 of these rows say differs by more than the test
    # above allows.
    parts = {"human": batch(1, HUMAN)}
    right, _ = run_steps(one_replica(), parts, slices=1, student=False, steps=1)
    kernels = []
    for number in range(3):
        some = tf.nest.map_structure(lambda t: t[4 * number : 4 * number + 4], parts)  # noqa: B023
        weights, _ = run_steps(one_replica(), some, slices=1, student=False, steps=1)
        kernels.append(weights[0])
    assert np.abs(np.mean(kernels, axis=0) - right[0]).max() > 1e-3


def test_looking_first_moves_no_average_of_a_batch_norm():
    # Twice through the model, but the mean moves by half of what is left to the mean of
    # each of the three slices, once: four human and two pseudo rows at a time.
    parts = parts_of(student=True)
    expected = np.zeros(3)
    for n in range(3):
        rows = [
            parts["human"].image[4 * n : 4 * n + 4],
            parts["pseudo"].image[2 * n : 2 * n + 2],
        ]
        pixels = np.concatenate(rows)[:, 0, 0] / 255.0
        x = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        expected = 0.5 * expected + 0.5 * x.mean(axis=0)
    weights, _ = run_steps(
        one_replica(), parts, slices=3, student=True, normed=True, steps=1
    )
    moving_mean = weights[0]
    np.testing.assert_allclose(moving_mean, expected, 1e-5, 1e-5)
