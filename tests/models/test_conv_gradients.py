"""Gradients made of convolutions are those of TensorFlow's own ops."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import retinanet
from st_keras.models.conv_gradients import ConvGradients
from st_keras.models.rematerialization import Rematerialization

HEIGHT_PX, WIDTH_PX, CHANNELS = 7, 10, 3


def layer_of(filters=5, size=3, **settings):
    settings = {"padding": "same", "bias_initializer": "ones"} | settings
    return tf.keras.layers.Conv2D(filters, size, **settings)


def model_of(*layers):
    inputs = tf.keras.Input([HEIGHT_PX, WIDTH_PX, CHANNELS])
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    return tf.keras.Model(inputs, outputs)


def gradients_of(model, images, *, on, beside=contextlib.nullcontext):
    """Returns those by the image and by the weights, and the types of the ops."""
    fast = ConvGradients([model])

    @tf.function(autograph=False)
    def learn(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            with fast.on() if on else contextlib.nullcontext(), beside():
                outputs = tf.nest.flatten(model(images, training=True))
            # Weights of places, so that a map turned the wrong way would be noticed.
            loss = tf.add_n([tf.reduce_sum(ramp(x) * x**2) for x in outputs])
        return tape.gradient(loss, [images, *model.trainable_variables])

    graph = learn.get_concrete_function(images).graph
    ops = [op.type for op in graph.get_operations()]
    return [gradient.numpy() for gradient in learn(images)], ops


def ramp(x):
    return tf.reshape(tf.cast(tf.range(tf.size(x)) % 13, x.dtype), x.shape)


def pictures(*size):
    draw = np.random.default_rng(0)
    size = size or (HEIGHT_PX, WIDTH_PX)
    return tf.constant(draw.normal(size=[2, *size, CHANNELS]).astype(np.float32))


def assert_equal_gradients(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        scale = max(np.abs(other).max(), 1e-6)
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"size": 1},
        {"size": 1, "padding": "valid"},
        {"size": (5, 3)},
        {"use_bias": False, "activation": "relu"},
    ],
)
def test_it_computes_what_tensorflows_own_op_computes(settings):
    model = model_of(layer_of(**settings))
    ours, ops = gradients_of(model, pictures(), on=True)
    theirs, their_ops = gradients_of(model, pictures(), on=False)
    # It was really done the other way.
    own = {"Conv2DBackpropInput", "Conv2DBackpropFilter"}
    assert not own & set(ops)
    assert own <= set(their_ops)
    assert_equal_gradients(ours, theirs)


@pytest.mark.parametrize(
    "settings",
    [
        {"strides": 2},
        {"dilation_rate": 2},
        {"size": 2},
        {"padding": "valid"},
        {"groups": 3, "filters": 6},
    ],
)
def test_other_convolutions_keep_their_gradients(settings):
    model = model_of(layer_of(**settings))
    ours, ops = gradients_of(model, pictures(), on=True)
    theirs, their_ops = gradients_of(model, pictures(), on=False)
    assert ops == their_ops
    assert_equal_gradients(ours, theirs)


def test_a_depthwise_convolution_keeps_its_gradient():
    model = model_of(tf.keras.layers.DepthwiseConv2D(3, padding="same"))
    assert gradients_of(model, pictures(), on=True)[1].count("DepthwiseConv2dNative")


def test_levels_that_share_a_kernel_turn_it_once():
    shared = layer_of(filters=CHANNELS)
    model = model_of(shared, shared, shared, layer_of())
    ours, ops = gradients_of(model, pictures(), on=True)
    theirs, _ = gradients_of(model, pictures(), on=False)
    assert ops.count("ReverseV2") == 2  # Of two layers.
    assert_equal_gradients(ours, theirs)


def test_inside_of_a_loop_of_the_graph_it_is_as_outside():
    # As of a batch that is taken in slices.
    model = model_of(layer_of(filters=CHANNELS), layer_of())
    fast, images = ConvGradients([model]), pictures()

    def gradients(image, *, on):
        with tf.GradientTape() as tape:
            with fast.on() if on else contextlib.nullcontext():
                outputs = model(image, training=True)
            loss = tf.reduce_sum(ramp(outputs) * outputs**2)
        return tape.gradient(loss, model.trainable_variables)

    @tf.function(autograph=False)
    def over_slices(on):
        def body(number, sums):
            own = gradients(tf.gather(images, number)[None], on=on)
            return number + 1, [a + b for a, b in zip(sums, own, strict=True)]

        zeros = [tf.zeros(v.shape) for v in model.trainable_variables]
        _, sums = tf.while_loop(lambda n, _: n < 2, body, (0, zeros))
        return sums

    ours, theirs = ([g.numpy() for g in over_slices(on)] for on in (True, False))
    assert_equal_gradients(ours, theirs)


def test_while_switched_off_a_model_is_the_same_graph():
    model = model_of(layer_of(), layer_of())
    _, before = gradients_of(model_of(layer_of(), layer_of()), pictures(), on=False)
    gradients_of(model, pictures(), on=True)
    _, after = gradients_of(model, pictures(), on=False)
    assert after == before
    assert "IdentityN" not in after  # Of a gradient written by hand.


@pytest.mark.parametrize("recomputed", [False, True])
def test_a_detector_learns_the_same(recomputed):
    small = {"head_convs": 1, "head_filters": 16, "neck_filters": 16}
    model = retinanet((128, 256), 3, backbone="tiny", **small)
    theirs, their_ops = gradients_of(model, pictures(128, 256), on=False)
    beside = contextlib.nullcontext
    if recomputed:
        beside = Rematerialization(model, is_compiled=False).on
    ours, ops = gradients_of(model, pictures(128, 256), on=True, beside=beside)
    for name in ("Conv2DBackpropInput", "Conv2DBackpropFilter"):
        assert ops.count(name) < their_ops.count(name) / 3
    # A bias before a BatchNorm has nothing but rounding.
    kernels = [[g for g in gradients if g.ndim == 4] for gradients in (ours, theirs)]
    assert_equal_gradients(*kernels)
