"""What NAS-FPN promises, besides what tests/conformance asks of every neck."""

import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models.authors.nas_fpn import nas_fpn_names
from st_keras.models.layers import Norm
from st_keras.models.necks.nas_fpn import nas_fpn
from tests.models import reference

# Of an image of 128 x 256 pixels, whose level 7 is 1 x 2 cells.
CELLS = {3: (16, 32), 4: (8, 16), 5: (4, 8), 6: (2, 4), 7: (1, 2)}
RESNET_50 = {3: 512, 4: 1024, 5: 2048}
EFFICIENTNET_B7 = {3: 80, 4: 224, 5: 640}
EFFICIENTNET_L2 = {3: 176, 4: 480, 5: 1376}


def shapes(channels):
    return {
        str(level): (None, *CELLS[level], width) for level, width in channels.items()
    }


def features(channels):
    draw = np.random.default_rng(0)
    return {
        level: draw.normal(size=[2, *shape[1:]]).astype(np.float32)
        for level, shape in shapes(channels).items()
    }


@pytest.mark.parametrize(
    ("channels", "repeats", "separable", "parameters"),
    [
        (EFFICIENTNET_B7, 7, True, 3_606_704),
        (EFFICIENTNET_L2, 7, True, 3_886_320),
        (RESNET_50, 5, False, 21_590_528),
    ],
)
def test_it_has_the_parameters_that_are_known(channels, repeats, separable, parameters):
    model = nas_fpn(shapes(channels), repeats=repeats, separable=separable)
    assert sum(math.prod(v.shape) for v in model.trainable_variables) == parameters


# Level 4 has the channels of the pyramid already, and needs no convolution; in the
# second row levels 6 and 7 come from the backbone and are not pooled. Theirs is only
# right with 256: inside of a cell it takes no other number.
@pytest.mark.parametrize(
    ("channels", "separable"),
    [
        ({3: 5, 4: 256, 5: 12}, True),
        ({3: 5, 4: 256, 5: 12, 6: 256, 7: 9}, False),
    ],
)
def test_it_is_that_of_tf_models_official(channels, separable):
    from official.vision.modeling.decoders import nasfpn

    ours = nas_fpn(
        shapes(channels),
        repeats=2,
        separable=separable,
        activation="swish",
        norm=Norm(epsilon=1e-3),
    )
    narrowed = tuple(level for level, width in channels.items() if width != 256)
    names = dict(nas_fpn_names(2, separable=separable, narrowed=narrowed))
    reference.set_weights(ours, names.items())
    theirs = nasfpn.NASFPN(
        {level: tf.TensorShape(shape) for level, shape in shapes(channels).items()},
        num_repeats=2,
        use_separable_conv=separable,
        activation="swish",
    )
    # Theirs have no names of their own, but numbers in the order they were made.
    layers = sorted((layer for layer in theirs.layers if layer.weights), key=creation)
    norms = [layer for layer in layers if "normalization" in layer.name]
    convs = [layer for layer in layers if layer not in norms]
    for suffix, group in (("_conv", convs), ("_norm", norms)):
        own = [name for name in names if name.endswith(suffix)]
        for name, layer in zip(own, group, strict=True):
            layer.set_weights(ours.get_layer(name).get_weights())
    pyramid = features(channels)
    expected, found = theirs(pyramid, training=False), ours(pyramid, training=False)
    assert found.keys() == expected.keys() == {"3", "4", "5", "6", "7"}
    for level, value in expected.items():
        assert value.shape[1:3] == CELLS[int(level)]
        np.testing.assert_allclose(found[level], value, atol=1e-5 * np.abs(value).max())


def test_only_two_nodes_of_a_cell_take_in_what_nothing_else_uses():
    # Nobody looks at the levels 5 and 7 that come in, but the outputs of these levels.
    model = nas_fpn(shapes({3: 4, 4: 4, 5: 4}), filters=4, repeats=2)
    joins = {
        layer.name: layer.input
        for layer in model.layers
        if layer.name.endswith("_join") and len(layer.input) > 2
    }
    assert set(joins) == {
        f"cell{cell}_node{node}_join" for cell in range(2) for node in (9, 10)
    }
    first, second = (
        {tensor.name.split("/")[0] for tensor in joins[f"cell0_node{node}_join"]}
        for node in (9, 10)
    )
    assert "level5" in first
    assert "level7_pool" in second


def test_the_channels_of_a_finer_level_are_weighed_by_the_largest_of_a_coarser():
    # Node 5 joins levels 4 and 6 at level 4. Nothing is narrowed or learned before it.
    model = nas_fpn(shapes({3: 2, 4: 2, 5: 2}), filters=2, repeats=1)
    node = tf.keras.Model(model.input, model.get_layer("cell0_node5_join").output)
    pyramid = {
        level: np.zeros([1, *shape[1:]], np.float32)
        for level, shape in shapes({3: 2, 4: 2, 5: 2}).items()
    }
    pyramid["4"][...] = 10.0
    pyramid["5"][0, 2, 5] = (math.log(3), 0.0)
    joined = node(pyramid).numpy()[0]
    # Level 6 is pooled from 5: cell (1, 2), which is rows 4 to 7, columns 8 to 11 here.
    # sigmoid(log 3) = 3 / 4 and sigmoid(0) = 1 / 2 of 10.
    expected = np.tile(np.float32([7.5, 5.0]), (8, 16, 1))
    expected[4:8, 8:12, 0] += math.log(3)
    np.testing.assert_allclose(joined, expected, rtol=1e-6)


def test_nothing_comes_after_the_last_batch_norm():
    model = nas_fpn(shapes({3: 4, 4: 4, 5: 4}), filters=4, repeats=1)
    found = model(features({3: 4, 4: 4, 5: 4}), training=True)
    for value in found.values():  # Normalised, so that half of it is negative.
        np.testing.assert_allclose(np.mean(value), 0.0, atol=1e-3)


def test_the_settings_arrive_at_every_layer():
    norm = Norm(momentum=0.5, epsilon=0.1, synchronized=True)
    model = nas_fpn(
        shapes({3: 5, 4: 6, 5: 7}), filters=4, repeats=2, activation="swish", norm=norm
    )
    norms = [layer for layer in model.layers if layer.name.endswith("_norm")]
    assert len(norms) == 3 + 2 * 7
    assert {(n.momentum, n.epsilon, n.synchronized) for n in norms} == {
        (0.5, 0.1, True)
    }
    acts = [layer for layer in model.layers if layer.name.endswith("_act")]
    assert len(acts) == 2 * 7
    assert {act.activation for act in acts} == {tf.keras.activations.swish}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"3": None}, r"`feature_shapes` must have levels 3, .* got \[4, 5\]"),
        ({"4": None}, r"`feature_shapes` .* without a gap, got \[3, 5\]"),
        ({"2": (None, 32, 64, 4)}, r"`feature_shapes` .* got \[2, 3, 4, 5\]"),
        (
            {"6": (None, 2, 4, 4), "7": (None, 1, 2, 4), "8": (None, 1, 1, 4)},
            r"`feature_shapes` .* to 7 at most, .* got \[3, 4, 5, 6, 7, 8\]",
        ),
        ({"3": (None, 24, 32, 4)}, r"multiples of 16 cells at level 3, got 24 x 32"),
        ({"3": (None, 16, None, 4)}, r"of 16 cells at level 3, got 16 x None"),
    ],
)
def test_what_does_not_fit_is_named(change, message):
    changed = shapes({3: 4, 4: 4, 5: 4}) | change
    changed = {level: shape for level, shape in changed.items() if shape}
    with pytest.raises(ValueError, match=message):
        nas_fpn(changed)


def creation(layer):
    """Returns the number that Keras has put behind a name, 0 if there is none."""
    last = layer.name.split("_")[-1]
    return int(last) if last.isdigit() else 0
