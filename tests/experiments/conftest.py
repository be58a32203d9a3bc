"""A made-up report, streets labelled by hand, and models whose every word is known."""

import copy
import dataclasses
import math
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.data import dataset_info, images, records
from st_keras.tasks import build_task, with_class_names
from st_keras.types import IGNORED, LabelMap
from tests.record_files import write_records


def cost(images: int, steps: int, multiply_adds: int, device_seconds: float) -> dict:
    """Returns a row of a ledger."""
    return {
        **{"images": images, "steps": steps, "multiply_adds": multiply_adds},
        "device_seconds": device_seconds,
    }


PROTOCOL = {
    "records": "gone/test/*.tfrecord",
    "ids": "all",
    "pictures": 40,
    "checkpoint_sha256": "0a1b2c3d4e5f",
    "role": "teacher",
    "weights": "moving average",
    "image_size_px": [64, 96],
    "min_score": 0.05,
}
REPORT = {
    "teacher": {
        **{"AP": 41.26, "AP50": 70.0, "APl": -100.0, "AR1": 11.5, "AR100": 55.5},
        "per_class": {"cat": {"AP": 52.1}, "<dog>": {"AP": 30.4}},
        **{"steps": 1500, "images_seen": 24_000, "parameters": 390_001},
        "total": cost(24_000, 1500, 720_000_000_000, 58.7),
        "protocol": PROTOCOL,
    },
    "student": {
        **{"AP": 48.74, "AP50": 75.5, "APl": -100.0, "AR1": 12.5, "AR100": 54.4},
        "per_class": {"cat": {"AP": 51.9}, "<dog>": {"AP": 45.6}},
        **{"steps": 1500, "images_seen": 24_000, "parameters": 390_001},
        "total": cost(49_900, 3000, 1_459_000_000_000, 149.0),
        "protocol": PROTOCOL | {"role": "student", "checkpoint_sha256": "ffff00001111"},
    },
    "control": {
        **{"AP": 46.15, "AP50": 75.5, "APl": -100.0, "AR1": 13.5, "AR100": 53.3},
        "per_class": {"cat": {"AP": 52.1}, "<dog>": {"AP": 40.2}},
        **{"steps": 3000, "images_seen": 48_000, "parameters": 390_001},
        "total": cost(48_000, 3000, 1_440_000_000_000, 120.0),
        "protocol": PROTOCOL,
    },
    "headline": "AP",
    "students": [48.74],
    "pseudo_labels": {
        "min_score": 0.4,
        "images": 1900,
        "boxes_per_image": 2.25,
        "precision": 0.762,
        "recall": 0.57,
        "thresholds": [
            {"min_score": s, "precision": s, "recall": 1 - s, "boxes_per_image": 9 * s}
            for s in (0.2, 0.4, 0.6)
        ],
        "human": {"boxes_per_image": 3.125},
        "charts": [
            {
                "title": "Precision and recall",
                "columns": ["precision", "recall"],
                "is_share": True,
            },
            {
                "title": "Boxes per picture",
                "columns": ["boxes_per_image"],
                "is_share": False,
            },
        ],
        "sentence": "Pseudo labels: 2.2 boxes per picture; 76% of them are right.",
    },
    "ledger": {
        "teacher": cost(24_000, 1500, 720_000_000_000, 58.74),
        "labels_1": cost(1900, 0, 19_000_000_000, 6.3),
        "student_1": cost(24_000, 1500, 720_000_000_000, 84.0),
    },
    "seed": 3,
    "iterations": 1,
    "config": "9e68ebc4a788",
    "verdict": ["The student beats its teacher: +7.5 AP.", "One seed."],
}


@pytest.fixture(scope="session")
def made_up():
    """Makes the report of an experiment nobody ran; parts given as None are absent."""

    def make(**changes):
        parts = copy.deepcopy(REPORT) | changes
        return {name: part for name, part in parts.items() if part is not None}

    return make


@pytest.fixture(scope="session")
def cup_run(tiny_records, student_yaml, tmp_path_factory) -> str:
    """Workdir of a model that sees a cup, class 1, in every anchor, by 0.5."""
    workdir = tmp_path_factory.mktemp("cup_run")
    config = config_lib.load(student_yaml, ["pseudo=null", "self_training=null"])
    detection = dataclasses.replace(
        config.detection, class_names=tiny_records.class_names
    )
    config = dataclasses.replace(config, detection=detection)
    config_lib.save(config, str(workdir / "config.yaml"))
    model = build_task(config).build_model(sync_batch_norm=False)
    for variable in model.trainable_variables:
        if variable.name.startswith(("class_predict_conv", "box_predict_conv")):
            variable.assign(tf.zeros_like(variable))
        if variable.name == "class_predict_conv/bias:0":
            # Three anchors in a cell; a logit of 0 is a score of 0.5.
            variable.assign(np.tile([-9.0, 0.0, -9.0], 3))
    _save(model, workdir)
    return str(workdir)


class StreetRecords(NamedTuple):
    """Seven pictures with label maps, 60 x 100 or 84 x 52, in two shards."""

    glob: str
    class_names: tuple[str, ...]
    pixels: dict[str, np.ndarray]  # By image id, in the order they were written.
    labels: dict[str, LabelMap]


@pytest.fixture(scope="session")
def street_records(tmp_path_factory) -> StreetRecords:
    """Road below, a car on it, nothing said on the right; `street_3` has no map."""
    folder = tmp_path_factory.mktemp("streets")
    names = ("background", "road", "car")
    rng = np.random.default_rng(11)
    pixels, labels, written = {}, {}, []
    for number in range(7):
        height, width = (84, 52) if number % 3 == 2 else (60, 100)
        image_id = f"street_{number}"
        image = rng.integers(0, 255, [height, width, 3]).astype(np.uint8)
        ids = np.zeros([height, width], np.uint8)
        ids[height // 2 :] = 1
        ids[height // 2 : height // 2 + 9 + number, 5:30] = 2
        ids[:, width - 12 :] = IGNORED
        if number == 3:
            ids[:] = IGNORED
        written.append(
            records.Record(
                image_id=image_id,
                encoded=images.encode_png(image),
                format="png",
                filename=f"{image_id}.png",
                height_px=height,
                width_px=width,
                label_map_png=None if number == 3 else images.encode_png(ids),
            )
        )
        pixels[image_id] = image
        labels[image_id] = LabelMap(ids, np.full_like(ids, 255))
    write_records(folder, written, num_shards=2, label_map_names=names)
    return StreetRecords(f"{folder}/*.tfrecord", names, pixels, labels)


@pytest.fixture(scope="session")
def street_config(street_records, segmentation_yaml) -> config_lib.Config:
    """Config of a student on streets; nobody has labelled for it yet."""
    config = config_lib.load(
        segmentation_yaml, [f"human.records={street_records.glob}", "human.ids=''"]
    )
    return with_class_names(config, dataset_info.load(street_records.glob))


@pytest.fixture(scope="session")
def road_run(street_config, tmp_path_factory) -> str:
    """Workdir of a model that sees road, class 1, in every pixel, by 0.6."""
    workdir = tmp_path_factory.mktemp("road_run")
    config = dataclasses.replace(street_config, pseudo=None, self_training=None)
    config_lib.save(config, str(workdir / "config.yaml"))
    model = build_task(config).build_model(sync_batch_norm=False)
    for variable in model.trainable_variables:
        if variable.name == "predict_conv/kernel:0":
            variable.assign(tf.zeros_like(variable))
        if variable.name == "predict_conv/bias:0":
            variable.assign([0.0, math.log(3.0), 0.0])  # 3 of 1 + 3 + 1.
    _save(model, workdir)
    return str(workdir)


def _save(model, workdir) -> None:
    checkpoint = tf.train.Checkpoint(model=model)
    tf.train.CheckpointManager(
        checkpoint, str(workdir / "checkpoints"), max_to_keep=1
    ).save(0)
