"""What the SpineNets promise, besides what tests/conformance asks of every model."""

import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras import models
from st_keras.models.authors.box_head import box_head_names
from st_keras.models.authors.spinenet import spinenet_names
from st_keras.models.backbones.spinenet import spinenet
from st_keras.models.backbones.spinenet_mobile import spinenet_mobile
from tests.models import reference


def count(model):
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def test_its_sizes_have_the_parameters_of_the_authors():
    # Counted from the authors' list of variables (without the moving statistics).
    assert count(spinenet("49s", (128, 128))) == 9_089_215
    assert count(spinenet("49", (128, 128))) == 21_831_488


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "parameters"),
    [("96", 36_262_976), ("143", 60_247_616), ("190", 126_587_664)],
)
def test_its_large_sizes_have_the_parameters_of_the_authors(size, parameters):
    assert count(spinenet(size, (128, 128))) == parameters


def test_mobile_49_has_the_parameters_of_the_model_zoo():
    # 2.34 M with a separable head of 48 filters and 91 classes.
    model = models.retinanet(
        (128, 128), 91, backbone="spinenet_mobile_49", head_filters=48, separable=True
    )
    assert count(model) == 2_337_579


def test_what_no_block_has_used_goes_into_an_output():
    # Feature 11 of the 15-block network has no other way out. Without it, changing
    # its block would change nothing.
    model = spinenet("49s", (128, 256), activation="relu")
    images = tf.constant(reference.input_image(128, 256))
    before = model(images)["5"]
    block = model.get_layer("block11_0_c_norm")
    block.beta.assign_add(tf.ones_like(block.beta))
    assert np.abs(model(images)["5"] - before).max() > 0.1


def test_mobile_uses_all_of_its_blocks():
    model = spinenet_mobile((128, 256))
    used = {layer.name.split("_")[0] for layer in model.layers}
    assert {f"block{feature}" for feature in range(2, 18)} <= used


@pytest.mark.parametrize("size", [(640, 600), (None, 640), (64, 128)])
def test_a_size_that_does_not_divide_is_named(size):
    with pytest.raises(ValueError, match=r"`image_size_px` .* of 128 .*, got .* x "):
        spinenet("49", size)
    with pytest.raises(ValueError, match=r"`image_size_px` .* of 128 .*, got .* x "):
        spinenet_mobile(size)


def test_drop_connect_rises_over_the_blocks():
    model = spinenet("143", (128, 128))
    rates = {
        layer.name: layer.rate for layer in model.layers if layer.name.endswith("_drop")
    }
    # 0.16 at the last of 15 blocks; the stem drops nothing.
    assert math.isclose(rates["block2_0_drop"], 0.16 / 15)
    assert math.isclose(rates["block16_2_drop"], 0.16)
    assert not [name for name in rates if name.startswith("stem")]


def test_a_step_seed_decides_what_is_dropped():
    model = spinenet("49s", (128, 128), drop_connect=0.5)
    images = tf.constant(np.repeat(reference.input_image(128, 128), 3, axis=0))

    def run(seed):
        with models.randomness.seeded(tf.constant([seed, 0])):
            return model(images, training=True)["3"].numpy()

    np.testing.assert_array_equal(run(1), run(1))
    assert np.abs(run(1) - run(2)).max() > 0.01
    # Each of three equal images is dropped by itself.
    rows = run(1)
    assert np.abs(rows[0] - rows[1]).max() > 0.01


CASES = {
    "retinanet_spinenet49s_128x256": {"head_filters": 128},
    "retinanet_spinenet49_128x256": {},
    "retinanet_spinenet96_128x256": {},
    "retinanet_spinenet190_128x128": {
        **{"head_filters": 512, "head_convs": 7},
        "norm": models.Norm(epsilon=1e-3),
    },
}
QUICK = {"retinanet_spinenet49s_128x256"}


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in CASES
    ],
)
def test_the_weights_of_the_authors_give_the_outputs_of_the_authors(name):
    backbone, size = name.removeprefix("retinanet_").split("_")
    height, width = map(int, size.split("x"))
    variant = backbone.removeprefix("spinenet")
    model = models.retinanet(
        (height, width),
        91,
        backbone=f"spinenet_{variant}",
        activation="swish",
        **CASES[name],
    )
    reference.set_weights(model.get_layer("backbone"), spinenet_names(variant))
    convs = CASES[name].get("head_convs", 4)
    reference.set_weights(model.get_layer("head"), box_head_names(convs))
    outputs = model(reference.input_image(height, width), training=False)
    reference.assert_detector_matches(outputs, reference.golden(name))
