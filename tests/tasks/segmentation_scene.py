"""A picture with a label map, and a task that is to draw it."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image

from st_keras import config
from st_keras.data import dataset_info, images, records
from st_keras.tasks.segmentation import SegmentationTask
from st_keras.types import IGNORED, LabelMap

CLASSES = ("sky", "road", "car")
INPUT = (64, 96)
PICTURE = (32, 48)  # Fills the input at twice its size, so nothing is left to chance.
PLAIN = config.AugmentConfig(scale_min=1.0, scale_max=1.0, flip_probability=0.0)
# Colour of each class in the pictures; the ignored pixels are white.
COLORS = np.array([[10, 20, 200], [90, 90, 90], [220, 30, 40]], np.uint8)


def task_of(**changes):
    return SegmentationTask(
        config.SegmentationConfig(
            **{
                **{"class_names": CLASSES, "image_size_px": INPUT, "backbone": "tiny"},
                "deeplab": config.DeepLabConfig(
                    output_stride=32, aspp_rates=(1,), aspp_filters=8, decoder_filters=8
                ),
                "augment": PLAIN,
                **changes,
            }
        )
    )


def scene(size=PICTURE):
    """Sky above a road, a car on its left, and a strip that nobody labelled."""
    height, width = size
    label_map = np.zeros(size, np.uint8)
    label_map[height // 2 :] = 1
    label_map[height // 2 : height // 2 + 8, 4:20] = 2
    label_map[:, width - 6 :] = IGNORED
    return label_map


def record(label_map=None, **changes):
    label_map = scene() if label_map is None else label_map
    pixels = np.full([*label_map.shape, 3], 255, np.uint8)
    known = label_map != IGNORED
    pixels[known] = COLORS[label_map[known]]
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "png")
    return records.Record(
        **{
            **{"image_id": "a", "encoded": encoded.getvalue(), "format": "png"},
            **{"filename": "a.png", "boxes_yxyx": np.zeros([0, 4]), "labels": []},
            "height_px": label_map.shape[0],
            "width_px": label_map.shape[1],
            "label_map_png": images.encode_png(label_map),
            **changes,
        }
    )


def serialize(of):
    return records.to_example(of).SerializeToString()


def info(names=CLASSES):
    return dataset_info.Tally().info(
        source="",
        class_names=(),
        label_map_names=names,
        skipped={},
        content_sha256="",
        shards=[],
    )


def prepare(task, of, seed=(0, 0)):
    prepared = task.prepare(serialize(of), tf.constant(seed), info())
    return prepared._replace(labels=to_numpy(prepared.labels))


def to_numpy(labels):
    return LabelMap(*(np.asarray(field) for field in labels))


def batch_of(labels):
    return LabelMap(*(tf.constant(field)[None] for field in labels))


def certain_logits(class_ids, stride=4):
    """Logits of cells that know the labels of a [H, W] map of whole cells."""
    cells = class_ids[::stride, ::stride]
    return 60.0 * tf.one_hot(cells, len(CLASSES))[None]


def run_config(segmentation=None):
    return config.Config(
        segmentation=segmentation or config.SegmentationConfig(),
        human=config.RecordsConfig(records="a/*"),
        training=config.TrainingConfig(steps=1),
    )
