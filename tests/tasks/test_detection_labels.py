"""What the detection task makes of labels: pseudo, stored, and their classes."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras import tasks
from st_keras.types import Boxes
from tests.tasks.detection_scene import (
    BOXES,
    CLASS_IDS,
    CLASSES,
    batch_of,
    info,
    outputs_of,
    prepare,
    record,
    run_config,
    serialize,
    task_of,
    to_numpy,
)


@pytest.fixture
def task():
    return task_of()


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


@pytest.mark.parametrize("rows", [4, (2, 2)])
def test_every_class_may_have_a_threshold_of_its_own(task, rows):
    predictions = Boxes(
        tf.ones([4, 4]),
        tf.reshape(tf.constant([1, 0, 2, 0]), rows),
        tf.reshape(tf.constant([0.6, 0.6, 0.9, 0.3]), rows),
        tf.reshape(tf.constant([1.0, 1.0, 1.0, 1.0]), rows),
        tf.zeros(rows, tf.bool),
    )
    labels = task.pseudo_label(predictions, min_score=(0.5, 0.7, math.inf))
    assert labels.weights.numpy().ravel().tolist() == [0, 1, 0, 0]


def test_a_threshold_that_is_a_score_keeps_the_box_that_has_it(task):
    # 0.7 has no float32 of its own; thresholds are scores, written as float64.
    score = np.float32(0.7)
    labels = Boxes(
        np.ones([1, 4], np.float32),
        np.array([1], np.int32),
        np.array([score]),
        np.ones([1], np.float32),
        np.zeros([1], bool),
    )
    for min_score in (float(score), (0.0, float(score), 0.0)):
        kept = task.pseudo_label(labels, min_score=min_score)
        assert kept.weights.numpy().tolist() == [1]


def test_rows_that_do_not_count_can_be_left_out(task):
    labels = prepare(task, record(scores=np.array([0.9, 0.2], np.float32))).labels
    used = task.pseudo_label(labels, min_score=0.5)
    used = used._make(np.asarray(field) for field in used)
    assert task.without_padding(used).scores.tolist() == [np.float32(0.9)]


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
    assert (
        tasks.build_task(tasks.with_min_score(named, 0.01)).protocol["min_score"]
        == 0.01
    )
    assert named.detection.postprocess.min_score == 0.05


def test_what_a_picture_shows_is_each_box_but_not_a_crowd(task):
    labels = Boxes(
        boxes_yxyx=np.float32([[1, 2, 11, 32], [0, 0, 5, 9], [3, 3, 7, 4]]),
        class_ids=np.int32([1, 0, 1]),
        scores=np.ones(3, np.float32),
        weights=np.ones(3, np.float32),
        is_crowd=np.array([False, True, False]),
    )
    class_ids, sides_px = task.objects(labels)
    assert class_ids.tolist() == [1, 1]
    assert sides_px.tolist() == [[10, 30], [4, 1]]
