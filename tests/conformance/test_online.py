"""What every task promises of labels that are made in the step."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data import dataset_info, pipeline
from st_keras.self_training.online import OnlineTeacher
from st_keras.types import IGNORED, Batch, Boxes, LabelMap
from tests import patterns
from tests.conformance.test_tasks import ROWS, SIZE_PX, pictures

NAMES = ("retinanet_tiny", "deeplab_tiny", "classifier_tiny")


@pytest.fixture(params=NAMES)
def task(request):
    tf.keras.utils.set_random_seed(0)
    kind, settings, *_ = ROWS[request.param]
    return kind(settings)


@pytest.fixture
def serialized(tiny_records, task, tmp_path):
    """Records with labels of the task, if there are such."""
    glob = tiny_records.glob
    if task.names_field == "image_class_names":
        patterns.write(tmp_path, "val")
        glob = f"{tmp_path}/val/*.tfrecord"
    source = pipeline.open_source(glob, None, 0)
    return [*pipeline.serialized_records(source).take(3)], dataset_info.load(glob)


def test_pictures_are_those_of_training_and_no_label_is_read(task, serialized):
    records, info = serialized
    for number, record in enumerate(records):
        seed = tf.constant([3, number])
        with_labels = task.prepare(record, seed, info)
        without = task.prepare_unlabeled(record, seed)
        np.testing.assert_array_equal(without.image, with_labels.image)
        assert without.image_id == with_labels.image_id
        assert without.image.shape == (*SIZE_PX, 3)
        if isinstance(without.labels, LabelMap):
            # Beside the picture is grey, where nothing is to be seen.
            assert np.all(without.labels.class_ids == IGNORED)
            is_picture = without.labels.confidences == 0
            assert not np.any(is_picture & np.all(without.image == 128, axis=-1))
            assert np.any(is_picture)
        else:
            assert not np.any(without.labels.weights)


def unlabeled(task, records):
    made = [
        task.prepare_unlabeled(record, tf.constant([5, number]))
        for number, record in enumerate(records)
    ]
    image, labels = (
        tf.nest.map_structure(lambda *rows: tf.stack(rows), *field)
        for field in zip(*[(one.image, one.labels) for one in made], strict=True)
    )
    return Batch(image, labels)


def test_labels_are_made_in_a_step_that_compiles_with_xla(task, serialized):
    batch = unlabeled(task, serialized[0])
    model = task.build_model(sync_batch_norm=False)
    teacher = OnlineTeacher(task, model, min_score=(0.0,) * 3, soft=True)
    compiled = tf.function(teacher.label, jit_compile=True)
    assert "ENTRY" in compiled.experimental_get_compiler_ir(batch)(stage="hlo")
    labels = teacher.label(batch).labels
    outputs = model(pictures(len(batch.image)))
    for ratio in task.losses(labels, outputs).values():
        assert np.isfinite(ratio.total)
        assert ratio.count > 0


def test_a_box_is_where_its_anchor_is_in_pixels_of_the_input():
    kind, settings, *_ = ROWS["retinanet_tiny"]
    task = kind(settings)
    logits = np.full([1, 504, 3], -20.0, np.float32)
    # 8 x 16 cells of 3 anchors: row 2, column 5, the smallest of the three; its class
    # is the last. Its middle is at 20, 44; its sides 1.5 cells of 8 px.
    logits[0, (2 * 16 + 5) * 3, 2] = 3.0
    outputs = {"logits": logits, "offsets": np.zeros([1, 504, 4], np.float32)}
    outputs = {name: tf.constant(value) for name, value in outputs.items()}
    seen = task.online_labels(outputs, unlabeled=None)
    assert isinstance(seen, Boxes)
    np.testing.assert_allclose(seen.boxes_yxyx[0, 0], [14, 38, 26, 50], atol=1e-4)
    assert seen.class_ids[0, 0] == 2
    np.testing.assert_allclose(seen.scores[0, 0], 1 / (1 + np.exp(-3.0)), rtol=1e-5)
    kept = task.pseudo_label(seen, min_score=(0.5,) * 3)
    assert np.sum(kept.weights) == 1


def test_a_pixel_has_the_best_class_and_its_share_and_none_beside_the_picture():
    kind, settings, *_ = ROWS["deeplab_tiny"]
    task = kind(settings)
    logits = tf.tile(tf.math.log([[[[0.18, 0.1, 0.72]]]]), [1, 16, 32, 1])
    plane = np.zeros([1, *SIZE_PX], np.uint8)
    plane[:, :, 100:] = 255
    unlabeled = LabelMap(IGNORED, tf.constant(plane))
    seen = task.online_labels({"logits": logits}, unlabeled)
    np.testing.assert_array_equal(seen.class_ids[:, :, :100], 2)
    np.testing.assert_array_equal(seen.class_ids[:, :, 100:], IGNORED)
    np.testing.assert_array_equal(seen.confidences[:, :, :100], 184)  # Of 183.6.


def test_a_picture_has_its_most_probable_class():
    kind, settings, *_ = ROWS["classifier_tiny"]
    seen = kind(settings).online_labels(
        {"logits": tf.math.log([[0.3, 0.6, 0.1]])}, None
    )
    np.testing.assert_array_equal(seen.class_ids, [[1]])
    np.testing.assert_allclose(seen.scores, [[0.6]], rtol=1e-6)
