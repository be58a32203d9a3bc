"""What the pictures of a benchmark promise, besides being pictures."""

import hashlib
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data import decode, records
from st_keras.experiments.benchmarks import scenes

COUNT = 6


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> str:
    return scenes.write_scenes(str(tmp_path_factory.mktemp("scenes")), COUNT, seed=3)


def serialized(glob):
    return list(tf.data.TFRecordDataset(tf.io.gfile.glob(glob)).as_numpy_iterator())


def label_map(record):
    png = tf.train.Example.FromString(record).features.feature[records.LABEL_MAP]
    return tf.io.decode_png(png.bytes_list.value[0]).numpy()[..., 0]


def test_they_weigh_what_photographs_do(made):
    sizes = [len(decode.decode_encoded(s).numpy()) for s in serialized(made)]
    # COCO's, of the same size, are around 150 KB; flat drawings would be 10 KB.
    assert len(sizes) == COUNT and 70_000 < min(sizes) and max(sizes) < 130_000


def test_boxes_are_around_the_digits_of_the_label_map(made):
    for record in serialized(made):
        example, classes = decode.decode_example(record), label_map(record)
        assert classes.shape == scenes.SIZE_PX == tuple(example.image.shape[:2])
        boxes = example.labels.boxes_yxyx.numpy().round().astype(int)
        assert 1 <= len(boxes) <= 15
        inside = np.zeros(scenes.SIZE_PX, bool)
        for y0, x0, y1, x1 in boxes:
            assert 0 <= y0 < y1 <= 480 and 0 <= x0 < x1 <= 640
            inside[y0:y1, x0:x1] = True
        assert classes.any() and not classes[~inside].any()
        # The last digit is on top of the others, so all its edges have ink.
        y0, x0, y1, x1 = boxes[-1]
        digit = int(example.labels.class_ids[-1]) + 1
        ink = classes[y0:y1, x0:x1] == digit
        assert ink[0].any() and ink[-1].any() and ink[:, 0].any() and ink[:, -1].any()


def test_they_depend_on_the_seed_alone(made, tmp_path):
    def digest(glob):
        [path] = tf.io.gfile.glob(glob)
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()

    again = scenes.write_scenes(str(tmp_path / "a"), COUNT, seed=3)
    other = scenes.write_scenes(str(tmp_path / "b"), COUNT, seed=4)
    assert digest(again) == digest(made) != digest(other)
