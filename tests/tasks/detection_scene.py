"""A picture with two boxes, and a task that is to find them."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from st_keras import config
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


def run_config(**detection):
    return config.Config(
        detection=config.DetectionConfig(**detection),
        human=config.RecordsConfig(records="a/*"),
        training=config.TrainingConfig(steps=1),
    )
