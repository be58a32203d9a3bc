"""What the classifier promises, besides what tests/conformance asks of every model."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import Norm, build_backbone
from st_keras.models.classifier import classifier, classifier_on
from st_keras.models.heads.classification import classification_head

SIZES = {"tiny": (32, 64), "resnet18": (32, 64), "spinenet_49s": (128, 256)}
CLASSES = 5


@functools.cache
def shared(backbone):
    """A small model for tests that leave its weights alone."""
    return classifier(SIZES[backbone], CLASSES, backbone=backbone)


@pytest.fixture(params=SIZES)
def backbone(request):
    return request.param


def images(size, count=2):
    noise = np.random.default_rng(0).normal(size=[count, *size, 3])
    return tf.constant(noise, tf.float32)


def count(model):
    return sum(math.prod(v.shape) for v in model.trainable_variables)


def test_there_is_a_logit_for_every_class(backbone):
    model = shared(backbone)
    assert model.output_shape == {"logits": (None, CLASSES)}
    names = [layer.name for layer in model.layers[1:]]
    assert names == ["backbone", "head", "logits"]


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    [("resnet50", 25_557_032), ("efficientnet_b0", 5_288_548)],
)
def test_it_has_the_parameters_that_are_known(backbone, parameters):
    assert count(classifier((64, 96), 1000, backbone=backbone)) == parameters


def test_all_levels_of_a_spinenet_count_the_same():
    # Coarse features repeated to the size of the finest, averaged, then averaged over
    # the image: as the authors do it.
    random = np.random.default_rng(0)
    features = {
        str(level): random.normal(size=[2, 2 ** (5 - level), 3 * 2 ** (5 - level), 4])
        for level in (3, 4, 5)
    }
    head = classification_head({k: v.shape for k, v in features.items()}, CLASSES)
    finest = np.mean(
        [
            features[str(level)].repeat(2 ** (level - 3), 1).repeat(2 ** (level - 3), 2)
            for level in (3, 4, 5)
        ],
        axis=0,
    )
    expected = finest.mean(axis=(1, 2)) @ head.get_layer("predict").kernel
    features = {k: tf.constant(v, tf.float32) for k, v in features.items()}
    np.testing.assert_allclose(head(features)["logits"], expected, atol=1e-6)


def test_a_resnet_is_judged_by_its_last_feature():
    model = shared("resnet18")
    features = model.get_layer("backbone")(images(SIZES["resnet18"]))
    head = model.get_layer("head")
    kernel, bias = head.get_layer("predict").get_weights()
    expected = features["5"].numpy().mean(axis=(1, 2)) @ kernel + bias
    logits = model(images(SIZES["resnet18"]))["logits"]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)


def test_an_efficientnet_has_its_own_top():
    model = classifier((64, 96), CLASSES, backbone="efficientnet_b0")
    head = model.get_layer("head")
    assert head.get_layer("top_conv").filters == 1280
    assert head.get_layer("top_act").get_config()["activation"] in ("swish", "silu")
    norm = head.get_layer("top_norm")
    assert (norm.momentum, norm.epsilon) == (0.99, 1e-3)
    assert head.get_layer("dropout").rate == 0.2


def test_its_dropout_can_be_chosen():
    model = classifier((32, 64), CLASSES, backbone="tiny", dropout=0.3)
    assert model.get_layer("head").get_layer("dropout").rate == 0.3
    names = [layer.name for layer in shared("tiny").get_layer("head").layers]
    assert "dropout" not in names


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "resnet49"}, r"`backbone` must be one of tiny, .* 'resnet49'"),
        ({"image_size_px": (64, 72)}, r"`image_size_px` .* of 32 .*, got 64 x 72"),
        (
            {"image_size_px": (64, 72), "backbone": "tiny"},
            r"`image_size_px` .* of 32 .*, got 64 x 72",
        ),
        ({"image_size_px": (None, 64)}, r"`image_size_px` .*, got None x 64"),
        ({"num_classes": 1}, r"`num_classes` must be 2 or more, got 1"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\), got 1.0"),
    ],
)
def test_what_does_not_fit_is_named(settings, message):
    arguments = {"image_size_px": SIZES["resnet18"], "num_classes": CLASSES}
    with pytest.raises(ValueError, match=message):
        classifier(**{"backbone": "resnet18", **arguments, **settings})


@pytest.mark.parametrize(
    "backbone",
    [
        *("tiny", "resnet18"),
        pytest.param("spinenet_mobile_49", marks=pytest.mark.slow),
        pytest.param("efficientnet_b0", marks=pytest.mark.slow),
    ],
)
def test_on_the_layers_of_another_model_it_has_a_size_of_its_own(backbone):
    extractor = build_backbone(backbone, (128, 256), activation="relu", norm=Norm())
    ours = classifier_on(extractor, (256, 128), 3, backbone=backbone)
    theirs = classifier((256, 128), 3, backbone=backbone)
    assert [v.shape for v in ours.variables] == [v.shape for v in theirs.variables]
    noise = np.random.default_rng(5)
    for variable, twin in zip(ours.variables, theirs.variables, strict=True):
        variable.assign(variable + 0.01 * noise.random(variable.shape))
        twin.assign(variable)
    pictures = images((256, 128))
    np.testing.assert_allclose(
        ours(pictures)["logits"], theirs(pictures)["logits"], rtol=1e-5, atol=1e-6
    )
    # The layers are those of the other model, not copies.
    own = {id(variable) for variable in ours.variables}
    assert {id(variable) for variable in extractor.variables} <= own


def test_heads_of_one_process_follow_its_seed():
    def head(seed):
        tf.keras.utils.set_random_seed(seed)
        made = classifier((32, 32), 3, backbone="efficientnet_b0")
        return made.get_layer("head").get_layer("predict").kernel.numpy()

    assert not np.allclose(head(0), head(1))
