"""What the ResNets promise, besides what tests/conformance asks of every model."""

import hashlib
import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import randomness
from st_keras.models.authors.resnet import resnet_names
from st_keras.models.backbones.resnet import resnet
from st_keras.models.layers import Norm
from tests.models import reference

SIZE = (64, 128)  # Height and width differ, so that a swap shows.
GARDEN_NORM = Norm(momentum=0.99, epsilon=1e-3)


def count(model):
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def with_weights(depth, size=SIZE, **settings):
    """Returns a ResNet whose weights follow from the authors' names of them."""
    model = resnet(depth, size, **settings)
    reference.set_weights(model, resnet_names(depth))
    return model


def garden_layers(model):
    """Yields (our name, layer) for each layer of a ResNet of tf-models-official."""
    plain = [layer for layer in model.layers if layer.weights]
    yield "stem_conv", plain[0]
    yield "stem_norm", plain[1]
    level, number = 1, 0
    for block in plain[2:]:
        is_first = hasattr(block, "_shortcut")
        level, number = (level + 1, 0) if is_first else (level, number + 1)
        units = {"shortcut": ("_shortcut", "_norm0")} if is_first else {}
        for index, part in enumerate("abc", start=1):
            if hasattr(block, f"_conv{index}"):
                units[part] = (f"_conv{index}", f"_norm{index}")
        for part, (conv, norm) in units.items():
            yield f"level{level}_{number}_{part}_conv", getattr(block, conv)
            yield f"level{level}_{number}_{part}_norm", getattr(block, norm)


def copy_to_garden(ours, theirs):
    pairs = dict(garden_layers(theirs))
    assert set(pairs) == {layer.name for layer in ours.layers if layer.weights}
    for name, layer in pairs.items():
        layer.set_weights(ours.get_layer(name).get_weights())


def assert_close(ours, theirs, tolerance=1e-5):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < tolerance * np.abs(theirs).max()


# Of 18 and 34, He et al. have 4224 fewer: no projection at the first stage.
@pytest.mark.parametrize(
    ("depth", "parameters"),
    [(18, 11_176_512 + 4224), (34, 21_284_672 + 4224), (50, 23_508_032)],
)
def test_it_has_the_parameters_that_are_known(depth, parameters):
    assert count(resnet(depth, SIZE)) == parameters


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "parameters"),
    [(101, 42_500_160), (152, 58_143_808), (200, 62_624_832)],
)
def test_its_large_depths_have_the_parameters_that_are_known(depth, parameters):
    assert count(resnet(depth, SIZE)) == parameters


def test_its_variables_are_those_of_the_authors():
    model, scopes = resnet(50, SIZE), dict(resnet_names(50))
    lines = sorted(
        f"{scopes[layer.name]}/{weight.name.split('/')[-1].removesuffix(':0')} "
        + ",".join(str(side) for side in weight.shape)
        for layer in model.layers
        for weight in layer.weights
    )
    # The lines `resnet50/...` of the graph that gave
    # tests/golden/retinanet_resnet50_fpn_128x256.json.
    assert len(lines) == 265
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == (
        "f7a1b643736061e3174f70ae7ee72d7ba8baecf0dfd3e5de28325dd1597fad81"
    )


@pytest.mark.parametrize("depth", [18, 34])
def test_every_layer_with_weights_has_a_name_of_the_authors(depth):
    names = dict(resnet_names(depth, scope="base_model"))
    layers = {layer.name for layer in resnet(depth, SIZE).layers if layer.weights}
    assert set(names) == layers
    assert names["stem_conv"] == "base_model/conv2d"
    assert names["level2_0_shortcut_norm"] == "base_model/batch_normalization_1"


@pytest.mark.parametrize("depth", [18, 50])
def test_with_same_padding_it_is_that_of_tf_models_official(depth):
    from official.vision.modeling.backbones import resnet as garden

    ours = with_weights(depth, flavor="tf_models", norm=GARDEN_NORM)
    specs = tf.keras.layers.InputSpec(shape=[None, *SIZE, 3])
    theirs = garden.ResNet(depth, input_specs=specs)
    copy_to_garden(ours, theirs)
    images = reference.input_image(*SIZE)
    expected = theirs(images, training=False)
    found = ours(images, training=False)
    assert found.keys() == expected.keys()
    for level in expected:
        assert_close(found[level], expected[level])


@pytest.mark.parametrize(("stride", "multigrid"), [(16, (1, 2, 4)), (8, (1, 2, 1))])
def test_dilated_it_is_that_of_tf_models_official(stride, multigrid):
    from official.vision.modeling.backbones import resnet_deeplab as garden

    ours = with_weights(
        50,
        flavor="tf_models",
        norm=GARDEN_NORM,
        output_stride=stride,
        multigrid=multigrid,
    )
    specs = tf.keras.layers.InputSpec(shape=[None, *SIZE, 3])
    theirs = garden.DilatedResNet(50, stride, input_specs=specs, multigrid=multigrid)
    copy_to_garden(ours, theirs)
    images = reference.input_image(*SIZE)
    expected = theirs(images, training=False)
    found = ours(images, training=False)
    # Theirs calls the last stage by its stride, and leaves out what is between.
    last = str(int(math.log2(stride)))
    assert_close(found["2"], expected["2"])
    assert_close(found["5"], expected[last])


def test_its_stages_are_where_it_says():
    for stride, cells in ((32, (16, 8, 4, 2)), (16, (16, 8, 4, 4)), (8, (16, 8, 8, 8))):
        model = resnet(18, SIZE, output_stride=stride)
        assert model.output_shape == {
            str(level): (None, height, 2 * height, 16 * 2**level)
            for level, height in zip((2, 3, 4, 5), cells, strict=True)
        }


def test_symmetric_padding_sees_as_far_up_as_down():
    # The 7x7 stem at stride 2 sees rows -3 to 3 around row 0; TensorFlow's `same`
    # padding would shift that to rows -2 to 4.
    model = resnet(18, SIZE)
    stem = tf.keras.Model(model.input, model.get_layer("stem_conv").output)
    for row, is_seen in ((3, True), (4, False)):
        images = np.zeros([1, *SIZE, 3], np.float32)
        images[:, row] = 1.0
        assert np.any(stem(images)[:, 0]) == is_seen


def test_drop_connect_rises_over_the_stages():
    model = resnet(18, SIZE, drop_connect=0.5)
    rates = {
        layer.name: layer.rate for layer in model.layers if layer.name.endswith("_drop")
    }
    assert len(rates) == 8
    assert rates["level2_0_drop"] == rates["level2_1_drop"] == pytest.approx(0.2)
    assert rates["level5_1_drop"] == pytest.approx(0.5)


def test_drop_connect_is_a_function_of_the_seed():
    model = resnet(18, SIZE, drop_connect=0.5)
    images = tf.constant(reference.input_image(*SIZE))

    def features(number):
        with randomness.seeded(tf.constant([number, 0])):
            return model(images, training=True)["5"].numpy()

    np.testing.assert_array_equal(features(1), features(1))
    assert any(np.any(features(1) != features(number)) for number in range(2, 5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 49}, r"`depth` must be one of 18, .*, got 49"),
        ({"output_stride": 4}, r"`output_stride` must be one of 8, 16, 32, got 4"),
        ({"flavor": "jax"}, r"`flavor` must be one of authors, .* got 'jax'"),
        ({"image_size_px": (64, 72)}, r"`image_size_px` .* of 32 .*, got 64 x 72"),
        ({"image_size_px": (None, 64)}, r"`image_size_px` .* of 32 .*, got None x 64"),
        ({"multigrid": (1, 2, 4)}, r"`multigrid` must be None at output stride 32"),
        (
            {"multigrid": (1, 2), "output_stride": 16},
            r"`multigrid` .* each of the 3 blocks .*, got \(1, 2\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        resnet(**{"depth": 50, "image_size_px": SIZE, **settings})
