"""What DeepLabv3+ promises, besides what tests/conformance asks of every model."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import Norm, randomness
from st_keras.models.deeplab import deeplab_v3_plus
from st_keras.models.heads.deeplab import deeplab_head
from st_keras.models.necks.aspp import aspp
from tests.models import reference
from tests.models.test_resnet import assert_close, copy_to_garden

SIZE = (64, 96)  # Height and width differ, so that a swap shows.
CLASSES = 5
SMALL = {"aspp_filters": 16, "low_level_filters": 8, "decoder_filters": 16}
ASPP_UNITS = ("point", "dilated0", "dilated1", "dilated2", "pooled", "join")


def small(backbone, output_stride=16, **settings):
    return deeplab_v3_plus(
        SIZE,
        CLASSES,
        **{"backbone": backbone, "output_stride": output_stride, **SMALL, **settings},
    )


@functools.cache
def shared(backbone):
    """A small model for tests that leave its weights alone."""
    model = small(backbone, 32 if backbone == "tiny" else 16)
    fill(model)
    return model


def fill(model):
    """Gives every weight a value, the moving statistics too."""
    for weight in model.weights:
        name = weight.name.removesuffix(":0")
        weight.assign(reference.variable_value(name, tuple(weight.shape)))


def images(count=2):
    noise = np.random.default_rng(0).normal(size=[count, *SIZE, 3])
    return tf.constant(noise, tf.float32)


def copy_aspp_to_garden(ours, theirs):
    for name, sequence in zip(
        ASPP_UNITS, [*theirs.aspp_layers, theirs.projection], strict=True
    ):
        conv, norm = ours.get_layer(f"{name}_conv"), ours.get_layer(f"{name}_norm")
        sequence.set_weights(conv.get_weights() + norm.get_weights())


def copy_head_to_garden(ours, theirs):
    # All trainable weights come first.
    layers = [ours.get_layer(f"{unit}_conv") for unit in ("low", *decoders(ours))]
    layers += [ours.get_layer(f"{unit}_norm") for unit in ("low", *decoders(ours))]
    layers.append(ours.get_layer("predict_conv"))
    names = [f"segmentation_head_conv_{i}" for i in range(len(decoders(ours)))]
    norms = [f"segmentation_head_norm_{i}" for i in range(len(decoders(ours)))]
    fusion = "segmentation_head_deeplabv3p_fusion"
    names = [f"{fusion}_conv", *names, f"{fusion}_norm", *norms, "segmentation_output"]
    parts = {layer.name: layer for layer in theirs.submodules}
    for layer, name in zip(layers, names, strict=True):
        parts[name].set_weights(layer.get_weights())


def decoders(head):
    names = [layer.name for layer in head.layers]
    return [
        n.removesuffix("_conv")
        for n in names
        if n.startswith("decoder") and n.endswith("_conv")
    ]


def test_its_pyramid_is_that_of_tf_models_official():
    from official.vision.modeling.decoders import aspp as garden

    feature = np.random.default_rng(0).normal(size=[2, 20, 41, 8]).astype("f")
    ours = aspp(feature.shape, rates=(2, 6, 18), filters=12, norm=Norm(epsilon=1e-3))
    fill(ours)
    theirs = garden.ASPP(
        5, [2, 6, 18], num_filters=12, dropout_rate=0.5, output_tensor=True
    )
    theirs(feature)
    copy_aspp_to_garden(ours, theirs.aspp)
    assert_close(ours(feature), theirs(feature, training=False))


@pytest.mark.parametrize("stride", [16, 8])
def test_it_is_the_model_of_tf_models_official(stride):
    from official.vision.modeling import segmentation_model
    from official.vision.modeling.backbones import resnet_deeplab
    from official.vision.modeling.decoders import aspp as garden_aspp
    from official.vision.modeling.heads import segmentation_heads

    ours = small(
        "resnet50",
        stride,
        activation="swish",
        norm=Norm(epsilon=1e-3),
        flavor="tf_models",
    )
    fill(ours)
    level = {16: 4, 8: 3}[stride]
    backbone = resnet_deeplab.DilatedResNet(
        50,
        stride,
        input_specs=tf.keras.layers.InputSpec(shape=[None, *SIZE, 3]),
        multigrid=(1, 2, 4),
        activation="swish",
    )
    neck = garden_aspp.ASPP(
        level,
        {16: [6, 12, 18], 8: [12, 24, 36]}[stride],
        num_filters=16,
        dropout_rate=0.5,
        activation="swish",
    )
    head = segmentation_heads.SegmentationHead(
        CLASSES,
        level,
        num_filters=16,
        feature_fusion="deeplabv3plus",
        low_level=2,
        low_level_num_filters=8,
        activation="swish",
    )
    theirs = segmentation_model.SegmentationModel(backbone, neck, head)
    theirs(images())
    copy_to_garden(ours.get_layer("backbone"), backbone)
    copy_aspp_to_garden(ours.get_layer("neck"), neck.aspp)
    copy_head_to_garden(ours.get_layer("head"), head)
    expected = theirs(images(), training=False)["logits"]
    assert_close(ours(images(), training=False)["logits"], expected)


@pytest.mark.parametrize("backbone", ["tiny", "resnet18"])
def test_its_logits_are_at_a_quarter_of_the_image(backbone):
    model = shared(backbone)
    assert model.output_shape == {"logits": (None, 16, 24, CLASSES)}
    names = [layer.name for layer in model.layers[1:]]
    assert names == ["backbone", "neck", "head", "logits"]


@pytest.mark.parametrize(("stride", "cells"), [(16, (4, 6)), (32, (2, 3))])
def test_it_runs_on_an_efficientnet(stride, cells):
    model = small("efficientnet_b0", stride)
    assert model.get_layer("neck").output_shape == (None, *cells, 16)
    assert model.output_shape == {"logits": (None, 16, 24, CLASSES)}


def test_the_pyramid_sees_the_same_distance_at_each_output_stride():
    for stride, wanted in ((8, (12, 24, 36)), (16, (6, 12, 18)), (32, (3, 6, 9))):
        neck = small("resnet18", stride).get_layer("neck")
        rates = [neck.get_layer(f"dilated{i}_conv").dilation_rate[0] for i in range(3)]
        assert tuple(rates) == wanted


@pytest.mark.slow
def test_the_last_stage_has_a_multigrid_if_it_is_dilated():
    def dilations(backbone, stride, **settings):
        stages = small(backbone, stride, **settings).get_layer("backbone")
        names = [f"level5_{number}_b_conv" for number in range(3)]
        present = {layer.name for layer in stages.layers}
        return [
            stages.get_layer(name).dilation_rate[0] for name in names if name in present
        ]

    assert dilations("resnet34", 16) == [2, 4, 8]
    assert dilations("resnet34", 8) == [4, 8, 16]
    assert dilations("resnet18", 16) == [2, 4]
    assert dilations("resnet18", 32) == [1, 1]
    assert dilations("resnet34", 16, multigrid=(1, 1, 1)) == [2, 2, 2]


def test_a_coarse_feature_is_enlarged_between_its_cells():
    # Two cells, 0 and 1, enlarged fourfold: half-pixel centres are at (i + 0.5) / 4
    # - 0.5 = -.375, -.125, .125, ... of a cell, held at the borders.
    head = deeplab_head((None, 4, 8, 1), (None, 1, 2, 1), 2)
    enlarge = tf.keras.Model(head.input, head.get_layer("high_up").output)
    high = np.float32([0, 1]).reshape([1, 1, 2, 1])
    found = enlarge({"low": np.zeros([1, 4, 8, 1], np.float32), "high": high})
    row = [0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]
    np.testing.assert_allclose(found[0, :, :, 0], [row] * 4, atol=1e-6)


def test_its_dropout_is_a_function_of_the_seed():
    neck = aspp((None, 3, 5, 8), filters=8)
    feature = tf.ones([2, 3, 5, 8])

    def drop(number):
        with randomness.seeded(tf.constant([number, 0])):
            return neck.get_layer("dropout")(feature, training=True).numpy()

    np.testing.assert_array_equal(drop(1), drop(1))
    assert np.any(drop(1) != drop(2))
    assert set(np.unique(drop(1))) == {0.0, 2.0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size_px": (64, 72)}, r"`image_size_px` .* of 16 .*, got 64 x 72"),
        ({"image_size_px": (64, None)}, r"`image_size_px` .* got 64 x None"),
        ({"num_classes": 1}, r"`num_classes` must be 2 or more, got 1"),
        (
            {"backbone": "spinenet_49"},
            r"`backbone` must be one of tiny, .*'spinenet_49'",
        ),
        ({"backbone": "resnet49"}, r"`backbone` must be one of tiny, .*'resnet49'"),
        ({"output_stride": 4}, r"`output_stride` must be one of 8, 16, 32, got 4"),
        ({"backbone": "tiny"}, r"`output_stride` must be 32 .*, got 16"),
        (
            {"backbone": "tiny", "output_stride": 32, "multigrid": (1, 2)},
            r"`multigrid` must be None on tiny.* got \(1, 2\)",
        ),
        ({"multigrid": (1, 2)}, r"`multigrid` .* of the 3 blocks .* got \(1, 2\)"),
        ({"aspp_rates": (6, 0)}, r"`aspp_rates` must be 1 or more each, got \(6, 0\)"),
        ({"dropout": 1.5}, r"`dropout` must be in \[0, 1\), got 1.5"),
    ],
)
def test_what_does_not_fit_is_named(settings, message):
    arguments = {"image_size_px": SIZE, "num_classes": CLASSES, "backbone": "resnet50"}
    with pytest.raises(ValueError, match=message):
        deeplab_v3_plus(**{**arguments, **settings})
