"""What `nas_fpn_segmenter` promises, besides what tests/conformance asks of models."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras import models
from st_keras.models import Norm, nas_fpn_segmenter
from st_keras.models.authors.efficientnet import efficientnet_names
from st_keras.models.authors.nas_fpn import nas_fpn_names
from st_keras.models.authors.segmentation import segmentation_head_names
from st_keras.models.heads.segmentation import segmentation_head
from st_keras.models.necks.pyramid_fusion import pyramid_fusion
from tests.models import reference

SIZE = (128, 256)  # Height and width differ, so that a swap shows.
QUICK = {"b0"}


def sizes(*model_ids):
    return pytest.mark.parametrize(
        "model_id",
        [
            size if size in QUICK else pytest.param(size, marks=pytest.mark.slow)
            for size in model_ids
        ],
    )


def small(**changes):
    settings = {"backbone": "tiny", "filters": 8, "repeats": 1, **changes}
    return nas_fpn_segmenter(SIZE, 3, **settings)


@functools.cache
def preset(model_id):
    name = f"nas_fpn_segmenter_efficientnet_{model_id}"
    return models.build(name, image_size_px=SIZE)


def count(model):
    return sum(math.prod(v.shape) for v in model.trainable_variables)


@sizes("b0", "b7")
def test_the_weights_of_the_authors_give_the_outputs_of_the_authors(model_id):
    model = preset(model_id)
    reference.set_weights(model.get_layer("backbone"), efficientnet_names(model_id))
    reference.set_weights(model.get_layer("neck"), nas_fpn_names())
    reference.set_weights(model.get_layer("head"), segmentation_head_names())
    reference.assert_matches(
        model(reference.input_image(*SIZE), training=False)["logits"].numpy(),
        reference.golden(f"segmentation_efficientnet_{model_id}_nasfpn_128x256")[
            "logits"
        ],
    )


# All trainable variables of the authors' graph, so 71M and 485M in their README: it
# counts the classifier of ImageNet, which the graph has but does not use. For B7 it is
# a convolution of 640 * 2560, the BatchNorm's 2 * 2560 and (2560 + 1) * 1000.
@sizes("b0", "b7", "l2")
def test_it_has_the_parameters_of_the_authors_but_for_their_unused_classifier(model_id):
    backbone, neck, unused, total = {
        "b0": (3_595_388, 3_485_400, 1_693_160, 10_551_121),
        "b7": (62_143_440, 3_606_704, 4_204_520, 71_731_837),
        "l2": (467_219_796, 3_886_320, 13_089_512, 485_972_801),
    }[model_id]
    model = preset(model_id)
    parts = ("backbone", "neck", "fusion", "head")
    found = {name: count(model.get_layer(name)) for name in parts}
    assert found == {
        "backbone": backbone,
        "neck": neck,
        "fusion": 0,
        "head": 1_777_173,
    }
    assert count(model) == total - unused


def test_there_is_a_logit_for_each_class_in_every_fourth_row_and_column():
    model = small()
    assert model.output_shape == {"logits": (None, 128 // 4, 256 // 4, 3)}


@pytest.mark.parametrize("backbone", ["tiny", "resnet18"])
def test_what_changes_in_the_image_changes_there(backbone):
    model = small(backbone=backbone)
    images = np.zeros([2, *SIZE, 3], np.float32)
    images[1, 20:36, 180:196] = 5.0  # Row 28 and column 188: cell (7, 47).
    logits = model(images, training=False)["logits"].numpy()
    change = np.abs(logits[1] - logits[0]).sum(axis=-1)
    near = change[3:11, 43:51].mean()
    assert near > 2 * change[20:, :20].mean()  # Below on the left.
    assert near > 2 * change[:8, :8].mean()  # Where it would be with a swap.


def test_the_settings_arrive_at_neck_and_head():
    norm = Norm(momentum=0.5, epsilon=0.1, synchronized=True)
    model = small(backbone="efficientnet_b0", activation="swish", norm=norm)
    for part, number in (("neck", 3 + 7), ("head", 3)):
        layers = model.get_layer(part).layers
        norms = [layer for layer in layers if layer.name.endswith("_norm")]
        acts = [layer for layer in layers if layer.name.endswith("_act")]
        assert len(norms) == number
        assert {(n.momentum, n.epsilon, n.synchronized) for n in norms} == {
            (0.5, 0.1, True)
        }
        assert {act.activation for act in acts} == {tf.keras.activations.swish}
    # An EfficientNet keeps its own.
    stem = model.get_layer("backbone").get_layer("stem_norm")
    assert (stem.momentum, stem.epsilon, stem.synchronized) == (0.99, 1e-3, True)


def test_without_a_norm_it_has_that_of_the_authors_configs():
    norm = small().get_layer("head").get_layer("unit0_norm")
    assert (norm.momentum, norm.epsilon, norm.synchronized) == (0.997, 1e-3, False)


def test_the_share_of_dropped_branches_arrives_at_the_backbone():
    model = small(backbone="efficientnet_b0", drop_connect=0.4)
    last = model.get_layer("backbone").get_layer("block14_drop")
    assert last.rate == pytest.approx(0.4 * 14 / 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size_px": (128, 192)}, r"`image_size_px` .* of 128 .*got 128 x 192"),
        ({"image_size_px": (None, 128)}, r"`image_size_px` .* of 128 .*, got None x"),
        ({"num_classes": 1}, r"`num_classes` must be 2 or more, got 1"),
        ({"backbone": "spinenet_49"}, r"`backbone` must be a ResNet.*'spinenet_49'"),
        ({"backbone": "vgg"}, r"`backbone` must be one of tiny, .*got 'vgg'"),
        ({"drop_connect": 0.1}, r"`drop_connect` is not a setting of the tiny"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    settings = {"image_size_px": SIZE, "num_classes": 3, "backbone": "tiny", **changes}
    with pytest.raises(ValueError, match=message):
        nas_fpn_segmenter(**settings)


def test_a_head_is_convolutions_norms_and_a_predictor():
    head = segmentation_head((None, 4, 8, 64), 5, convs=2)
    assert [layer.name for layer in head.layers] == [
        *("feature", "unit0_conv", "unit0_norm", "unit0_act"),
        *("unit1_conv", "unit1_norm", "unit1_act", "predict_conv", "logits"),
    ]
    for name in ("unit0_conv", "unit1_conv", "predict_conv"):
        kernel, bias = head.get_layer(name).get_weights()
        np.testing.assert_allclose(kernel.std(), 0.01, rtol=0.15)
        assert not bias.any()


def test_levels_are_added_in_float32_where_the_model_computes_in_bfloat16():
    shapes = {"3": (None, 4, 8, 2), "4": (None, 2, 4, 2), "5": (None, 1, 2, 2)}
    tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        fusion = pyramid_fusion(shapes)
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    # 256 + 1 is not a number of bfloat16, which has 8 bits.
    values = {"3": 256.0, "4": 1.0, "5": 0.5}
    fused = fusion(
        {
            level: tf.fill([1, *shapes[level][1:]], tf.cast(value, tf.bfloat16))
            for level, value in values.items()
        }
    )
    assert fused.dtype == tf.float32
    np.testing.assert_array_equal(fused, np.full([1, 8, 16, 2], 257.5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": 4}, r"`level` must be 3, .* or less, got 4"),
        (
            {"feature_shapes": {"3": (None, 4, 8, 2), "4": (None, 2, 4, 3)}},
            r"`feature_shapes` must have equal channels, got \[2, 3\]",
        ),
    ],
)
def test_what_cannot_be_added_is_named(settings, message):
    shapes = {"3": (None, 4, 8, 2), "4": (None, 2, 4, 2)}
    with pytest.raises(ValueError, match=message):
        pyramid_fusion(**{"feature_shapes": shapes, **settings})
