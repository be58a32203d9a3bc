"""What a classification beside a task promises, on models of the tasks themselves."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config
from st_keras.tasks.classification import ClassificationTask
from st_keras.tasks.detection import DetectionTask
from st_keras.tasks.segmentation import SegmentationTask
from st_keras.training import optimization
from st_keras.training.joint import Joint
from st_keras.training.step import TrainStep
from st_keras.types import Batch
from tests.conformance.test_tasks import (
    boxes,
    classes,
    detector,
    label_maps,
    pictures,
    segmenter,
)

SIZE_PX = (96, 64)  # Another one than that of the tasks, 64 x 128.
ROWS = {
    "retinanet_tiny": (DetectionTask, detector("tiny"), boxes),
    "deeplab_tiny": (SegmentationTask, segmenter(), label_maps),
}


@pytest.fixture(params=ROWS)
def row(request):
    tf.keras.utils.set_random_seed(0)
    return ROWS[request.param]


def built(row):
    """Returns the task, its model and what is learned beside it."""
    kind, settings, _ = row
    task = kind(settings)
    model = task.build_model(sync_batch_norm=False)
    beside = ClassificationTask(
        config.ClassificationConfig(
            class_names=("a", "b", "c"),
            image_size_px=SIZE_PX,
            backbone=settings.backbone,
        )
    )
    classifier = beside.build_model_on(model, sync_batch_norm=False)
    return task, model, Joint(beside, classifier, weight=0.5)


def parts(row):
    noise = np.random.default_rng(1)
    own = noise.integers(0, 256, [2, 64, 128, 3])
    beside = noise.integers(0, 256, [2, *SIZE_PX, 3])
    return {
        "human": Batch(tf.constant(own, tf.uint8), row[2](2)),
        "joint": Batch(tf.constant(beside, tf.uint8), classes(2)),
    }


def train_step(row):
    task, model, joint = built(row)
    optimizer = tf.keras.optimizers.legacy.SGD(0.01)
    variables = model.trainable_variables + joint.head.trainable_variables
    optimization.create_slots(optimizer, variables)
    step = TrainStep(
        task, model, optimizer, None, weight_decay=1e-4, clip_norm=10.0, joint=joint
    )
    return step, model, joint


def test_the_step_lowers_to_xla(row):
    take_step, *_ = train_step(row)
    compiled = tf.function(take_step, jit_compile=True)
    text = compiled.experimental_get_compiler_ir(parts(row))(stage="hlo")
    assert "ENTRY" in text


def test_a_gradient_reaches_the_head_and_all_that_it_looks_at(row):
    _, model, joint = built(row)
    variables = model.get_layer("backbone").trainable_variables
    variables = variables + joint.head.trainable_variables
    noise = tf.random.stateless_normal([2, *SIZE_PX, 3], [1, 2])
    with tf.GradientTape() as tape:
        outputs = joint.model(noise, training=True)
        loss = joint.task.losses(classes(2), outputs)["class"].total
    gradients = tape.gradient(loss, variables)
    without = [
        variable.name
        for variable, gradient in zip(variables, gradients, strict=True)
        if gradient is None or not np.any(gradient)
    ]
    assert not without


def test_the_model_says_what_it_says_without_it(row):
    task = row[0](row[1])
    tf.keras.utils.set_random_seed(3)
    alone = task.build_model(sync_batch_norm=False)
    tf.keras.utils.set_random_seed(3)
    _, model, _ = built(row)
    assert [v.name for v in model.variables] == [v.name for v in alone.variables]
    ours, theirs = model(pictures()), alone(pictures())
    for name, value in theirs.items():
        np.testing.assert_array_equal(ours[name], value)


def test_what_batch_norm_keeps_is_of_the_models_own_pictures(row):
    batches = parts(row)
    kept = {}
    for name, brightness in (("dark", 0), ("bright", 3)):
        tf.keras.utils.set_random_seed(3)
        take_step, model, _ = train_step(row)
        beside = batches["joint"]
        beside = beside._replace(image=beside.image // 4 + 63 * brightness)
        take_step(batches | {"joint": beside})
        kept[name] = [v.numpy() for v in model.non_trainable_variables]
    for one, other in zip(kept["dark"], kept["bright"], strict=True):
        np.testing.assert_array_equal(one, other)
    fresh = row[0](row[1]).build_model(sync_batch_norm=False).non_trainable_variables
    assert any(np.any(v != f) for v, f in zip(kept["dark"], fresh, strict=True))
