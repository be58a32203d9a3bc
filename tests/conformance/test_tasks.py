"""What every task promises of the models it builds: one test per promise."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config
from st_keras.tasks.detection import DetectionTask
from st_keras.training import optimization
from st_keras.training.step import TrainStep
from st_keras.types import Batch, Labels

SIZE_PX = (64, 128)  # Height and width differ, so that a swap shows.
CLASSES = 3


def detector(backbone):
    """Returns the settings of a small detector on a backbone."""
    return config.DetectionConfig(
        class_names=("a", "b", "c"),
        image_size_px=SIZE_PX,
        backbone=backbone,
        max_level=5,
        neck_filters=16,
        head=config.BoxHeadConfig(num_convs=1, num_filters=16),
        anchor_size=1.5,  # 12 to 19, 24 to 38 and 48 to 76 px on the three levels.
        aspect_ratios=(1.0,),
    )


MODELS = {
    "retinanet_tiny": detector("tiny"),
    "retinanet_resnet18": detector("resnet18"),
}


@pytest.fixture(params=MODELS)
def task(request):
    tf.keras.utils.set_random_seed(0)
    return DetectionTask(MODELS[request.param])


def pictures(count=2):
    noise = np.random.default_rng(0).normal(size=[count, *SIZE_PX, 3])
    return tf.constant(noise, tf.float32)


def batch(count=2):
    image = np.random.default_rng(1).integers(0, 256, [count, *SIZE_PX, 3])
    # One for each level, so that every part of the box tower has something to learn.
    boxes = np.float32([[[4, 10, 18, 26], [20, 70, 50, 98], [2, 40, 62, 105]]])
    return Batch(
        tf.constant(image, tf.uint8),
        Labels(
            boxes_yxyx=tf.constant(np.tile(boxes, [count, 1, 1])),
            class_ids=tf.constant([[0, 2, 1]] * count),
            scores=tf.ones([count, 3]),
            weights=tf.ones([count, 3]),
            is_crowd=tf.zeros([count, 3], tf.bool),
        ),
    )


def test_outputs_have_static_shapes_and_one_row_per_anchor(task):
    model = task.build_model(sync_batch_norm=False)
    # 8 x 16, 4 x 8 and 2 x 4 cells of 3 anchors.
    anchors = (128 + 32 + 8) * 3
    assert model.output["logits"].shape.as_list() == [None, anchors, CLASSES]
    assert model.output["offsets"].shape.as_list() == [None, anchors, 4]


def test_a_gradient_reaches_every_trainable_variable(task):
    model = task.build_model(sync_batch_norm=False)
    example = batch()
    with tf.GradientTape() as tape:
        ratios = task.losses(example.labels, model(pictures(), training=True))
        loss = tf.add_n([ratio.total for ratio in ratios.values()])
    gradients = tape.gradient(loss, model.trainable_variables)
    without = [
        variable.name
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is None or not np.any(gradient)
    ]
    assert not without


def train_step(task):
    model = task.build_model(sync_batch_norm=False)
    optimizer = tf.keras.optimizers.legacy.SGD(0.01)
    optimization.create_slots(optimizer, model.trainable_variables)
    return TrainStep(task, model, optimizer, None, weight_decay=1e-4, clip_norm=10.0)


def test_the_train_step_lowers_to_xla(task):
    take_step = train_step(task)
    example = batch()
    compiled = tf.function(lambda b: take_step({"human": b}), jit_compile=True)
    text = compiled.experimental_get_compiler_ir(example)(stage="hlo")
    assert "ENTRY" in text
    assert "convolution" in text


def test_one_optimizer_step_on_a_batch_lowers_its_loss(task):
    take_step = tf.function(train_step(task))
    losses = [float(take_step({"human": batch()})["loss"]) for _ in range(4)]
    assert losses[-1] < losses[0]
