"""A run that has learned something, made in seconds and without the loop."""

import dataclasses

import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.data import decode, pipeline
from st_keras.ops import images
from st_keras.runtime.inference import Predictor
from st_keras.runtime.restored import restore_run
from st_keras.tasks import build_task
from st_keras.types import Batch

_STEPS = 120  # With 60, the seed decides between 8 and 90 AP.
_SETTINGS = ("pseudo=null", "self_training=null", "detection.image_size_px=[64, 96]")


@pytest.fixture(scope="session")
def rectangles_run(tiny_records, student_yaml, tmp_path_factory) -> str:
    """Workdir of a model that knows the pictures of `tiny_records` by heart, nearly."""
    workdir = tmp_path_factory.mktemp("rectangles_run")
    config = config_lib.load(student_yaml, _SETTINGS)
    detection = dataclasses.replace(
        config.detection, class_names=tiny_records.class_names
    )
    config = dataclasses.replace(config, detection=detection)
    config_lib.save(config, str(workdir / "config.yaml"))
    tf.keras.utils.set_random_seed(1)
    task = build_task(config)
    model = task.build_model(sync_batch_norm=False)
    _learn_by_heart(task, model, tiny_records)
    checkpoint = tf.train.Checkpoint(model=model)
    tf.train.CheckpointManager(
        checkpoint, str(workdir / "checkpoints"), max_to_keep=1
    ).save(_STEPS)
    return str(workdir)


def _learn_by_heart(task, model, records) -> None:
    source = pipeline.open_source(records.glob, None, 0)
    (batch,) = (
        pipeline.serialized_records(source)
        .map(lambda serialized: _shown_whole(task, serialized))
        .batch(source.count)
    )
    optimizer = tf.keras.optimizers.legacy.Adam(0.01)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs = model(images.normalize(batch.image), training=True)
            losses = task.losses(batch.labels, outputs).values()
            loss = tf.add_n([ratio.total / ratio.count for ratio in losses])
        variables = model.trainable_variables
        optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        return loss

    for _ in range(_STEPS):
        step()


def _shown_whole(task, serialized) -> Batch:
    """Returns a record as it is evaluated, with 5 rows of labels."""
    view = task.whole_view(decode.decode_image(decode.decode_encoded(serialized)))
    labels, _ = task.read_labels(serialized)
    missing = 5 - tf.shape(labels.weights)[0]
    moved = labels._replace(boxes_yxyx=labels.boxes_yxyx * tf.tile(view.scale_yx, [2]))
    padded = tf.nest.map_structure(
        lambda field: tf.ensure_shape(
            tf.pad(field, [[0, missing]] + [[0, 0]] * (field.shape.rank - 1)),
            [5, *field.shape[1:]],
        ),
        moved,
    )
    return Batch(view.image, padded)


@pytest.fixture(scope="session")
def run(rectangles_run):
    return restore_run(rectangles_run)


@pytest.fixture(scope="session")
def evaluated(run, tiny_records):
    """Image id to what the evaluation sees there."""
    source = pipeline.open_source(tiny_records.glob, None, 0)
    return dict(Predictor(run.task, run.model).over_records(source, batch_size=5))
