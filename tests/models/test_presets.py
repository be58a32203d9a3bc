"""What the presets of the paper promise, besides the sizes in test_authors.py."""

import dataclasses
import inspect

import numpy as np
import pytest
import tensorflow as tf

from st_keras import models
from st_keras.config import DetectionConfig
from st_keras.models import Norm, presets
from st_keras.tasks.detection import DetectionTask

SIZE = (128, 256)  # Height and width differ, so that a swap shows.
AUTHORS = (0.997, 1e-4)  # Momentum and epsilon of the authors' detection code.
EFFICIENTNET = (0.99, 1e-3)
PASCAL = (0.997, 1e-3)
DEEPLAB = (0.9997, 1e-3)
IMAGENET = (0.9, 1e-5)  # Of a ResNet's or SpineNet's classifier.
SWISH, RELU = tf.keras.activations.swish, tf.keras.activations.relu


@dataclasses.dataclass(frozen=True)
class Detector:
    """What the authors' config of a detector says."""

    side_px: int
    anchor_size: float
    anchors: int  # 9 in each cell of levels 3 to 7.
    epsilon: float = 1e-4


DETECTORS = {
    "retinanet_resnet50_fpn": Detector(640, 4, 76_725),
    "retinanet_resnet101_fpn": Detector(1024, 4, 196_416),
    "retinanet_resnet152_fpn": Detector(1280, 4, 306_900),
    "retinanet_resnet50_nas_fpn": Detector(640, 4, 76_725),
    "retinanet_efficientnet_b7_fpn": Detector(640, 4, 76_725),
    "retinanet_spinenet_mobile_49": Detector(384, 3, 27_621),
    "retinanet_spinenet_49s": Detector(640, 3, 76_725),
    "retinanet_spinenet_49": Detector(640, 3, 76_725),
    "retinanet_spinenet_96": Detector(1024, 3, 196_416),
    # Those of the self-training configs.
    "retinanet_spinenet_143": Detector(1280, 4, 306_900, epsilon=1e-3),
    "retinanet_spinenet_190": Detector(1280, 4, 306_900, epsilon=1e-3),
}
EFFICIENTNET_SIDES = {
    **{"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380, "b5": 456, "b6": 528},
    **{"b7": 600, "l2": 800},
}


@pytest.fixture
def calls(monkeypatch):
    """Returns a list that grows by what each preset's function would be called with."""
    made = []
    for name, preset in models.PRESETS.items():

        def note(image_size_px, num_classes, **settings):
            made.append((image_size_px, num_classes, settings))

        noted = dataclasses.replace(preset, function=note)
        monkeypatch.setitem(presets.PRESETS, name, noted)
    return made


def settings_of(function):
    return {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def norms(part):
    return {
        (layer.momentum, layer.epsilon, layer.synchronized)
        for layer in part.layers
        if isinstance(layer, tf.keras.layers.BatchNormalization)
    }


def activations(part):
    """Returns those after a BatchNorm, and not of a squeeze or of an output."""
    return {
        layer.activation
        for layer in part.layers
        if layer.name.endswith("_act") and not layer.name.endswith("_se_expand_act")
    }


@pytest.mark.parametrize("name", models.PRESETS)
def test_a_preset_says_only_what_its_function_knows(name):
    preset = models.PRESETS[name]
    assert set(preset.settings) <= settings_of(preset.function)
    assert preset.backbone in models.BACKBONES


@pytest.mark.parametrize("name", models.PRESETS)
def test_its_name_is_that_of_its_function_and_its_backbone(name):
    preset = models.PRESETS[name]
    start = f"{preset.function.__name__}_{preset.backbone}"
    assert name.removeprefix(start) in ("", "_fpn", "_nas_fpn")


def test_detectors_have_the_anchors_of_the_authors_configs():
    found = {
        name: Detector(
            preset.side_px,
            preset.anchor_size,
            sum(9 * (preset.side_px // 2**level) ** 2 for level in range(3, 8)),
            preset.settings.get("norm", Norm()).epsilon,
        )
        for name, preset in models.PRESETS.items()
        if preset.function is models.retinanet
    }
    assert found == DETECTORS


def test_only_detectors_have_anchors():
    without = {name for name, p in models.PRESETS.items() if p.anchor_size is None}
    assert without == set(models.PRESETS) - set(DETECTORS)


def test_anchors_are_those_that_a_config_with_the_settings_of_the_preset_has():
    for name, size in DETECTORS.items():
        preset = models.PRESETS[name]
        task = DetectionTask(
            DetectionConfig(
                class_names=("a",), image_size_px=SIZE, anchor_size=preset.anchor_size
            )
        )
        found = models.anchors_of(name, image_size_px=SIZE)
        # Offsets of 0 leave the anchors as they are.
        outputs = {"logits": tf.zeros([1, len(found), 1])}
        outputs["offsets"] = tf.zeros([1, len(found), 4])
        decoded = task.serve_raw(outputs)["decoded_boxes"][0]
        np.testing.assert_allclose(decoded, found, atol=1e-3, err_msg=name)
        assert models.anchors_of(name).shape == (size.anchors, 4)


def test_a_model_without_anchors_is_named():
    with pytest.raises(ValueError, match="'deeplab_v3_plus_resnet50', which has no"):
        models.anchors_of("deeplab_v3_plus_resnet50")
    with pytest.raises(ValueError, match="Did you mean retinanet_spinenet_49"):
        models.anchors_of("retinanet_spinenet49")


def test_classes_are_those_of_the_data_a_model_is_for():
    # COCO's ids run to 90, and 0 is none of them; PASCAL VOC has 20 and background;
    # ImageNet 1000, before which the authors' ResNets and SpineNets have a background.
    expected = {
        **{models.retinanet: 91, models.classifier: 1001},
        **{models.nas_fpn_segmenter: 21, models.deeplab_v3_plus: 21},
    }
    for name, preset in models.PRESETS.items():
        if name.startswith("classifier_efficientnet"):
            assert preset.num_classes == 1000
        else:
            assert preset.num_classes == expected[preset.function]


def test_segmenters_see_512_pixels_and_each_efficientnet_what_it_was_made_for():
    sides = {
        name: preset.side_px
        for name, preset in models.PRESETS.items()
        if name not in DETECTORS
    }
    assert sides == {
        **{
            f"nas_fpn_segmenter_efficientnet_{size}": 512 for size in ("b0", "b7", "l2")
        },
        **{f"deeplab_v3_plus_resnet{depth}": 512 for depth in (50, 101)},
        **{"classifier_resnet50": 224, "classifier_spinenet_49": 256},
        **{
            f"classifier_efficientnet_{size}": side
            for size, side in EFFICIENTNET_SIDES.items()
        },
    }


@pytest.mark.parametrize("name", models.PRESETS)
def test_without_changes_the_function_is_called_as_the_preset_says(name, calls):
    models.build(name)
    preset = models.PRESETS[name]
    side = preset.side_px
    assert calls == [((side, side), preset.num_classes, dict(preset.settings))]


def test_every_argument_can_be_changed(calls):
    name = "retinanet_spinenet_190"
    before = dict(models.PRESETS[name].settings)
    models.build(
        name, image_size_px=(256, 384), num_classes=5, head_convs=2, drop_connect=0.1
    )
    changed = {**before, "head_convs": 2, "drop_connect": 0.1}
    assert changed.keys() - before.keys() == {"drop_connect"}
    assert before["head_convs"] == 7
    assert calls == [((256, 384), 5, changed)]
    # The next one has the preset's own again.
    models.build(name)
    assert calls[1] == ((1280, 1280), 91, before)


def test_a_changed_model_is_as_large_as_it_was_asked_for():
    model = models.build(
        "nas_fpn_segmenter_efficientnet_b0",
        image_size_px=SIZE,
        num_classes=4,
        backbone="tiny",
        filters=8,
        repeats=1,
    )
    assert model.input_shape == (None, *SIZE, 3)
    assert model.output_shape == {"logits": (None, 128 // 4, 256 // 4, 4)}
    assert "cell1_node5_conv" not in {
        layer.name for layer in model.get_layer("neck").layers
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "retinanet_spinenet_49s",
            {"backbone": (AUTHORS, SWISH), "head": (AUTHORS, SWISH)},
        ),
        (
            "retinanet_resnet50_fpn",
            {
                "backbone": (AUTHORS, RELU),
                "neck": (AUTHORS, None),
                "head": (AUTHORS, RELU),
            },
        ),
        # An EfficientNet keeps its own, whatever stands behind it.
        (
            "nas_fpn_segmenter_efficientnet_b0",
            {
                "backbone": (EFFICIENTNET, SWISH),
                "neck": (PASCAL, RELU),
                "head": (PASCAL, RELU),
            },
        ),
        (
            "deeplab_v3_plus_resnet50",
            dict.fromkeys(("backbone", "neck", "head"), (DEEPLAB, SWISH)),
        ),
        ("classifier_resnet50", {"backbone": (IMAGENET, RELU), "head": (None, None)}),
        (
            "classifier_efficientnet_b0",
            dict.fromkeys(("backbone", "head"), (EFFICIENTNET, SWISH)),
        ),
    ],
)
def test_norms_and_activations_arrive_in_the_model(name, expected):
    model = models.build(name, image_size_px=SIZE, num_classes=3)
    parts = {layer.name: layer for layer in model.layers if layer.weights}
    assert parts.keys() == expected.keys()
    for part, layer in parts.items():
        norm, activation = expected[part]
        assert norms(layer) == ({(*norm, False)} if norm else set())
        assert activations(layer) == ({activation} if activation else set())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "retinanet_spinenet_143s",
            r"`name` must be a preset, got 'retinanet_spinenet_143s'. "
            r"Did you mean retinanet_spinenet_143\?$",
        ),
        # Nothing is near: all of them are named.
        ("yolo", r"got 'yolo'. There are retinanet_resnet50_fpn, .*efficientnet_l2\.$"),
    ],
)
def test_a_preset_that_is_not_there_is_named(name, message):
    with pytest.raises(ValueError, match=message):
        models.build(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size_px": (128, 200)}, r"`image_size_px` .* of 128 .*got 128 x 200"),
        ({"image_size_px": (0, 0)}, r"`image_size_px` .* of 128 .*got 0 x 0"),
        ({"num_classes": 0}, r"`num_classes` must be 1 or more, got 0"),
    ],
)
def test_a_size_that_does_not_fit_is_named_and_not_replaced(changes, message):
    with pytest.raises(ValueError, match=message):
        models.build("retinanet_spinenet_49", **changes)


def test_an_argument_that_the_function_does_not_know_is_refused():
    with pytest.raises(TypeError, match="head_filters"):
        models.build("nas_fpn_segmenter_efficientnet_b0", head_filters=128)
