"""What tests share: two CPU devices, fixed seeds, and two small data sets.

`tiny_records` holds a dozen coloured rectangles whose every box is known in advance;
`digit_records` a few scenes of the demo, for runs small enough to be killed in a test.
"""

import os

from st_keras import environment

# A function that AutoGraph cannot convert is an error.
os.environ["AUTOGRAPH_STRICT_CONVERSION"] = "1"
environment.quiet()  # Before TensorFlow is loaded: it reads its log level only then.

# ruff: noqa: E402
import gc
import io
import itertools
import pathlib
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image
from tensorflow.python.framework import config as process

from st_keras import config as config_lib
from st_keras.data import conversion, records, splits
from st_keras.data.sources.digits import DigitSource
from tests import patterns
from tests.record_files import write_records

# Before anything makes a tensor; later, TensorFlow refuses to split a device.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
)

# TensorFlow's own objects are a million, and never garbage.
gc.collect()
gc.freeze()

_MODULES = itertools.count(1)  # That have ended in this process.
_LONG = ("conformance", "experiments", "training")  # Folders of tests.
_SCENES = {"train": 24, "val": 5, "test": 6}
_HUMAN = 9  # Not a multiple of the batch: epochs end within a step.
_TINY_CLASSES = ("ball", "cup", "kite")
_TINY_COUNTS = (3, 0, 1, 2, 5, 1, 0, 4, 2, 1, 3, 2)  # Boxes per picture.


class TinyRecords(NamedTuple):
    """A dozen pictures of coloured rectangles, 60 x 100 or 84 x 52, in three shards."""

    glob: str
    class_names: tuple[str, ...]
    by_id: dict[str, records.Record]  # In the order they were written.


def pytest_collection_modifyitems(items):
    """Puts files that take minutes first, so that no process ends long after others.

    Leaves out the `test_session` that every tf.test.TestCase brings along.
    """
    items[:] = [item for item in items if item.name != "test_session"]
    root = pathlib.Path(__file__).parent
    items.sort(key=lambda item: item.path.relative_to(root).parts[0] not in _LONG)


@pytest.fixture(autouse=True, scope="module")
def _nothing_left_behind():
    """Frees what a module has traced: over thousands of tests, it slows all others.

    A run that was deterministic leaves its process so, and XLA then compiles less.
    """
    yield
    process.disable_op_determinism()
    tf.keras.backend.clear_session()
    if next(_MODULES) % 8 == 0:
        gc.unfreeze()  # Models of earlier modules may be garbage by now: gigabytes.
    gc.collect()
    gc.freeze()  # Most that is left will stay; to look through it takes a second.


@pytest.fixture(autouse=True)
def _fixed_seeds():
    tf.keras.utils.set_random_seed(1)


@pytest.fixture(scope="session")
def tiny_records(tmp_path_factory) -> TinyRecords:
    """Twelve pictures with 0 to 5 boxes each; the last box of `tiny_04` is a crowd."""
    folder = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(7)
    written = [_rectangles(rng, i, count) for i, count in enumerate(_TINY_COUNTS)]
    write_records(folder, written, num_shards=3, class_names=_TINY_CLASSES)
    by_id = {record.image_id: record for record in written}
    return TinyRecords(f"{folder}/*.tfrecord", _TINY_CLASSES, by_id)


class FewDigits(DigitSource):
    """The first scenes of each split."""

    def items(self, split):
        return super().items(split)[: _SCENES[split]]

    def num_labeled(self, split):
        return None


@pytest.fixture(scope="session")
def digit_records(tmp_path_factory) -> pathlib.Path:
    """Folder with `train` (24 scenes), `val` (5), `test` (6), and id files."""
    folder = tmp_path_factory.mktemp("digits")
    conversion.convert(FewDigits(), str(folder))
    ids = [f"train_{number:06d}" for number in range(_SCENES["train"])]
    splits.write_ids(folder / "human.txt", ids[:_HUMAN], "labelled by humans")
    splits.write_ids(folder / "rest.txt", ids[_HUMAN:], "the rest")
    return folder


@pytest.fixture(scope="session")
def student_yaml(digit_records) -> str:
    """File with a student's config that trains for 12 steps in a second or two."""
    text = f"""
detection:
  image_size_px: [64, 64]
  backbone: tiny
  max_level: 5
  neck_filters: 16
  head: {{num_convs: 1, num_filters: 16}}
  anchor_size: 1.5
  aspect_ratios: [1.0]
  batch_norm_momentum: 0.9
  augment: {{color_strength: 0.2}}
human:
  records: {digit_records}/train/*.tfrecord
  ids: {digit_records}/human.txt
  images_per_step: 4
pseudo: {{images_per_step: 2, min_score: 0.005, decay: 0.9}}
optimization:
  optimizer: adamw
  learning_rate: 0.003
  warmup_steps: 2
  warmup_learning_rate: 0.0
  ema_decay: 0.9
training: {{steps: 12, steps_per_loop: 2, checkpoint_every_steps: 4}}
evaluation: {{records: "{digit_records}/val/*.tfrecord", images_per_step: 4}}
self_training:
  unlabeled_records: {digit_records}/train/*.tfrecord
  unlabeled_ids: {digit_records}/rest.txt
  test_records: {digit_records}/test/*.tfrecord
  score_floor: 0.005
"""
    path = digit_records / "student.yaml"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="session")
def segmentation_yaml(student_yaml) -> str:
    """The same for a student that says a class for every pixel."""
    settings = yaml.safe_load(pathlib.Path(student_yaml).read_text())
    del settings["detection"]
    settings["segmentation"] = {
        **{"image_size_px": [64, 64], "backbone": "tiny", "batch_norm_momentum": 0.9},
        "deeplab": {"output_stride": 32, "aspp_rates": [1], "aspp_filters": 16},
        "labeling_views": {"scales": [0.75, 1.5], "flip": True},
        "augment": {"color_strength": 0.2},
    }
    settings["segmentation"]["deeplab"]["decoder_filters"] = 16
    settings["pseudo"]["min_score"] = 0.2
    path = pathlib.Path(student_yaml).with_name("segmentation_student.yaml")
    path.write_text(yaml.safe_dump(settings))
    return str(path)


@pytest.fixture(scope="session")
def classification_yaml(student_yaml, tmp_path_factory) -> str:
    """The same for a student that says one class for a picture: the quickest to trace.

    Of 36 pictures of patterns, 9 are labelled by humans.
    """
    folder = tmp_path_factory.mktemp("classes")
    ids = [patterns.write(folder, split) for split in patterns.COUNTS][0]
    splits.write_ids(folder / "human.txt", ids[:_HUMAN], "labelled by humans")
    splits.write_ids(folder / "rest.txt", ids[_HUMAN:], "the rest")
    settings = yaml.safe_load(pathlib.Path(student_yaml).read_text())
    del settings["detection"]
    settings["classification"] = {
        **{"image_size_px": [64, 64], "backbone": "tiny", "crop": {"area_min": 0.5}},
        **{"augment": {"color_strength": 0.2}, "batch_norm_momentum": 0.9},
    }
    settings["human"]["records"] = f"{folder}/train/*.tfrecord"
    settings["human"]["ids"] = f"{folder}/human.txt"
    settings["evaluation"]["records"] = f"{folder}/val/*.tfrecord"
    settings["self_training"] |= {
        "unlabeled_records": f"{folder}/train/*.tfrecord",
        "unlabeled_ids": f"{folder}/rest.txt",
        "test_records": f"{folder}/test/*.tfrecord",
    }
    path = folder / "student.yaml"
    path.write_text(yaml.safe_dump(settings))
    return str(path)


@pytest.fixture(scope="session")
def joint_yaml(student_yaml, tmp_path_factory) -> str:
    """The same for a student that also learns classes of pictures, of another size."""
    folder = tmp_path_factory.mktemp("patterns")
    patterns.write(folder, "train")
    settings = yaml.safe_load(pathlib.Path(student_yaml).read_text())
    settings["joint"] = {
        **{"records": f"{folder}/train/*.tfrecord", "images_per_step": 4},
        **{"weight": 0.5, "image_size_px": [32, 64], "crop": {"area_min": 0.5}},
    }
    path = pathlib.Path(student_yaml).with_name("joint_student.yaml")
    path.write_text(yaml.safe_dump(settings))
    return str(path)


@pytest.fixture
def student_config(student_yaml) -> config_lib.Config:
    return config_lib.load(student_yaml)


@pytest.fixture
def teacher_config(student_yaml) -> config_lib.Config:
    return config_lib.load(
        student_yaml, ["pseudo=null", "self_training=null", "human.images_per_step=6"]
    )


def _rectangles(rng, number: int, count: int) -> records.Record:
    """One picture: box i is filled with its class's primary colour, at most 255 - i."""
    height, width = (84, 52) if number % 3 == 2 else (60, 100)
    pixels = rng.integers(0, 60, [height, width, 3]).astype(np.uint8)
    sides = rng.integers([8, 10], [30, 40], [count, 2])
    corners = (rng.random([count, 2]) * ([height, width] - sides)).astype(int)
    boxes = np.concatenate([corners, corners + sides], axis=1)
    labels = rng.integers(1, 4, count)
    for i, (y0, x0, y1, x1) in enumerate(boxes):
        pixels[y0:y1, x0:x1] = 0
        pixels[y0:y1, x0:x1, labels[i] - 1] = 255 - i
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "png")
    return records.Record(
        image_id=f"tiny_{number:02d}",
        encoded=encoded.getvalue(),
        format="png",
        filename=f"tiny_{number:02d}.png",
        height_px=height,
        width_px=width,
        boxes_yxyx=boxes.astype(np.float32),
        labels=labels,
        texts=tuple(_TINY_CLASSES[label - 1] for label in labels),
        is_crowd=(number == 4) & (np.arange(count) == count - 1),
    )
