"""What EfficientNets promise, besides what tests/conformance asks of every model."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import Norm, build_backbone, classifier
from st_keras.models.authors.efficientnet import efficientnet_names
from st_keras.models.backbones.efficientnet import (
    SCALINGS,
    STAGES,
    efficientnet,
    round_filters,
    round_repeats,
)
from tests.models import reference

SIZE = (64, 128)  # Height and width differ, so that a swap shows.


@dataclasses.dataclass(frozen=True)
class Known:
    """What is published of a size, or follows from it."""

    parameters: int  # Trainable, without the classifier.
    repeats: tuple[int, ...]  # Blocks of each stage.
    widths: tuple[int, ...]  # Channels of the stem and of each stage.
    top: int  # Channels of the classifier's last convolution.
    with_top: int  # Trainable, with a classifier of 1000 classes.

    def channels(self):
        """Returns those of levels 2 to 5, which end with the stages 2, 3, 5 and 7."""
        return [self.widths[stage] for stage in (2, 3, 5, 7)]


SIZES = {
    "b0": Known(
        3_595_388,
        (1, 2, 2, 3, 3, 4, 1),
        (32, 16, 24, 40, 80, 112, 192, 320),
        1280,
        5_288_548,
    ),
    "b1": Known(
        6_101_024,
        (2, 3, 3, 4, 4, 5, 2),
        (32, 16, 24, 40, 80, 112, 192, 320),
        1280,
        7_794_184,
    ),
    "b2": Known(
        7_202_562,
        (2, 3, 3, 4, 4, 5, 2),
        (32, 16, 24, 48, 88, 120, 208, 352),
        1408,
        9_109_994,
    ),
    "b3": Known(
        10_103_336,
        (2, 3, 3, 5, 5, 6, 2),
        (40, 24, 32, 48, 96, 136, 232, 384),
        1536,
        12_233_232,
    ),
    "b4": Known(
        16_742_216,
        (2, 4, 4, 6, 6, 8, 2),
        (48, 24, 32, 56, 112, 160, 272, 448),
        1792,
        19_341_616,
    ),
    "b5": Known(
        27_288_112,
        (3, 5, 5, 7, 7, 9, 3),
        (48, 24, 40, 64, 128, 176, 304, 512),
        2048,
        30_389_784,
    ),
    "b6": Known(
        39_403_992,
        (3, 6, 6, 8, 8, 11, 3),
        (56, 32, 40, 72, 144, 200, 344, 576),
        2304,
        43_040_704,
    ),
    "b7": Known(
        62_143_440,
        (4, 7, 7, 10, 10, 13, 4),
        (64, 32, 48, 80, 160, 224, 384, 640),
        2560,
        66_347_960,
    ),
    "l2": Known(
        467_219_796,
        (6, 11, 11, 16, 16, 22, 6),
        (136, 72, 104, 176, 344, 480, 824, 1376),
        5504,
        480_309_308,
    ),
}
# Where an identity shortcut goes past a block of B0: not the first of a stage.
SHORTCUTS = (2, 4, 6, 7, 9, 10, 12, 13, 14)


@pytest.fixture(scope="module")
def b0():
    """One for the tests that leave its weights alone, by the authors' names of them."""
    return with_weights()


def with_weights(**settings):
    model = efficientnet("b0", SIZE, **settings)
    reference.set_weights(model, efficientnet_names("b0"))
    return model


def count(model):
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def last_feature_without_squeezes(output_stride):
    """Returns that of B0, where no cell looks at all others."""
    model = with_weights(output_stride=output_stride)
    for layer in with_weight_layers(model):
        if layer.name.endswith("_se_expand"):
            layer.kernel.assign(tf.zeros_like(layer.kernel))
    return model(reference.input_image(*SIZE), training=False)["5"]


def with_weight_layers(model):
    return [layer for layer in model.layers if layer.weights]


def assert_close(ours, theirs, tolerance=1e-5):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < tolerance * np.abs(theirs).max()


def test_every_size_of_the_paper_is_there():
    assert set(SIZES) == set(SCALINGS)


@pytest.mark.parametrize(
    "model_id",
    [
        model_id if model_id == "b0" else pytest.param(model_id, marks=pytest.mark.slow)
        for model_id in SIZES
    ],
)
def test_each_size_is_as_wide_and_as_deep_as_is_known(model_id):
    model, known = efficientnet(model_id, SIZE), SIZES[model_id]
    assert count(model) == known.parameters
    assert model.output_shape == {
        str(level): (None, 64 // 2**level, 128 // 2**level, channels)
        for level, channels in zip((2, 3, 4, 5), known.channels(), strict=True)
    }
    names = {layer.name for layer in with_weight_layers(model)}
    assert len([name for name in names if name.endswith("_depthwise_conv")]) == (
        sum(known.repeats)
    )
    assert names == set(dict(efficientnet_names(model_id)))


@pytest.mark.parametrize("model_id", SIZES)
def test_stages_repeat_and_widen_as_in_the_table_of_the_authors(model_id):
    scaling, known = SCALINGS[model_id], SIZES[model_id]
    assert known.repeats == tuple(
        round_repeats(stage.repeats, scaling.depth) for stage in STAGES
    )
    assert known.widths == tuple(
        round_filters(filters, scaling.width)
        for filters in (32, *(stage.filters for stage in STAGES))
    )


@pytest.mark.parametrize("model_id", SIZES)
def test_a_classifiers_last_convolution_has_4_channels_for_one_before_it(model_id):
    known = SIZES[model_id]
    assert round_filters(1280, SCALINGS[model_id].width) == known.top
    assert 4 * known.widths[-1] == known.top
    # A convolution, a BatchNorm, and a predictor with a bias.
    top = known.widths[-1] * known.top + 2 * known.top + (known.top + 1) * 1000
    assert known.parameters + top == known.with_top


@pytest.mark.slow  # That of B0 is in test_classifier.py.
@pytest.mark.parametrize("model_id", [size for size in SIZES if size != "b0"])
def test_with_a_classifier_it_has_the_parameters_that_are_known(model_id):
    model = classifier(SIZE, 1000, backbone=f"efficientnet_{model_id}")
    assert count(model) == SIZES[model_id].with_top


def test_channels_are_multiples_of_8_and_at_most_a_tenth_less():
    # 16 * 1.1 = 17.6 is nearest to 16; 12 * 0.9 = 10.8 to 8, which is 26% less.
    assert round_filters(16, 1.1) == 16
    assert round_filters(12, 0.9) == 16
    assert round_filters(1, 1.0) == 8


def test_repeats_are_rounded_up():
    # 1 * 1.1 and 3 * 1.4 = 4.2 are not whole; 5 * 2 is, and gets no block more.
    assert [round_repeats(1, 1.1), round_repeats(3, 1.4), round_repeats(5, 2.0)] == [
        *(2, 5, 10)
    ]


def test_it_gives_what_that_of_keras_gives(b0):
    theirs = tf.keras.applications.EfficientNetB0(
        include_top=False, weights=None, input_shape=(*SIZE, 3)
    )
    # Keras normalises the images before that layer.
    images = theirs.get_layer("stem_conv_pad").input
    pairs = keras_names(theirs)
    for ours, name in pairs.items():
        theirs.get_layer(name).set_weights(b0.get_layer(ours).get_weights())
    assert set(pairs) == {layer.name for layer in with_weight_layers(b0)}
    taps = {"2": "block2b_add", "3": "block3b_add", "4": "block5c_add"}
    taps["5"] = "block7a_project_bn"
    trunk = tf.keras.Model(
        images, {level: theirs.get_layer(name).output for level, name in taps.items()}
    )
    picture = reference.input_image(*SIZE)
    expected, found = trunk(picture, training=False), b0(picture, training=False)
    assert found.keys() == expected.keys()
    for level in expected:
        assert_close(found[level], expected[level])


def test_later_blocks_drop_more_and_those_without_a_shortcut_nothing(b0):
    # Block i of 16 drops 0.2 * i / 16: the last of them, 14, 0.175.
    assert {layer.name: layer.rate for layer in drops(b0)} == {
        f"block{number}_drop": pytest.approx(0.2 * number / 16) for number in SHORTCUTS
    }
    assert all(layer.per_example for layer in drops(b0))
    assert not drops(efficientnet("b0", SIZE, drop_connect=0.0))


@pytest.mark.parametrize(
    ("stride", "dilations"),
    # Blocks 5 and 11 begin the stages at strides 16 and 32. The first convolution that
    # is not strided any more still sees what it saw; those after it reach further.
    [
        (16, dict.fromkeys(range(12, 16), 2)),
        (8, dict.fromkeys(range(6, 12), 2) | dict.fromkeys(range(12, 16), 4)),
    ],
)
def test_what_comes_after_a_stride_that_is_gone_is_dilated(stride, dilations):
    model = efficientnet("b0", SIZE, output_stride=stride)
    found = {
        number: model.get_layer(f"block{number}_depthwise_conv").dilation_rate[0]
        for number in range(16)
    }
    assert found == {number: dilations.get(number, 1) for number in range(16)}
    assert [shape[1] for shape in model.output_shape.values()] == [
        max(64 // 2**level, 64 // stride) for level in (2, 3, 4, 5)
    ]


@pytest.fixture(scope="module")
def strided_feature():
    return last_feature_without_squeezes(output_stride=32)


@pytest.mark.parametrize(("stride", "first"), [(16, 1), (8, 3)])
def test_dilated_it_computes_in_each_cell_what_it_computed_in_some(
    stride, first, strided_feature
):
    # At stride 2, TensorFlow's `same` puts the middle of cell i on cell 2 * i + 1, and
    # twice on 4 * i + 3.
    dilated = last_feature_without_squeezes(output_stride=stride)
    step = 32 // stride
    assert dilated.shape[1:3] == (64 // stride, 128 // stride)
    assert_close(dilated[:, first::step, first::step], strided_feature)


def test_kernels_start_with_a_variance_of_2_by_what_goes_out(b0):
    fresh = efficientnet("b0", SIZE)
    for name, fan_out in (
        ("stem_conv", 3 * 3 * 32),
        ("block15_expand_conv", 1152),
        ("block15_depthwise_conv", 3 * 3),  # A kernel of its own for each channel.
        ("block15_se_reduce", 48),
        ("block15_project_conv", 320),
    ):
        kernel = fresh.get_layer(name).get_weights()[0]
        np.testing.assert_allclose(kernel.std(), math.sqrt(2 / fan_out), rtol=0.1)
    twins = [f"block{number}_expand_conv" for number in (12, 13)]
    one, other = (fresh.get_layer(name).get_weights()[0] for name in twins)
    assert one.shape == other.shape
    assert np.any(one != other)


def test_sizes_that_do_not_divide_are_rounded_up():
    # 75 -> 38 -> 19 -> 10 -> 5 -> 3 rows, 110 -> 55 -> 28 -> 14 -> 7 -> 4 columns.
    shapes = efficientnet("b0", (75, 110)).output_shape
    sides = {level: shape[1:3] for level, shape in shapes.items()}
    assert sides == {"2": (19, 28), "3": (10, 14), "4": (5, 7), "5": (3, 4)}


def test_the_framework_sets_of_its_norm_only_whether_replicas_share_it():
    norm = Norm(momentum=0.5, epsilon=0.1, synchronized=True)
    model = build_backbone("efficientnet_b0", SIZE, activation="relu", norm=norm)
    norms = [layer for layer in model.layers if layer.name.endswith("_norm")]
    assert len(norms) == 1 + 3 * 16 - 1  # The first block does not widen.
    assert {(n.momentum, n.epsilon, n.synchronized) for n in norms} == {
        (0.99, 1e-3, True)
    }
    assert model.get_layer("stem_act").activation is tf.keras.activations.swish


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_id": "b9"}, r"`model_id` must be one of b0, .*, l2, got 'b9'"),
        ({"output_stride": 4}, r"`output_stride` must be 8, 16 or 32, got 4"),
        ({"image_size_px": (None, 64)}, r"`image_size_px` .* known, got None x 64"),
        ({"drop_connect": 1.0}, r"`drop_connect` must be in \[0, 1\), got 1.0"),
    ],
)
def test_what_does_not_fit_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        efficientnet(**{"model_id": "b0", "image_size_px": SIZE, **settings})


def drops(model):
    return [layer for layer in model.layers if layer.name.endswith("_drop")]


def keras_blocks(theirs):
    """Returns the names of the blocks of Keras' EfficientNet, `block1a` first."""
    names = {layer.name.split("_")[0] for layer in theirs.layers}
    return sorted(name for name in names if name.startswith("block"))


def keras_names(theirs):
    """Returns the names of the layers of Keras' EfficientNet by our names of them."""
    ends = {
        **{"expand_conv": "expand_conv", "expand_norm": "expand_bn"},
        **{"depthwise_conv": "dwconv", "depthwise_norm": "bn"},
        **{"se_reduce": "se_reduce", "se_expand": "se_expand"},
        **{"project_conv": "project_conv", "project_norm": "project_bn"},
    }
    there = {layer.name for layer in theirs.layers}
    names = {"stem_conv": "stem_conv", "stem_norm": "stem_bn"}
    for number, block in enumerate(keras_blocks(theirs)):
        for ours, end in ends.items():
            if f"{block}_{end}" in there:  # The first block does not widen.
                names[f"block{number}_{ours}"] = f"{block}_{end}"
    return names
