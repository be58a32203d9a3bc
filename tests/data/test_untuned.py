"""What makes a run start soon and end at once."""

import time

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.autograph.impl import api

from st_keras import config as config_lib
from st_keras.data import dataset_info, pipeline
from st_keras.data.untuned import untuned
from st_keras.self_training.batches import Batches
from st_keras.tasks import build_task, with_class_names


def as_they_are(serialized):
    return {"text": serialized[None]}


@pytest.fixture
def source(tiny_records):
    return pipeline.open_source(tiny_records.glob, None, cache_mb=1)


def test_no_stream_of_records_is_tuned(source):
    for stream in (
        pipeline.training_stream(
            *(source, lambda serialized, seed: serialized),
            **{"seed": (0, 1), "start": 0, "batch_size": 2, "shuffle_buffer": 4},
        ),
        pipeline.serialized_records(source),
        pipeline.ordered_batches(
            pipeline.serialized_records(source), as_they_are, batch_size=2
        ),
        untuned(tf.data.Dataset.range(3)).map(lambda x: x + 1).batch(2),
    ):
        assert stream.options().autotune.enabled is False
        assert next(iter(stream)) is not None


@pytest.fixture
def nothing_is_converted(monkeypatch):
    def refuse(entity, *args, **kwargs):
        raise AssertionError(f"AutoGraph reads {entity}.")

    monkeypatch.setattr(api, "_convert_actual", refuse)


@pytest.mark.parametrize("policy", ["S1", "S4"])
@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_no_source_is_read_before_the_first_step(
    task, policy, student_yaml, segmentation_yaml, nothing_is_converted
):
    path = {"detection": student_yaml, "segmentation": segmentation_yaml}[task]
    settings = ["pseudo=null", "self_training=null", f"{task}.augment.policy={policy}"]
    config = config_lib.load(path, settings)
    config = with_class_names(config, dataset_info.load(config.human.records))
    batches = Batches(config, build_task(config))
    # Replica 1 of 2, so that the other's batches are left out.
    stream = batches.from_step(1, replicas=2, replicas_here=range(1, 2))
    image = next(iter(stream))["human"].image.numpy()
    assert image.shape == (2, 64, 64, 3)  # Of 4, the half of one replica.
    assert np.ptp(image) > 0


def test_an_iterator_is_dropped_at_once():
    """With the autotuner, three in eight took as long again as they had lived."""
    slow = tf.data.Dataset.range(2000).map(
        lambda x: tf.py_function(lambda y: time.sleep(0.001) or y, [x], tf.int64),
        num_parallel_calls=2,
    )
    for _ in range(3):
        iterator = iter(untuned(slow).take(400))
        for _ in iterator:
            pass
        started = time.time()
        del iterator
        assert time.time() - started < 0.1
