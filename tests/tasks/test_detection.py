"""What the detection task promises, from a record to a loss and back to labels."""

import json

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config
from st_keras.types import Boxes
from tests.tasks.detection_scene import (
    BOXES,
    CLASS_IDS,
    CLASSES,
    INPUT,
    PICTURE,
    SCALE,
    batch_of,
    info,
    outputs_of,
    perfect_outputs,
    prepare,
    record,
    serialize,
    task_of,
    to_numpy,
    view_of,
)


@pytest.fixture
def task():
    return task_of()


def test_boxes_are_moved_with_the_picture(task):
    prepared = prepare(task, record())
    assert prepared.image.shape == (*INPUT, 3)
    assert np.all(prepared.image == 7)
    assert prepared.image_id == b"a"
    labels = prepared.labels
    np.testing.assert_allclose(labels.boxes_yxyx[:2], BOXES * SCALE, rtol=1e-5)
    assert labels.class_ids[:2].tolist() == [2, 0]


def test_inference_sees_a_picture_once_and_whole(task):
    view = task.whole_view(tf.fill([60, 100, 3], tf.constant(7, tf.uint8)))
    # It fits at 0.96: 57.6 x 96, so 58 of the 64 rows are picture.
    assert view.image.shape == (*INPUT, 3)
    assert np.all(view.image[:58] == 7) and np.all(view.image[58:] == 128)
    np.testing.assert_allclose(view.scale_yx, (58 / 60, 96 / 100))
    assert view.picture_size_px.numpy().tolist() == [60, 100]
    views = task.views(tf.fill([60, 100, 3], tf.constant(7, tf.uint8)))
    for of_one, of_all in zip(view, views, strict=True):
        np.testing.assert_array_equal(of_one[None], of_all)


def test_the_rows_of_labels_are_filled_up_with_zeros(task):
    labels = prepare(task, record(), num_boxes=5).labels
    assert labels.weights.tolist() == [1, 1, 0, 0, 0]
    assert all(not field[2:].any() for field in labels)
    assert [len(field) for field in labels] == [5] * 5


def test_too_many_boxes_are_cut_weakest_first(task):
    boxes = np.array([[i, i, i + 20, i + 40] for i in (0, 5, 10, 15)], np.float32)
    scores = np.array([0.3, 0.9, 0.1, 0.6], np.float32)
    drawn = record(boxes, np.array([0, 1, 2, 0]), scores=scores)
    labels = prepare(task, drawn, num_boxes=3).labels
    np.testing.assert_allclose(labels.scores, [0.9, 0.6, 0.3])
    np.testing.assert_allclose(labels.boxes_yxyx, boxes[[1, 3, 0]] * SCALE, rtol=1e-5)
    assert labels.class_ids.tolist() == [1, 0, 0]


def test_human_boxes_stay_in_the_order_of_the_file(task):
    boxes = np.array([[i, i, i + 20, i + 40] for i in (9, 0, 5, 2)], np.float32)
    labels = prepare(task, record(boxes, np.array([1, 0, 2, 1])), num_boxes=4).labels
    np.testing.assert_allclose(labels.boxes_yxyx, boxes * SCALE, rtol=1e-5)


def test_every_shape_of_a_prepared_example_is_static(task):
    dataset = tf.data.Dataset.from_tensors(serialize(record())).map(
        lambda text: task.prepare(text, tf.constant([1, 2]), info(3))
    )
    specs = tf.nest.flatten(dataset.element_spec)
    assert all(spec.shape.is_fully_defined() for spec in specs)


def test_a_seed_decides_the_augmentation(task):
    augment = config.AugmentConfig(color_strength=0.4)
    task = task_of(augment=augment)
    first, again = (prepare(task, record(), [3, 4]) for _ in range(2))
    other = prepare(task, record(), [3, 5])
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels.boxes_yxyx, again.labels.boxes_yxyx)
    assert np.any(first.labels.boxes_yxyx != other.labels.boxes_yxyx)


@pytest.mark.parametrize("image_id", ["tiny_02", "tiny_05", "tiny_09"])
def test_a_box_keeps_its_object_through_augmentation(tiny_records, image_id):
    # One box each, filled with the primary colour of its class.
    task = task_of(augment=config.AugmentConfig(scale_min=0.5, scale_max=2.0))
    seen = 0
    for number in range(12):
        prepared = prepare(task, tiny_records.by_id[image_id], [8, number])
        if not prepared.labels.weights[0]:
            continue
        y0, x0, y1, x1 = prepared.labels.boxes_yxyx[0]
        inside = prepared.image.numpy()[
            int(np.ceil(y0)) + 1 : int(y1) - 1, int(np.ceil(x0)) + 1 : int(x1) - 1
        ]
        expected = [0, 0, 0]
        expected[prepared.labels.class_ids[0]] = 255
        assert inside.size and np.all(inside == expected)
        seen += 1
    assert seen > 6


def test_boxes_around_crowds_are_not_trained_on_but_known_when_judging(task):
    crowd = record(is_crowd=np.array([True, False]))
    for number in range(5):
        labels = prepare(task, crowd, [1, number]).labels
        assert not labels.is_crowd.any()
        assert set(labels.class_ids[labels.weights > 0]) <= {0}
    judged = to_numpy(task.read_labels(serialize(crowd))[0])
    assert judged.is_crowd.tolist() == [True, False]


def test_a_model_that_knows_the_labels_has_no_loss_and_predicts_them(task):
    prepared = prepare(task, record())
    labels = batch_of(prepared.labels)
    outputs = perfect_outputs(task, labels)
    losses = task.losses(labels, outputs)
    assert losses["box"].count >= 4 * 2
    np.testing.assert_allclose(losses["box"].total, 0.0, atol=1e-6)
    np.testing.assert_allclose(losses["class"].total, 0.0, atol=1e-6)
    found = task.read_outputs(outputs, view_of([[SCALE, SCALE]], [PICTURE]))
    count = int(np.sum(found.weights))
    assert count == 2
    order = np.argsort(found.class_ids[0, :count])[::-1]
    np.testing.assert_allclose(found.boxes_yxyx[0].numpy()[order], BOXES, atol=1e-3)
    assert found.class_ids[0].numpy()[order].tolist() == CLASS_IDS.tolist()
    np.testing.assert_allclose(found.scores[0, :count], [1, 1], atol=1e-6)


def test_every_picture_of_a_batch_has_its_own_scale_and_size(task):
    # The same output: at 0.96 of a 60 x 100, and at 0.5 of a 128 x 80 picture.
    boxes = tf.constant([[[10.0, 20.0, 40.0, 60.0]]])
    labels = Boxes(boxes, tf.constant([[1]]), *[tf.ones([1, 1])] * 2, tf.zeros([1, 1]))
    outputs = {
        name: tf.repeat(value, 2, axis=0)
        for name, value in perfect_outputs(task, labels).items()
    }
    scale = [[0.96, 0.96], [0.5, 0.5]]
    found = task.read_outputs(outputs, view_of(scale, [[60, 100], [128, 80]]))
    np.testing.assert_allclose(found.boxes_yxyx[0, 0], boxes[0, 0] / 0.96, atol=1e-3)
    # 120 would be out of the picture, which is 80 wide.
    np.testing.assert_allclose(found.boxes_yxyx[1, 0], [20, 40, 80, 80], atol=1e-3)


@pytest.mark.parametrize("xla", [False, True])
def test_boxes_in_the_grey_beside_a_picture_are_no_detections(xla):
    # Of 64 rows, 20 are picture. All anchors under it are surer than one that is in it.
    task = task_of(postprocess=config.PostprocessConfig(max_detections=3))
    task._xla = xla
    y0, x0, y1, x1 = np.asarray(task._anchors).T
    is_under = y0 >= 20
    inside = np.flatnonzero((y0 >= 2) & (x0 >= 2) & (y1 <= 18) & (x1 <= 94))[0]
    logits = np.full([1, len(y0), len(CLASSES)], -20.0, np.float32)
    logits[0, is_under, 1] = 2.0
    logits[0, inside, 2] = 1.0
    outputs = {"logits": tf.constant(logits), "offsets": tf.zeros([1, len(y0), 4])}
    found = task.read_outputs(outputs, view_of([[1.0, 1.0]], [[20, 96]]))
    assert is_under.sum() > 50
    assert found.weights[0].numpy().tolist() == [1, 0, 0]
    assert found.class_ids[0, 0] == 2
    of_anchor = task._anchors[inside]
    np.testing.assert_allclose(found.boxes_yxyx[0, 0], of_anchor, atol=1e-3)


def test_the_box_loss_is_weighed_against_the_class_loss(task):
    labels = batch_of(prepare(task, record()).labels)
    outputs = outputs_of(task, 0.3)
    doubled = task_of(box_weight=100.0)  # The default is 50.
    one, two = task.losses(labels, outputs), doubled.losses(labels, outputs)
    np.testing.assert_allclose(two["box"].total, 2 * one["box"].total, rtol=1e-5)
    np.testing.assert_allclose(two["class"].total, one["class"].total)
    # The mean over four offsets of every positive, where the class loss has one.
    np.testing.assert_allclose(one["box"].count, 4 * one["class"].count)


@pytest.mark.parametrize("num_boxes", [0, 3])
def test_a_picture_without_boxes_is_all_background_and_finite(task, num_boxes):
    empty = record(np.zeros([0, 4]), np.zeros([0], np.int64))
    labels = batch_of(prepare(task, empty, [1, 2], num_boxes=num_boxes).labels)
    values = outputs_of(task)
    with tf.GradientTape() as tape:
        tape.watch(values)
        losses = task.losses(labels, values)
        total = tf.add_n([ratio.total for ratio in losses.values()])
    gradients = tape.gradient(total, values)
    assert losses["class"].count == losses["box"].count == losses["box"].total == 0.0
    # Every logit is 0: 0.75 * (1/2)^1.5 * log 2 for each anchor and class.
    expected = 0.75 * 0.5**1.5 * np.log(2) * len(task._anchors) * 3
    np.testing.assert_allclose(losses["class"].total, expected, rtol=1e-5)
    assert np.all(gradients["logits"] > 0)
    assert not np.any(gradients["offsets"])


def test_padding_rows_leave_the_gradient_finite_and_unchanged(task):
    gradients = []
    for num_boxes in (2, 7):
        labels = batch_of(prepare(task, record(), num_boxes=num_boxes).labels)
        values = outputs_of(task, 0.2)
        with tf.GradientTape() as tape:
            tape.watch(values)
            losses = task.losses(labels, values)
            total = tf.add_n([ratio.total for ratio in losses.values()])
        gradients.append(tape.gradient(total, values))
    for name in ("logits", "offsets"):
        assert np.all(np.isfinite(gradients[1][name]))
        np.testing.assert_allclose(gradients[0][name], gradients[1][name])


def test_the_model_has_a_row_for_every_anchor_of_the_task(task):
    model = task.build_model(sync_batch_norm=False)
    assert model.output_shape["logits"] == (None, len(task._anchors), 3)
    # 8 * 12, 4 * 6 and 2 * 3 cells with 2 scales and 3 ratios.
    assert len(task._anchors) == 6 * (96 + 24 + 6)


def test_the_metric_speaks_of_the_classes_of_the_task(task):
    metric = task.new_metric()
    truth = to_numpy(task.read_labels(serialize(record()))[0])
    metric.add("a", truth, truth)
    per_class = metric.result()["per_class"]
    assert list(per_class) == ["ball", "cup", "kite"]
    assert [round(value["AP"]) for value in per_class.values()] == [100, -100, 100]


def test_the_protocol_can_be_written_beside_a_number(task):
    protocol = json.loads(json.dumps(task.protocol))
    assert protocol["image_size_px"] == [64, 96]
    assert protocol["min_score"] == 0.05 and protocol["max_detections"] == 100


def test_a_task_without_classes_is_refused():
    with pytest.raises(ValueError, match="`detection.class_names` is empty"):
        task_of(class_names=())
