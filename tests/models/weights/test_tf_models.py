"""What `load_weights` promises of TF2 checkpoints of tf-models-official."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.models import weights
from st_keras.models.backbones import build_backbone
from st_keras.models.heads.boxes import box_head
from st_keras.models.heads.classification import classification_head
from st_keras.models.layers import Norm
from st_keras.models.necks.fpn import fpn
from st_keras.ops import anchors as anchors_lib
from tests.models.weights import files

NORM = Norm(epsilon=1e-3)  # Their default.
SPECS = tf.keras.layers.InputSpec(shape=[None, 128, 256, 3])


def their_resnet(depth=18, **more):
    from official.vision.modeling.backbones import resnet

    return resnet.ResNet(depth, input_specs=SPECS, **more)


def their_detector():
    from official.vision.modeling import retinanet_model
    from official.vision.modeling.decoders import fpn as their_fpn
    from official.vision.modeling.heads import dense_prediction_heads

    backbone = their_resnet()
    decoder = their_fpn.FPN(backbone.output_specs, 3, 7, num_filters=16)
    head = dense_prediction_heads.RetinaNetHead(
        3, 7, num_classes=5, num_anchors_per_location=9, num_convs=2, num_filters=16
    )
    head(decoder(backbone(files.pictures())))
    model = retinanet_model.RetinaNetModel(
        backbone,
        decoder,
        head,
        None,
        min_level=3,
        max_level=7,
        num_scales=3,
        aspect_ratios=[0.5, 1.0, 2.0],
        anchor_size=4.0,
    )
    files.randomize(model)
    return model


def our_backbone(name="resnet18", **more):
    more = more or {"flavor": "tf_models"}
    return build_backbone(name, (128, 256), activation="relu", norm=NORM, **more)


def our_detector(**more):
    backbone = our_backbone(**more)
    images = tf.keras.layers.Input([128, 256, 3])
    features = {level: f for level, f in backbone(images).items() if level != "2"}
    neck = fpn({k: f.shape for k, f in features.items()}, filters=16, norm=NORM)
    features = neck(features)
    head = box_head(
        {k: f.shape for k, f in features.items()}, 5, convs=2, filters=16, norm=NORM
    )
    return tf.keras.Model(images, head(features))


def trained(**items):
    """Returns a checkpoint with an optimizer and its slots beside the items."""
    optimizer = tf.keras.optimizers.legacy.SGD(0.1, momentum=0.9)
    variables = next(iter(items.values())).trainable_variables
    optimizer.apply_gradients([(tf.ones_like(v) * 0.0, v) for v in variables])
    return tf.train.Checkpoint(optimizer=optimizer, **items)


@pytest.fixture(scope="module")
def their_model():
    return their_detector()


@pytest.fixture(scope="module", params=["model", "items"])
def checkpoint(request, their_model, tmp_path_factory):
    prefix = str(tmp_path_factory.mktemp(request.param) / "ckpt-7")
    if request.param == "model":
        return trained(model=their_model).write(prefix)
    return tf.train.Checkpoint(**their_model.checkpoint_items).write(prefix)


def in_our_order(output, width):
    """Their map [B, h, w, 9 x width] with our order of aspect ratios, as rows."""
    batch, height, columns, _ = output.shape
    by_ratio = np.reshape(output, [batch, height * columns * 3, 3, width])
    return by_ratio[:, :, [1, 2, 0]].reshape([batch, -1, width])


def test_a_detector_gives_what_theirs_gives_with_anchors_in_our_order(
    their_model, checkpoint
):
    ours = our_detector()
    report = weights.load_weights(ours, checkpoint)
    assert set(report.parts) == {"backbone", "neck", "head"}
    decoded = their_model.decoder(their_model.backbone(files.pictures()))
    scores, boxes, _ = their_model.head(decoded)
    levels = [str(level) for level in range(3, 8)]
    expected = {
        "logits": np.concatenate([in_our_order(scores[k], 5) for k in levels], 1),
        "offsets": np.concatenate([in_our_order(boxes[k], 4) for k in levels], 1),
    }
    files.assert_same(ours(files.pictures(), training=False), expected)


def test_the_order_of_anchors_that_is_assumed_is_the_one_of_both_sides():
    from official.vision.ops import anchor

    theirs = anchor.Anchor(3, 3, 3, [0.5, 1.0, 2.0], 4.0, [128, 256]).boxes
    theirs = np.reshape(theirs, [-1, 3, 3, 4])
    ours = anchors_lib.make_anchors(
        (128, 256),
        min_level=3,
        max_level=3,
        scales_per_octave=3,
        aspect_ratios=(1.0, 2.0, 0.5),
        anchor_size=4.0,
    )
    ours = np.reshape(ours, [-1, 3, 3, 4])
    np.testing.assert_allclose(ours, theirs[:, :, [1, 2, 0]], rtol=1e-5, atol=1e-3)


def test_optimizer_and_its_slots_are_told_as_unused(their_model, tmp_path):
    prefix = trained(model=their_model).write(str(tmp_path / "ckpt"))
    report = weights.load_weights(our_detector(), prefix)
    assert all(report.unused.values())
    assert set(report.unused.values()) == {"optimizer slot", "state of the training"}


def test_a_backbone_alone_comes_from_a_checkpoint_of_it_alone(tmp_path):
    theirs = their_resnet(50)
    files.randomize(theirs)
    prefix = trained(backbone=theirs).write(str(tmp_path / "ckpt"))
    ours = our_backbone("resnet50")
    weights.load_weights(ours, prefix)
    files.assert_same(ours(files.pictures()), theirs(files.pictures()))


def test_a_classifier_gives_what_theirs_gives(tmp_path):
    from official.vision.modeling import classification_model

    theirs = classification_model.ClassificationModel(
        their_resnet(), num_classes=4, input_specs=SPECS
    )
    files.randomize(theirs)
    prefix = trained(model=theirs).write(str(tmp_path / "ckpt"))
    backbone = our_backbone()
    head = classification_head({"5": backbone.output["5"].shape}, 4)
    images = tf.keras.layers.Input([128, 256, 3])
    ours = tf.keras.Model(images, head({"5": backbone(images)["5"]}))
    weights.load_weights(ours, prefix)
    files.assert_same(ours(files.pictures()), {"logits": theirs(files.pictures())})


@pytest.mark.slow  # The authors' own SpineNet is in test_spinenet.py.
@pytest.mark.parametrize("size", ["49", "96"])
def test_a_spinenet_gives_what_theirs_gives(tmp_path, size):
    from official.vision.modeling.backbones import spinenet

    scaling = dict(spinenet.SCALING_MAP[size])
    theirs = spinenet.SpineNet(SPECS, activation="relu", **scaling)
    files.randomize(theirs)
    prefix = trained(backbone=theirs).write(str(tmp_path / "ckpt"))
    ours = our_backbone(f"spinenet_{size}", flavor="tf_models")
    weights.load_weights(ours, prefix)
    files.assert_same(ours(files.pictures()), theirs(files.pictures()), 1e-4)


@pytest.mark.slow
def test_a_deeplab_gives_what_theirs_gives(tmp_path):
    from official.vision.modeling import segmentation_model
    from official.vision.modeling.backbones import resnet_deeplab
    from official.vision.modeling.decoders import aspp
    from official.vision.modeling.heads import segmentation_heads

    from st_keras.models.deeplab import deeplab_v3_plus

    theirs = segmentation_model.SegmentationModel(
        resnet_deeplab.DilatedResNet(50, 16, SPECS, multigrid=[1, 2, 4]),
        aspp.ASPP(4, [6, 12, 18], num_filters=16),
        segmentation_heads.SegmentationHead(
            num_classes=3,
            level=4,
            num_convs=2,
            num_filters=16,
            feature_fusion="deeplabv3plus",
            low_level=2,
            low_level_num_filters=8,
        ),
    )
    expected = theirs(files.pictures())
    files.randomize(theirs)
    expected = theirs(files.pictures(), training=False)
    prefix = trained(model=theirs).write(str(tmp_path / "ckpt"))
    ours = deeplab_v3_plus(
        (128, 256),
        3,
        backbone="resnet50",
        aspp_filters=16,
        low_level_filters=8,
        decoder_filters=16,
        norm=NORM,
        flavor="tf_models",
    )
    weights.load_weights(ours, prefix)
    outputs = ours(files.pictures(), training=False)
    expected = expected["logits"] if isinstance(expected, dict) else expected
    files.assert_same(outputs, {"logits": expected}, 1e-4)


def test_a_model_that_pads_otherwise_is_refused_with_the_reason(checkpoint):
    ours = our_detector(flavor="authors")
    before = [weight.numpy() for weight in ours.weights]
    with pytest.raises(
        weights.IncompleteError, match='build it with flavor="tf_models"'
    ):
        weights.load_weights(ours, checkpoint)
    for old, weight in zip(before, ours.weights, strict=True):
        np.testing.assert_array_equal(old, weight)
    # Neck and head have no such strides.
    weights.load_weights(ours, checkpoint, parts=("neck", "head"))


def test_another_depth_is_refused(checkpoint):
    with pytest.raises(weights.IncompleteError, match="shape|no object"):
        weights.load_weights(our_backbone("resnet34"), checkpoint)
