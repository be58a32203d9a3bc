"""Every setting of a loss and of suppression arrives where it is to act."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config
from st_keras.losses import segmentation as losses
from tests.tasks import detection_scene, segmentation_scene


def value(ratios):
    return {name: float(ratio.total / ratio.count) for name, ratio in ratios.items()}


def random_outputs(task):
    draw = np.random.default_rng(5)
    plain = detection_scene.outputs_of(task)
    return {
        name: tf.constant(draw.normal(size=field.shape), tf.float32)
        for name, field in plain.items()
    }


@pytest.mark.parametrize(
    ("setting", "terms"),
    [
        ({"focal_alpha": 0.6}, {"class"}),
        ({"focal_gamma": 0.5}, {"class"}),
        ({"huber_delta": 0.7}, {"box"}),
        ({"box_weight": 7.0}, {"box"}),
        ({"positive_iou": 0.7}, {"class", "box"}),
        ({"negative_iou": 0.1}, {"class"}),
    ],
)
def test_a_setting_of_the_losses_of_boxes_changes_its_term_alone(setting, terms):
    task = detection_scene.task_of()
    record = detection_scene.record()
    labels = detection_scene.batch_of(detection_scene.prepare(task, record).labels)
    outputs = random_outputs(task)
    plain = value(task.losses(labels, outputs))
    other = value(detection_scene.task_of(**setting).losses(labels, outputs))
    changed = {name for name in plain if other[name] != pytest.approx(plain[name])}
    assert changed == terms


def boxes_of(**postprocess):
    """Returns boxes and scores of two detections that overlap by two thirds."""
    settings = config.PostprocessConfig(**postprocess)
    task = detection_scene.task_of(postprocess=settings)
    outputs = detection_scene.outputs_of(task)
    boxes = np.array([[8, 8, 40, 40], [8, 14.4, 40, 46.4]], np.float32)
    anchors = np.asarray(task._anchors)
    # Two anchors of about the boxes' size say so; all others are silent.
    centers = (anchors[:, :2] + anchors[:, 2:]) / 2
    logits = np.full(outputs["logits"].shape, -20.0, np.float32)
    offsets = np.zeros(outputs["offsets"].shape, np.float32)
    chosen = np.argsort(np.abs(centers - [24, 24]).sum(-1))[:2]
    for row, box, logit in zip(chosen, boxes, (2.0, 1.0), strict=True):
        size = anchors[row, 2:] - anchors[row, :2]
        shift = ((box[:2] + box[2:]) / 2 - centers[row]) / size
        offsets[0, row] = [*shift, *np.log((box[2:] - box[:2]) / size)]
        logits[0, row, 1] = logit
    view = detection_scene.view_of([[1.0, 1.0]], [detection_scene.INPUT])
    found = task.read_outputs(
        {"logits": tf.constant(logits), "offsets": tf.constant(offsets)}, view
    )
    scores = found.scores.numpy()[0]
    return scores[scores > 0.05]


def test_the_settings_of_suppression_decide_what_is_left_of_two_boxes():
    # They share 32 x 25.6 of 2 x 1024 - 819.2 pixels: an IoU of 2 / 3.
    best, second = 1 / (1 + np.exp(-2.0)), 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(boxes_of(nms_iou=0.6), [best], rtol=1e-4)
    np.testing.assert_allclose(boxes_of(nms_iou=0.7), [best, second], rtol=1e-4)
    # Bodla et al. 2017: the score falls by exp(-IoU^2 / sigma); TensorFlow halves that.
    soft = boxes_of(soft_nms_sigma=0.5, soft_nms_form="bodla")
    np.testing.assert_allclose(soft, [best, second * np.exp(-8 / 9)], rtol=1e-3)
    soft = boxes_of(soft_nms_sigma=0.5, soft_nms_form="tensorflow")
    np.testing.assert_allclose(soft, [best, second * np.exp(-4 / 9)], rtol=1e-3)


@pytest.mark.parametrize(
    "setting",
    [
        {"label_smoothing": 0.3},
        {"class_weights": (0.5, 1.0, 4.0)},
        {"top_share": 0.25},
        {"legacy_alignment": True},
        {"loss_at": "logits"},
    ],
)
def test_a_setting_of_the_loss_of_maps_is_what_the_loss_is_given(setting):
    scene = segmentation_scene
    plain, task = scene.task_of(), scene.task_of(**setting)
    labels = scene.batch_of(scene.prepare(plain, scene.record()).labels)
    draw = np.random.default_rng(5)
    logits = tf.constant(draw.normal(size=[1, 16, 24, 3]), tf.float32)
    settings = {
        **{"loss_at": "labels", "legacy_alignment": False, "label_smoothing": 0.0},
        **{"class_weights": (), "top_share": 1.0, **setting},
    }
    expected = losses.pixel_loss(
        logits,
        labels.class_ids,
        labels.confidences,
        at=settings.pop("loss_at"),
        legacy=settings.pop("legacy_alignment"),
        **settings,
    )
    found = value(task.losses(labels, {"logits": logits}))["pixel"]
    assert found == pytest.approx(float(expected.total / expected.count), rel=1e-5)
    without = value(plain.losses(labels, {"logits": logits}))["pixel"]
    assert found != pytest.approx(without, rel=1e-4)
