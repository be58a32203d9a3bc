"""What a step promises of a classification beside its task: a pencil is enough."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.self_training.blend import Blend
from st_keras.training import optimization
from st_keras.training.joint import Joint
from st_keras.training.step import TrainStep
from tests.training.test_step import (
    HUMAN,
    PSEUDO,
    RATE,
    WeightedTask,
    batch,
    expected_terms,
    one_replica,
    take_steps,
    two_replicas,
    x_of,
)

# Again 3 rows that count in the first half and 1 in the second.
JOINT = ([40, 220, 170, 5], [0.5, 2.0, -1.0, 4.0], [1.0, 2.0, 0.0, 1.0])
WEIGHT = 0.25
KERNEL, HEAD = 2.0, -1.5


def models():
    """Returns y = kernel * x, and a classifier z = head * kernel * x."""
    layers = tf.keras.layers
    images = layers.Input([1, 1, 3])
    x = layers.Lambda(lambda t: tf.stop_gradient(t[:, 0, 0, :1]))(images)
    y = layers.Dense(1, use_bias=False, name="y")(x)
    backbone = tf.keras.Model(images, {"y": y}, name="backbone")
    model = tf.keras.Model(images, backbone(images))
    features = layers.Input([1])
    z = layers.Dense(1, use_bias=False, name="z")(features)
    head = tf.keras.Model(features, {"y": z}, name="head")
    classifier = tf.keras.Model(images, head(backbone(images)["y"]))
    model.trainable_variables[0].assign([[KERNEL]])
    head.trainable_variables[0].assign([[HEAD]])
    return model, classifier


def run_step(strategy, *, weight=WEIGHT, student=True, steps=1, **settings):
    """Returns kernel, head, and the numbers of the last step."""
    with strategy.scope():
        model, classifier = models()
        joint = None
        if weight is not None:
            joint = Joint(WeightedTask(), classifier, weight=weight)
        heads = joint.head.trainable_variables if joint else []
        optimizer = tf.keras.optimizers.legacy.SGD(RATE)
        optimization.create_slots(optimizer, model.trainable_variables + heads)
        blend = None
        if student:
            blend = Blend(weight=1.0, normalize=True, decay=0.75, max_ratio=10.0)
    defaults = {"weight_decay": 0.0, "clip_norm": 0.0}
    take = TrainStep(
        WeightedTask(), model, optimizer, blend, joint=joint, **(defaults | settings)
    )
    parts = {"human": batch(*HUMAN)}
    if student:
        parts["pseudo"] = batch(*PSEUDO)
    if joint:
        parts["joint"] = batch(*JOINT)
    numbers = take_steps(strategy, take, parts, steps)
    weights = [*model.trainable_variables, *classifier.get_layer("head").weights]
    kernel, head = (float(weight.numpy()[0, 0]) for weight in weights)
    return kernel, head, numbers


def joint_terms():
    """Returns loss and gradients of kernel and head by NumPy."""
    reds, targets, weights = (np.asarray(values) for values in JOINT)
    x = x_of(reds)
    error = HEAD * KERNEL * x - targets
    slope = 2 * weights * error / weights.sum()
    loss = (weights * error**2).sum() / weights.sum()
    return loss, (slope * HEAD * x).sum(), (slope * KERNEL * x).sum()


def blended():
    """Returns loss and gradient of the blend, whose first ratio is h / p."""
    (h, human), (p, pseudo) = (expected_terms(part, KERNEL) for part in (HUMAN, PSEUDO))
    ratio = h / p
    return (h + ratio * p) / 2, (human + ratio * pseudo) / 2


@pytest.mark.parametrize("strategy", [one_replica, two_replicas])
def test_its_loss_is_added_outside_the_blend(strategy):
    loss, own_gradient = blended()
    joint_loss, kernel_gradient, head_gradient = joint_terms()
    kernel, head, logs = run_step(strategy())
    np.testing.assert_allclose(logs["joint/loss"], joint_loss, rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], loss + WEIGHT * joint_loss, rtol=1e-5)
    moved = KERNEL - RATE * (own_gradient + WEIGHT * kernel_gradient)
    np.testing.assert_allclose(kernel, moved, rtol=1e-5)
    np.testing.assert_allclose(head, HEAD - RATE * WEIGHT * head_gradient, rtol=1e-5)


def test_a_teacher_adds_it_to_the_human_loss():
    h, human_gradient = expected_terms(HUMAN, KERNEL)
    joint_loss, kernel_gradient, _ = joint_terms()
    kernel, _, logs = run_step(one_replica(), student=False)
    np.testing.assert_allclose(logs["loss"], h + WEIGHT * joint_loss, rtol=1e-5)
    moved = KERNEL - RATE * (human_gradient + WEIGHT * kernel_gradient)
    np.testing.assert_allclose(kernel, moved, rtol=1e-5)


def test_it_does_not_move_the_means_of_the_blend():
    *_, without = run_step(one_replica(), weight=None)
    *_, with_it = run_step(one_replica(), weight=7.0)
    for name in ("human/loss", "pseudo/loss", "blend/mean_human", "blend/mean_pseudo"):
        assert with_it[name] == without[name], name


def test_the_gradient_is_clipped_with_its_head():
    _, own_gradient = blended()
    _, kernel_gradient, head_gradient = joint_terms()
    of_kernel = own_gradient + WEIGHT * kernel_gradient
    norm = np.hypot(of_kernel, WEIGHT * head_gradient)
    kernel, head, logs = run_step(two_replicas(), clip_norm=0.5)
    np.testing.assert_allclose(logs["gradient_norm"], norm, rtol=1e-5)
    np.testing.assert_allclose(np.hypot(kernel - KERNEL, head - HEAD), RATE * 0.5, 1e-4)


def test_its_head_decays_like_every_kernel():
    plain = run_step(one_replica())
    decayed = run_step(one_replica(), weight_decay=0.5)
    np.testing.assert_allclose(decayed[0], plain[0] - RATE * 0.5 * KERNEL, rtol=1e-5)
    np.testing.assert_allclose(decayed[1], plain[1] - RATE * 0.5 * HEAD, rtol=1e-5)


def test_two_replicas_take_the_same_steps_as_one():
    one, two = (run_step(kind(), steps=3) for kind in (one_replica, two_replicas))
    np.testing.assert_allclose(one[:2], two[:2], rtol=1e-6)
    for name, value in one[2].items():
        np.testing.assert_allclose(two[2][name], value, rtol=1e-5, err_msg=name)
