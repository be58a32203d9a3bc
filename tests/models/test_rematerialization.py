"""What it promises to compute activations again instead of keeping them."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import classifier_on, randomness, retinanet
from st_keras.models.layers import Norm
from st_keras.models.rematerialization import Rematerialization

SIZE_PX = (128, 128)


def detector(backbone, **settings):
    tf.keras.utils.set_random_seed(1)
    small = {"head_convs": 1, "head_filters": 16, "neck_filters": 16}
    return retinanet(SIZE_PX, 3, backbone=backbone, **small, **settings)


def gradients_of(model, images, *, on, jit=False):
    """Returns a loss, its gradients, and the averages after it; and the function."""
    switch = Rematerialization(model, is_compiled=jit)

    @tf.function(jit_compile=jit or None, autograph=False)
    def learn(images):
        with tf.GradientTape() as tape:
            with randomness.seeded(tf.constant([3, 4])):
                if on:
                    with switch.on():
                        outputs = model(images, training=True)
                else:
                    outputs = model(images, training=True)
            loss = tf.reduce_sum(outputs["logits"][..., 0] * outputs["offsets"][..., 1])
        return loss, tape.gradient(loss, model.trainable_variables)

    loss, gradients = learn(images)
    averages = [v.numpy() for v in model.non_trainable_variables]
    return loss.numpy(), [g.numpy() for g in gradients], averages, learn


def pictures(count=2):
    draw = np.random.default_rng(0)
    return tf.constant(draw.normal(size=[count, *SIZE_PX, 3]).astype(np.float32))


@pytest.mark.parametrize(
    "backbone, settings, jit",
    [
        ("tiny", {}, False),
        *(
            pytest.param(name, {"drop_connect": 0.5}, jit, marks=pytest.mark.slow)
            for name, jit in (
                ("resnet18", False),
                ("resnet18", True),
                ("efficientnet_b0", False),
                ("spinenet_49s", False),
            )
        ),
    ],
)
def test_it_changes_no_loss_no_gradient_and_no_average(backbone, settings, jit):
    kept = gradients_of(detector(backbone, **settings), pictures(), on=False, jit=jit)
    again = gradients_of(detector(backbone, **settings), pictures(), on=True, jit=jit)
    np.testing.assert_allclose(kept[0], again[0], rtol=1e-4)
    for one, other in zip(kept[1], again[1], strict=True):
        # Some are nothing but rounding: of a shift that a BatchNorm takes away again.
        scale = max(np.abs(one).max(), 1e-3)
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-3)
    for one, other in zip(kept[2], again[2], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_replicas_do_so_too():
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        model = detector("tiny", norm=Norm(synchronized=True))
    switch = Rematerialization(model, is_compiled=False)
    images = pictures()

    @tf.function
    def learn(on):
        def of_replica():
            here = tf.distribute.get_replica_context().replica_id_in_sync_group
            with tf.GradientTape() as tape:
                with (
                    randomness.seeded(tf.constant([3, 4])),
                    switch.on() if on else contextlib.nullcontext(),
                ):
                    outputs = model(images[here : here + 1], training=True)
                loss = tf.add_n([tf.reduce_sum(x**2) for x in outputs.values()])
            return tape.gradient(loss, model.trainable_variables)

        return strategy.run(of_replica)

    def flat(per_replica):
        return [
            value.numpy()
            for one in per_replica
            for value in strategy.experimental_local_results(one)
        ]

    kept, again = flat(learn(False)), flat(learn(True))
    assert len(kept) == 2 * len(model.trainable_variables)
    for one, other in zip(kept, again, strict=True):
        scale = max(np.abs(one).max(), 1e-6)
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-4)


def test_a_classifier_of_another_size_may_have_the_same_layers():
    model, plain = detector("tiny"), detector("tiny")
    classifier_on(model.get_layer("backbone"), (64, 96), 5, backbone="tiny")
    with Rematerialization(model, is_compiled=False).on():
        again = model(pictures(), training=True)["logits"]
    np.testing.assert_allclose(
        again, plain(pictures(), training=True)["logits"], atol=1e-5
    )


def test_switched_off_or_looking_a_model_is_as_ever():
    model, plain = detector("tiny"), detector("tiny")
    with Rematerialization(model, is_compiled=False).on():
        looked = model(pictures(), training=False)["logits"]
    np.testing.assert_array_equal(looked, plain(pictures(), training=False)["logits"])
    learned = model(pictures(), training=True)["logits"]
    np.testing.assert_array_equal(learned, plain(pictures(), training=True)["logits"])
    assert [v.name for v in model.weights] == [v.name for v in plain.weights]
