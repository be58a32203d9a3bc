"""What a policy that changes the contents of boxes knows of the boxes."""

import types

import numpy as np
import pytest
import tensorflow as tf

from st_keras.config import AugmentConfig, DetectionConfig
from st_keras.data import records
from st_keras.data.images import encode_png
from st_keras.tasks.detection import DetectionTask

INFO = types.SimpleNamespace(max_boxes_per_image=24)
KEPT = [[8, 12, 40, 70], [50, 30, 90, 120]]


def detector(where="host"):
    return DetectionTask(
        DetectionConfig(
            class_names=("cup",),
            image_size_px=(96, 128),
            max_level=5,
            augment=AugmentConfig(policy="S2", where=where),
        )
    )


def picture(boxes, scores):
    pixels = np.random.default_rng(0).integers(0, 255, [96, 128, 3], np.uint8)
    record = records.Record(
        image_id="a",
        encoded=encode_png(pixels),
        format="png",
        filename="a.png",
        height_px=96,
        width_px=128,
        boxes_yxyx=np.float32(boxes).reshape([-1, 4]),
        labels=np.ones(len(boxes), np.int64),
        scores=np.float32(scores),
    )
    return records.to_example(record).SerializeToString()


def test_a_box_under_the_threshold_changes_no_pixel():
    """S2 shifts and turns what is in boxes, however many a low floor has stored."""
    task = detector()
    weak = [[y, x, y + 20, x + 20] for y in (5, 35, 65) for x in (10, 40, 70, 100)]
    few = picture(KEPT, [0.9, 0.6])
    many = picture([*weak, *KEPT], [0.1] * len(weak) + [0.9, 0.6])

    @tf.function(autograph=False)
    def prepare(serialized, seed, min_score):
        found = task.prepare(serialized, seed, INFO, min_score=min_score)
        return found.image, found.labels.boxes_yxyx

    changed = 0
    for number in range(12):
        seed = tf.constant([number, 1])
        (image, boxes), others = prepare(few, seed, (0.5,)), prepare(many, seed, (0.5,))
        np.testing.assert_array_equal(image, others[0])
        # The strongest come first.
        kept = int(np.any(boxes, axis=1).sum())
        np.testing.assert_array_equal(boxes[:kept], others[1][:kept])
        changed += np.any(image != prepare(many, seed, (0.0,))[0])
    assert changed > 2


@pytest.mark.parametrize("labels", ["none read", "none there"])
def test_a_step_without_boxes_compiles_with_what_changes_boxes(labels):
    task, seed = detector("device"), tf.constant([1, 2])
    if labels == "none read":
        found = task.prepare_unlabeled(picture([], []), seed)
    else:
        info = types.SimpleNamespace(max_boxes_per_image=0)
        found = task.prepare(picture([], []), seed, info)
    image, changes = tf.nest.map_structure(
        lambda field: field[None], (found.image, found.changes)
    )
    compiled = tf.function(task.finish_images, jit_compile=True, autograph=False)
    assert compiled(image, changes).shape == (1, 96, 128, 3)
