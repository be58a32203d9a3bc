"""What the detection task promises, from a record to a loss and back to labels."""

import dataclasses
import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from st_keras import config, tasks
from st_keras.data import dataset_info, records
from st_keras.ops import box_coding, matching
from st_keras.tasks.detection import DetectionTask
from st_keras.types import Boxes, View

CLASSES = ("ball", "cup", "kite")
INPUT = (64, 96)
PICTURE = (60, 90)  # Fills it, so that nothing is left to chance.
SCALE = 64 / 60
PLAIN = config.AugmentConfig(scale_min=1.0, scale_max=1.0, flip_probability=0.0)
# 20 x 40 and 30 x 12 px, apart from each other.
BOXES = np.array([[5, 50, 25, 90], [25, 8, 55, 20]], np.float32)
CLASS_IDS = np.array([2, 0])


def task_of(**changes):
    return DetectionTask(
        config.DetectionConfig(
            **{
                **{"class_names": CLASSES, "image_size_px": INPUT, "backbone": "tiny"},
                **{"max_level": 5, "neck_filters": 8, "anchor_size": 2.0},
                **{"aspect_ratios": (0.3, 1.0, 2.0), "anchor_scales": 2},
                **{"head": config.BoxHeadConfig(num_convs=0, num_filters=8)},
                "augment": PLAIN,
                **changes,
            }
        )
    )


@pytest.fixture
def task():
    return task_of()


def serialize(record):
    return records.to_example(record).SerializeToString()


def record(boxes=BOXES, class_ids=CLASS_IDS, **changes):
    encoded = io.BytesIO()
    Image.fromarray(np.full([*PICTURE, 3], 7, np.uint8)).save(encoded, "png")
    return records.Record(
        **{
            **{"image_id": "a", "encoded": encoded.getvalue(), "format": "png"},
            **{"filename": "a.png", "height_px": PICTURE[0], "width_px": PICTURE[1]},
            **{"boxes_yxyx": np.reshape(boxes, [-1, 4]), "labels": class_ids + 1},
            **changes,
        }
    )


def info(num_boxes):
    """Of records whose fullest picture has so many boxes."""
    tally = dataset_info.Tally()
    tally.add(record(np.zeros([num_boxes, 4]), np.zeros(num_boxes, int)))
    return tally.info(
        source="", class_names=CLASSES, skipped={}, content_sha256="", shards=[]
    )


def prepare(task, of, seed=(0, 0), num_boxes=4):
    prepared = task.prepare(serialize(of), tf.constant(seed), info(num_boxes))
    return prepared._replace(labels=to_numpy(prepared.labels))


def to_numpy(labels):
    return Boxes(*(np.asarray(field) for field in labels))


def batch_of(labels):
    return Boxes(*(tf.constant(field)[None] for field in labels))


def perfect_outputs(task, labels):
    """What a model that knows the labels of a batch would say."""
    anchors = task._anchors
    matches = matching.match_anchors(
        anchors, labels.boxes_yxyx, labels.weights, positive_iou=0.5, negative_iou=0.5
    )
    matched = tf.gather(labels.boxes_yxyx, matches.box_index, batch_dims=1)
    class_ids = tf.gather(labels.class_ids, matches.box_index, batch_dims=1)
    is_class = tf.one_hot(tf.where(matches.is_positive, class_ids, -1), len(CLASSES))
    return {
        "logits": 40.0 * is_class - 20.0,
        "offsets": tf.where(
            matches.is_positive[..., None],
            box_coding.encode_boxes(matched, anchors),
            0.0,
        ),
    }


def view_of(scale_yx, sizes_px):
    count = len(sizes_px)
    return View(
        image=tf.zeros([count, *INPUT, 3], tf.uint8),
        scale_yx=tf.constant(scale_yx, tf.float32),
        offset_yx=tf.zeros([count, 2]),
        is_mirrored=tf.zeros([count], tf.bool),
        picture_size_px=tf.constant(sizes_px, tf.int32),
    )


def outputs_of(task, value=0.0):
    rows = len(task._anchors)
    return {
        "logits": tf.fill([1, rows, len(CLASSES)], value),
        "offsets": tf.fill([1, rows, 4], value),
    }


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


def test_only_predictions_from_the_threshold_on_are_pseudo_labels(task):
    predictions = Boxes(
        tf.ones([4, 4]),
        tf.range(4),
        tf.constant([0.75, 0.5, 0.25, 0.9]),
        tf.constant([1.0, 1.0, 1.0, 0.0]),
        tf.zeros([4], tf.bool),
    )
    labels = task.pseudo_label(predictions, min_score=0.5)
    assert labels.weights.numpy().tolist() == [1, 1, 0, 0]
    assert labels.boxes_yxyx is predictions.boxes_yxyx


def test_a_pseudo_box_under_the_threshold_is_background(task):
    scores = np.array([0.9, 0.2], np.float32)
    both = batch_of(prepare(task, record(scores=scores)).labels)
    alone = batch_of(prepare(task, record(BOXES[:1], CLASS_IDS[:1])).labels)
    outputs = outputs_of(task, 0.2)
    kept = task.losses(task.pseudo_label(both, min_score=0.5), outputs)
    expected = task.losses(alone, outputs)
    for name in ("class", "box"):
        np.testing.assert_allclose(kept[name].total, expected[name].total, rtol=1e-6)
        assert kept[name].count == expected[name].count


def test_a_soft_pseudo_box_weighs_as_much_as_its_score(task):
    """The anchors of a box count by its score; all others stay background."""
    outputs = outputs_of(task, 0.2)

    def losses(rows, scores, *, soft):
        prepared = prepare(task, record(BOXES[rows], CLASS_IDS[rows], scores=scores))
        labels = batch_of(prepared.labels)
        return task.losses(task.pseudo_label(labels, min_score=0.5, soft=soft), outputs)

    both, scores = slice(0, 2), np.array([0.75, 0.5], np.float32)
    hard, soft = (losses(both, scores, soft=soft) for soft in (False, True))
    singles = [losses(slice(i, i + 1), scores[:1], soft=False) for i in (0, 1)]
    expected = 0.75 * singles[0]["box"].total + 0.5 * singles[1]["box"].total
    np.testing.assert_allclose(soft["box"].total, expected, rtol=1e-5)
    for name in ("class", "box"):
        assert soft[name].count == hard[name].count
    # Background + score * objects: a score of 0.6 costs twice what one of 0.8 does.
    lost = [
        hard["class"].total
        - losses(both, np.full([2], score, np.float32), soft=True)["class"].total
        for score in (0.6, 0.8)
    ]
    assert lost[1] > 0.01
    np.testing.assert_allclose(lost[0], 2.0 * lost[1], rtol=1e-3)


@pytest.mark.parametrize("label_of_class_0", [0, 1])
def test_labels_that_are_written_are_those_that_are_read(label_of_class_0):
    task = task_of(label_of_class_0=label_of_class_0)
    predicted = Boxes(
        BOXES + np.float32(0.4),
        np.array([2, 1], np.int32),
        np.array([0.25, 0.8], np.float32),
        np.ones([2], np.float32),
        np.zeros([2], bool),
    )
    written = task.write_labels(record(source="teacher 3f"), predicted)
    assert written.labels.tolist() == [2 + label_of_class_0, 1 + label_of_class_0]
    assert (written.image_id, written.source) == ("a", "teacher 3f")
    labels, image_id = task.read_labels(serialize(written))
    assert image_id == b"a"
    for found, expected in zip(to_numpy(labels), predicted, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_rows_that_do_not_count_are_not_written(task):
    predicted = Boxes(
        BOXES,
        CLASS_IDS.astype(np.int32),
        np.array([0.9, 0.4], np.float32),
        np.array([1, 0], np.float32),
        np.zeros([2], bool),
    )
    labels, _ = task.read_labels(serialize(task.write_labels(record(), predicted)))
    np.testing.assert_allclose(labels.boxes_yxyx, BOXES[:1], rtol=1e-5)
    np.testing.assert_allclose(labels.scores, [0.9])


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


def run_config(**detection):
    return config.Config(
        detection=config.DetectionConfig(**detection),
        human=config.RecordsConfig(records="a/*"),
        training=config.TrainingConfig(steps=1),
    )


def test_the_records_name_the_classes():
    named = tasks.with_class_names(run_config(), info(1))
    assert tasks.build_task(named).class_names == CLASSES
    assert tasks.with_class_names(named, info(1)) == named


def test_other_classes_than_the_records_have_are_refused():
    with pytest.raises(ValueError, match="is cup, ball but `human.records` has ball"):
        tasks.with_class_names(run_config(class_names=("cup", "ball")), info(1))
    with pytest.raises(ValueError, match="'a/\\*' has no classes"):
        tasks.with_class_names(
            run_config(), dataclasses.replace(info(1), class_names=())
        )


def test_where_class_id_0_is_label_0_it_is_the_background():
    named = tasks.with_class_names(run_config(label_of_class_0=0), info(1))
    assert named.detection.class_names == ("background", *CLASSES)
    # Label 3 of a record is `kite` either way.
    task = tasks.build_task(named)
    labels, _ = task.read_labels(serialize(record()))
    assert [task.class_names[i] for i in labels.class_ids] == ["kite", "ball"]


def test_records_name_their_classes_from_label_1_on_without_a_background():
    with_background = task_of(label_of_class_0=0, class_names=("background", *CLASSES))
    assert with_background.names_in_records == CLASSES
    assert task_of(label_of_class_0=1).names_in_records == CLASSES


def test_a_task_may_keep_weaker_predictions_than_the_config_says():
    named = tasks.with_class_names(run_config(), info(1))
    assert tasks.build_task(named, min_score=0.01).protocol["min_score"] == 0.01
    assert named.detection.postprocess.min_score == 0.05
