"""What one training step promises, whatever the number of replicas."""

import numpy as np
import tensorflow as tf

from st_keras.self_training.blend import Blend
from st_keras.training import optimization
from st_keras.training.step import TrainStep
from st_keras.types import Batch, Boxes, Ratio

RATE = 0.1


class WeightedTask:
    """Squared distance of one output to each row's score, over rows that count.

    Small enough for a pencil; `losses` is all of a task that a step uses.
    """

    def finish_images(self, images, changes):
        return images

    def losses(self, labels, outputs):
        error = (outputs["y"] - labels.scores) ** 2
        return {
            "distance": Ratio(
                tf.reduce_sum(labels.weights * error), tf.reduce_sum(labels.weights)
            )
        }


def linear_model():
    """y = kernel * (first colour value, normalised); the kernel starts at 2."""
    images = tf.keras.layers.Input([1, 1, 3])
    x = tf.keras.layers.Lambda(lambda t: tf.stop_gradient(t[:, 0, 0, :1]))(images)
    y = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer="ones", name="y")(x)
    model = tf.keras.Model(images, {"y": y})
    model.trainable_variables[0].assign([[2.0]])
    return model


def batch(reds, targets, weights):
    count = len(reds)
    image = np.zeros([count, 1, 1, 3], np.uint8)
    image[:, 0, 0, 0] = reds
    rows = np.zeros([count, 1], np.float32)
    return Batch(
        tf.constant(image),
        Boxes(
            boxes_yxyx=tf.zeros([count, 1, 4]),
            class_ids=tf.zeros([count, 1], tf.int32),
            scores=tf.constant(rows + np.asarray(targets, np.float32)[:, None]),
            weights=tf.constant(rows + np.asarray(weights, np.float32)[:, None]),
            is_crowd=tf.zeros([count, 1], tf.bool),
        ),
    )


# Different numbers of rows that count: 3 in the first half, 1 in the second.
HUMAN = ([10, 60, 120, 250], [1.0, -2.0, 0.5, 3.0], [2.0, 1.0, 0.0, 1.0])
PSEUDO = ([200, 90, 30, 70], [-1.0, 0.5, 2.0, 1.5], [0.0, 1.0, 1.0, 5.0])


def x_of(red):
    return (red / 255.0 - 0.485) / 0.229


def expected_terms(part, kernel):
    """Returns loss and gradient of a part by NumPy, divided once over all rows."""
    reds, targets, weights = (np.asarray(values) for values in part)
    x = x_of(reds)
    error = kernel * x - targets
    count = weights.sum()
    return (weights * error**2).sum() / count, (2 * weights * error * x).sum() / count


def run_step(strategy, parts, *, student, weight_decay=0.0, clip_norm=0.0, steps=1):
    """Returns the kernel after some steps, and the numbers of the last."""
    with strategy.scope():
        model = linear_model()
        optimizer = tf.keras.optimizers.legacy.SGD(RATE)
        optimization.create_slots(optimizer, model.trainable_variables)
        blend = None
        if student:
            blend = Blend(weight=1.0, normalize=True, decay=0.75, max_ratio=10.0)
    take = TrainStep(
        WeightedTask(),
        model,
        optimizer,
        blend,
        weight_decay=weight_decay,
        clip_norm=clip_norm,
    )
    numbers = take_steps(strategy, take, parts, steps)
    return float(model.trainable_variables[0].numpy()[0, 0]), numbers


def take_steps(strategy, take, parts, steps):
    """Takes steps with each part's rows split in order over the replicas.

    Returns:
      The numbers of the last, which are equal in all replicas.
    """
    replicas = strategy.num_replicas_in_sync

    def share(context):
        number = context.replica_id_in_sync_group

        def cut(tensor):
            size = tensor.shape[0] // replicas
            return tensor[number * size : (number + 1) * size]

        return tf.nest.map_structure(cut, parts)

    per_replica = strategy.experimental_distribute_values_from_function(share)
    run = tf.function(lambda values: strategy.run(take, args=(values,)))
    for _ in range(steps):
        logs = run(per_replica)
    logs = tf.nest.map_structure(
        lambda value: strategy.experimental_local_results(value), logs
    )
    for name, values in logs.items():
        np.testing.assert_array_equal(values[0], values[-1], err_msg=name)
    return {name: float(values[0]) for name, values in logs.items()}


def two_replicas():
    return tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


def one_replica():
    return tf.distribute.OneDeviceStrategy("CPU:0")


class TrainStepTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.teacher_parts = {"human": batch(*HUMAN)}
        self.student_parts = {"human": batch(*HUMAN), "pseudo": batch(*PSEUDO)}

    def test_a_teacher_follows_the_gradient_of_the_mean_over_rows_that_count(self):
        loss, gradient = expected_terms(HUMAN, 2.0)
        kernel, logs = run_step(one_replica(), self.teacher_parts, student=False)
        self.assertAllClose(logs["human/loss"], loss)
        self.assertAllClose(logs["loss"], loss)
        self.assertAllClose(kernel, 2.0 - RATE * gradient)

    def test_a_student_follows_the_blend(self):
        # The first step's means are the losses themselves: the pseudo gradient is
        # scaled by h / p, and both are halved.
        h, human_gradient = expected_terms(HUMAN, 2.0)
        p, pseudo_gradient = expected_terms(PSEUDO, 2.0)
        ratio = h / p
        kernel, logs = run_step(one_replica(), self.student_parts, student=True)
        self.assertAllClose(logs["blend/ratio"], ratio)
        self.assertAllClose(logs["loss"], (h + ratio * p) / 2)
        gradient = (human_gradient + ratio * pseudo_gradient) / 2
        self.assertAllClose(kernel, 2.0 - RATE * gradient)

    def test_two_replicas_take_the_same_steps_as_one(self):
        for parts, student in ((self.teacher_parts, False), (self.student_parts, True)):
            one = run_step(one_replica(), parts, student=student, steps=3)
            two = run_step(two_replicas(), parts, student=student, steps=3)
            self.assertAllClose(one[0], two[0], rtol=1e-6)
            self.assertAllClose(one[1], two[1], rtol=1e-5)

    def test_dividing_in_each_replica_would_be_noticed(self):
        # The classic mistake: each replica divides by its own count (3 and 1 rows of
        # the human part), then the gradients are averaged. These rows tell it apart.
        _, right = expected_terms(HUMAN, 2.0)
        halves = [[values[i : i + 2] for values in HUMAN] for i in (0, 2)]
        wrong = np.mean([expected_terms(half, 2.0)[1] for half in halves])
        self.assertGreater(abs(wrong - right), 1.0)
        kernel, _ = run_step(two_replicas(), self.teacher_parts, student=False)
        self.assertAllClose(kernel, 2.0 - RATE * right)

    def test_weight_decay_is_added_once_outside_the_blend(self):
        for strategy in (one_replica, two_replicas):
            plain, _ = run_step(strategy(), self.student_parts, student=True)
            decayed, _ = run_step(
                strategy(), self.student_parts, student=True, weight_decay=0.5
            )
            # The gradient of 0.5 / 2 * kernel^2 at a kernel of 2.
            self.assertAllClose(decayed, plain - RATE * 0.5 * 2.0)

    def test_clipping_bounds_the_gradient_over_all_replicas(self):
        for strategy in (one_replica, two_replicas):
            kernel, logs = run_step(
                strategy(), self.teacher_parts, student=False, clip_norm=0.25
            )
            self.assertGreater(logs["gradient_norm"], 0.25)
            self.assertAllClose(abs(kernel - 2.0), RATE * 0.25)

    def test_a_part_in_which_nothing_counts_is_finite_and_pulls_nowhere(self):
        empty = (PSEUDO[0], PSEUDO[1], [0.0] * 4)
        parts = dict(self.student_parts, pseudo=batch(*empty))
        _, gradient = expected_terms(HUMAN, 2.0)
        kernel, logs = run_step(two_replicas(), parts, student=True)
        self.assertAllClose(logs["pseudo/loss"], 0.0)
        self.assertAllClose(kernel, 2.0 - RATE * gradient / 2)

    def test_logs_say_what_was_done(self):
        _, logs = run_step(one_replica(), self.student_parts, student=True)
        self.assertContainsSubset(
            ["human/distance", "pseudo/distance", "loss", "blend/ratio"], logs
        )
        self.assertAllClose(logs["learning_rate"], RATE)
