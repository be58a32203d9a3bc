"""What inference promises: each picture once, whatever shares its batches."""

import dataclasses
import functools
import itertools
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config
from st_keras.data import decode, images, pipeline, records, threads
from st_keras.runtime import strategy as strategies
from st_keras.runtime.inference import Predictor
from st_keras.tasks.segmentation import SegmentationTask

SIZES = [(60, 100), (84, 52), (33, 200), (64, 96)]
# 1.75: one to four tiles, as the picture's form has it.
VIEWS = config.ViewsConfig(scales=(0.5, 1.75), flip=True)


@pytest.fixture(scope="module")
def predictor():
    return new_predictor()


def new_predictor():
    tf.keras.utils.set_random_seed(3)
    task = SegmentationTask(
        config.SegmentationConfig(
            class_names=("sky", "road", "car"),
            image_size_px=(64, 96),
            backbone="tiny",
            deeplab=config.DeepLabConfig(
                output_stride=32, aspp_rates=(1,), aspp_filters=8, decoder_filters=8
            ),
            evaluation_views=VIEWS,
        )
    )
    model = task.build_model(sync_batch_norm=False)
    # Weights that tell one place from another.
    for variable in model.trainable_variables:
        if "predict_conv/kernel" in variable.name:
            variable.assign(3.0 * tf.random.stateless_normal(variable.shape, [1, 2]))
    return Predictor(task, model)


def pictures():
    draw = np.random.default_rng(0)
    for number, (height, width) in enumerate(SIZES):
        coarse = draw.integers(0, 256, [4, 5, 3])
        pixels = tf.image.resize(coarse, [height, width], "bicubic")
        encoded = images.encode_png(np.clip(pixels, 0, 255).astype(np.uint8))
        record = records.Record(
            image_id=f"p{number}",
            encoded=encoded,
            format="png",
            filename="",
            height_px=height,
            width_px=width,
            boxes_yxyx=np.zeros([0, 4]),
            labels=[],
        )
        yield records.to_example(record).SerializeToString()


def seen(predictor, batch_size):
    serialized = tf.data.Dataset.from_tensor_slices(list(pictures()))
    return dict(
        predictor.over_serialized(serialized, count=len(SIZES), batch_size=batch_size)
    )


def test_a_picture_is_seen_once_and_at_its_own_size(predictor):
    found = seen(predictor, 4)
    assert list(found) == ["p0", "p1", "p2", "p3"]
    for labels, size in zip(found.values(), SIZES, strict=True):
        assert labels.class_ids.shape == labels.confidences.shape == size
        assert len(np.unique(labels.class_ids)) > 1


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_views_of_several_pictures_may_share_a_batch(predictor, batch_size):
    wanted = seen(predictor, 4)
    for image_id, labels in seen(predictor, batch_size).items():
        ids, confidences = wanted[image_id]
        assert np.mean(labels.class_ids != ids) < 1e-3
        error = labels.confidences.astype(int) - confidences
        assert np.abs(error).max() <= 1


def test_a_run_sees_in_pixels_what_evaluation_sees_in_records(
    run, evaluated, tiny_records
):
    assert sum(len(labels.scores) for labels in evaluated.values()) > 5
    source = pipeline.open_source(tiny_records.glob, None, 0)
    for serialized in pipeline.serialized_records(source):
        pixels = decode.decode_image(decode.decode_encoded(serialized)).numpy()
        found = run.predict(pixels)
        wanted = evaluated[decode.decode_image_id(serialized).numpy().decode()]
        np.testing.assert_array_equal(found.class_ids, wanted.class_ids)
        np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
        np.testing.assert_allclose(found.boxes_yxyx, wanted.boxes_yxyx, atol=1e-2)


@pytest.mark.parametrize("batch_size", [1, 5])
def test_replicas_share_the_batches(predictor, batch_size):
    """An odd batch grows by one, so that both have as many views."""
    runtime = config.RuntimeConfig(strategy="mirrored")
    strategy = strategies.build_strategy(runtime, ["CPU:0", "CPU:1"])
    with strategy.scope():
        mirrored = new_predictor()
    looked_at = []
    forward = mirrored.forward
    mirrored.forward = lambda view: looked_at.append(view.image) or forward(view)
    found, wanted = seen(mirrored, batch_size), seen(predictor, 4)
    assert [image.shape[0] for image in looked_at] == [(batch_size + 1) // 2] * 2
    assert {image.device[-5:] for image in looked_at} <= {"CPU:0", "CPU:1", ""}
    assert list(found) == list(wanted)
    for image_id, labels in found.items():
        assert np.mean(labels.class_ids != wanted[image_id].class_ids) < 1e-3


def unlabeled():
    for serialized in pictures():
        features = tf.train.Example.FromString(serialized).features.feature
        yield records.Record(
            image_id=features[records.IMAGE_ID].bytes_list.value[0].decode(),
            encoded=features[records.ENCODED].bytes_list.value[0],
            **{"format": "png", "filename": "", "height_px": 1, "width_px": 1},
            boxes_yxyx=np.zeros([0, 4]),
            labels=[],
        )


def test_pictures_come_back_with_what_is_seen_in_them(predictor):
    wanted = seen(predictor, 4)
    found = list(predictor.over_pictures(unlabeled(), batch_size=4))
    assert [picture.image_id for picture, _ in found] == ["p0", "p1", "p2", "p3"]
    for picture, labels in found:
        np.testing.assert_array_equal(labels, wanted[picture.image_id])


def test_several_pictures_are_prepared_at_a_time(predictor, monkeypatch):
    """A data set made of a generator would not, where ops are deterministic."""
    together = threading.Barrier(2, timeout=30)
    prepare = predictor._prepare

    def prepare_two(picture):
        together.wait()
        return prepare(picture)

    monkeypatch.setattr(predictor, "_prepare", prepare_two)
    both = functools.partial(threads.in_order, threads=2)
    monkeypatch.setattr(threads, "in_order", both)
    found = predictor.over_pictures(unlabeled(), batch_size=4)
    assert [picture.image_id for picture, _ in found] == ["p0", "p1", "p2", "p3"]


def test_a_picture_that_cannot_be_decoded_is_named(predictor):
    whole, broken, *_ = unlabeled()
    broken = dataclasses.replace(broken, encoded=broken.encoded[:99])
    with pytest.raises(tf.errors.InvalidArgumentError, match="^p1: cannot be decoded"):
        list(predictor.over_pictures([whole, broken], batch_size=4))


def test_ids_are_kept_to_the_last_character(predictor):
    names = ["", "ä/ö", "ends with\0"]
    named = [
        dataclasses.replace(picture, image_id=name)
        for name, picture in zip(names, unlabeled(), strict=False)
    ]
    found = predictor.over_pictures(named, batch_size=5)
    assert [picture.image_id for picture, _ in found] == names


def test_an_error_of_reading_reaches_the_caller_as_it_is(predictor):
    def two_and_no_more():
        yield from itertools.islice(unlabeled(), 2)
        raise ValueError("records-7.tfrecord: damaged.")

    found = []
    with pytest.raises(ValueError, match="^records-7.tfrecord: damaged.$"):
        for picture, _ in predictor.over_pictures(two_and_no_more(), batch_size=4):
            found.append(picture.image_id)
    assert found == ["p0", "p1"]


LARGE = """
import resource
import numpy as np, tensorflow as tf
from st_keras import config
from st_keras.data import images, records
from st_keras.runtime import strategy as strategies
from st_keras.runtime.inference import Predictor
from st_keras.tasks.segmentation import SegmentationTask

section = config.SegmentationConfig(
    class_names=tuple(map(str, range(21))),
    backbone="tiny",
    deeplab=config.DeepLabConfig(output_stride=32),
)
task = SegmentationTask(SegmentationTask.for_purpose(section, "labeling"))
predictor = Predictor(task, task.build_model(sync_batch_norm=False))
coarse = np.random.default_rng(0).integers(0, 256, [30, 40, 3])
pixels = tf.cast(tf.image.resize(coarse, [3000, 4000], "nearest"), tf.uint8)
record = records.Record(
    image_id="a", encoded=tf.io.encode_jpeg(pixels).numpy(), format="jpeg", filename="",
    height_px=3000, width_px=4000, boxes_yxyx=np.zeros([0, 4]), labels=[],
)
serialized = records.to_example(record).SerializeToString()
dataset = tf.data.Dataset.from_tensors(serialized)
[(_, labels)] = predictor.over_serialized(dataset, count=1, batch_size=4)
assert labels.class_ids.shape == (3000, 4000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


@pytest.mark.slow
def test_a_large_picture_is_labelled_at_six_scales_within_three_gigabytes():
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 3.0
