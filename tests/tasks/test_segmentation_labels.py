"""What the segmentation task makes of labels: pseudo, stored, and their classes."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from pycocotools import mask

from st_keras import config, tasks
from st_keras.data import decode
from st_keras.tasks.segmentation import SegmentationTask
from st_keras.types import IGNORED, LabelMap
from tests.tasks.segmentation_scene import (
    CLASSES,
    PICTURE,
    info,
    record,
    run_config,
    scene,
    serialize,
    task_of,
)


@pytest.fixture
def task():
    return task_of()


def test_only_pixels_from_the_threshold_on_are_pseudo_labels(task):
    labels = LabelMap(
        tf.constant([[0, 1, 2, 1]], tf.uint8), tf.constant([[255, 128, 127, 10]])
    )
    kept = task.pseudo_label(labels, min_score=0.5)
    # 128 / 255 is 0.502, 127 / 255 is 0.498.
    assert kept.class_ids.numpy().tolist() == [[0, 1, IGNORED, IGNORED]]
    assert kept.confidences.numpy().tolist() == [[255] * 4]
    soft = task.pseudo_label(labels, min_score=0.5, soft=True)
    assert soft.class_ids.numpy().tolist() == [[0, 1, IGNORED, IGNORED]]
    assert soft.confidences is labels.confidences


def test_a_pixel_of_a_soft_pseudo_label_weighs_as_much_as_the_teacher_was_sure(task):
    labels = LabelMap(
        tf.constant([[[0, 1, 2, 1]]], tf.uint8), tf.constant([[[255, 204, 51, 153]]])
    )
    labels = labels._replace(confidences=tf.cast(labels.confidences, tf.uint8))
    outputs = {"logits": tf.zeros([1, 1, 4, len(CLASSES)])}
    each = math.log(len(CLASSES))
    for soft, weight in ((False, 3.0), (True, 1.0 + 0.8 + 0.6)):
        learned = task.pseudo_label(labels, min_score=0.5, soft=soft)
        loss = task.losses(learned, outputs)["pixel"]
        np.testing.assert_allclose(loss.total, weight * each, rtol=1e-6)
        assert loss.count == 3


def test_every_class_may_have_a_threshold_of_its_own(task):
    labels = LabelMap(
        tf.constant([[0, 1, 1, 2, IGNORED]], tf.uint8),
        tf.constant([[102, 102, 153, 255, 255]], tf.uint8),
    )
    # 102 / 255 is 0.4 and 153 / 255 is 0.6.
    kept = task.pseudo_label(labels, min_score=(0.4, 0.6, math.inf))
    assert kept.class_ids.numpy().tolist() == [[0, IGNORED, 1, IGNORED, IGNORED]]


def test_a_confidence_that_is_the_threshold_is_kept(task):
    levels = tf.constant([np.arange(256)], tf.uint8)
    labels = LabelMap(tf.ones_like(levels), levels)
    for level in (0, 1, 77, 101, 204, 255):
        for min_score in (level / 255.0, (0.0, level / 255.0, 0.0)):
            kept = task.pseudo_label(labels, min_score=min_score)
            assert np.sum(kept.class_ids == 1) == 256 - level


def test_labels_that_are_written_are_those_that_are_read(task):
    confidences = np.random.default_rng(0).integers(85, 256, PICTURE).astype(np.uint8)
    predicted = LabelMap(scene(), confidences)
    written = task.write_labels(record(source="teacher 3f"), predicted)
    assert (written.image_id, written.source) == ("a", "teacher 3f")
    labels, image_id = task.read_labels(serialize(written))
    assert image_id == b"a"
    np.testing.assert_array_equal(labels.class_ids, scene())
    np.testing.assert_array_equal(labels.confidences, confidences)


def test_people_are_certain_and_records_without_a_map_say_nothing(task):
    labels, _ = task.read_labels(serialize(record()))
    np.testing.assert_array_equal(labels.class_ids, scene())
    assert np.all(labels.confidences.numpy() == 255)
    labels, _ = task.read_labels(serialize(record(label_map_png=None)))
    assert labels.class_ids.shape == PICTURE
    assert np.all(labels.class_ids.numpy() == IGNORED)


def test_annotations_are_the_regions_of_the_map(task):
    labels = LabelMap(scene(), np.full(PICTURE, 51, np.uint8))
    rows = json.loads(json.dumps(task.annotations(labels)))
    assert [row["category_id"] for row in rows] == [0, 1, 2]
    car = rows[2]
    assert car["bbox"] == [4.0, 16.0, 16.0, 8.0] and car["area"] == 128
    assert car["score"] == 0.2  # 51 / 255.
    np.testing.assert_array_equal(mask.decode(car["segmentation"]), scene() == 2)


def test_the_records_name_the_classes():
    named = tasks.with_class_names(run_config(), info())
    assert tasks.build_task(named).class_names == CLASSES
    assert tasks.with_class_names(named, info()) == named
    with pytest.raises(ValueError, match="is sky, road, car but .* has sky, car"):
        tasks.with_class_names(named, info(("sky", "car")))
    with pytest.raises(ValueError, match="'a/\\*' has no classes for segmentation"):
        tasks.with_class_names(run_config(), info(()))


def test_a_number_of_classes_that_a_byte_cannot_tell_is_refused():
    for count in (0, 1, 256):
        names = tuple(map(str, range(count)))
        with pytest.raises(ValueError, match=f"2 to 255 names, got {count}"):
            SegmentationTask(config.SegmentationConfig(class_names=names))


def test_the_decoder_of_records_reads_what_people_drew(task):
    encoded, labels, image_id, size = decode.decode_unopened_map(serialize(record()))
    assert encoded.dtype == tf.string and image_id == b"a"
    assert size.numpy().tolist() == list(PICTURE)
    np.testing.assert_array_equal(labels.class_ids, scene())


def test_what_a_picture_shows_is_each_class_with_the_extent_of_its_pixels(task):
    class_ids = np.full([9, 14], IGNORED, np.uint8)
    class_ids[2:5, 1:8] = 2
    class_ids[7, 12] = 2  # The extent reaches to it.
    class_ids[3, 4:6] = 0
    found, sides_px = task.objects(LabelMap(class_ids, np.full_like(class_ids, 255)))
    assert found.tolist() == [0, 2]
    assert sides_px.tolist() == [[1, 2], [6, 12]]


def test_a_picture_without_a_known_pixel_shows_nothing(task):
    ignored = np.full([9, 14], IGNORED, np.uint8)
    found, sides_px = task.objects(LabelMap(ignored, ignored))
    assert found.shape == (0,)
    assert sides_px.shape == (0, 2)
