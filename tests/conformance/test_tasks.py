"""What every task promises of the models it builds: one test per promise."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config
from st_keras.ops import images
from st_keras.tasks.classification import ClassificationTask
from st_keras.tasks.detection import DetectionTask
from st_keras.tasks.segmentation import SegmentationTask
from st_keras.tasks.simclr import SimClrTask
from st_keras.training import optimization
from st_keras.training.step import TrainStep
from st_keras.types import IGNORED, Batch, Boxes, Classes, Embeddings, LabelMap

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


def segmenter(**settings):
    """Returns the settings of a small segmenter."""
    return config.SegmentationConfig(
        class_names=("a", "b", "c"),
        image_size_px=SIZE_PX,
        backbone="tiny",
        deeplab=config.DeepLabConfig(
            output_stride=32, aspp_rates=(1,), aspp_filters=16, decoder_filters=16
        ),
        nas_fpn=config.NasFpnConfig(filters=16, repeats=1, head_convs=1),
        **settings,
    )


def classifier(**settings):
    """Returns the settings of a small classifier."""
    return config.ClassificationConfig(
        class_names=("a", "b", "c"), image_size_px=SIZE_PX, backbone="tiny", **settings
    )


def boxes(count):
    # One for each level, so that every part of the box tower has something to learn.
    boxes = np.float32([[[4, 10, 18, 26], [20, 70, 50, 98], [2, 40, 62, 105]]])
    return Boxes(
        boxes_yxyx=tf.constant(np.tile(boxes, [count, 1, 1])),
        class_ids=tf.constant([[0, 2, 1]] * count),
        scores=tf.ones([count, 3]),
        weights=tf.ones([count, 3]),
        is_crowd=tf.zeros([count, 3], tf.bool),
    )


def label_maps(count):
    class_ids = np.random.default_rng(2).integers(0, CLASSES, [count, *SIZE_PX])
    class_ids[:, :9] = IGNORED
    class_ids = tf.constant(class_ids, tf.uint8)
    return LabelMap(class_ids, 255 * tf.ones_like(class_ids))


def classes(count):
    return Classes(
        class_ids=tf.constant([[2], [0]][:count]),
        scores=tf.ones([count, 1]),
        weights=tf.ones([count, 1]),
    )


def nothing(count):
    return Embeddings(tf.zeros([count, 0, 0]))


# 8 x 16, 4 x 8 and 2 x 4 cells of 3 anchors.
ANCHORS = (128 + 32 + 8) * 3
# By name: the task, labels of a batch, and the shapes of its outputs.
BOX_SHAPES = {"logits": [ANCHORS, CLASSES], "offsets": [ANCHORS, 4]}
CELL_SHAPES = {"logits": [16, 32, CLASSES]}
CLASS_SHAPES = {"logits": [CLASSES]}
ROWS = {
    "retinanet_tiny": (DetectionTask, detector("tiny"), boxes, BOX_SHAPES),
    "retinanet_resnet18": (DetectionTask, detector("resnet18"), boxes, BOX_SHAPES),
    "deeplab_tiny": (SegmentationTask, segmenter(), label_maps, CELL_SHAPES),
    "deeplab_tiny_hardest_at_cells": (
        SegmentationTask,
        segmenter(
            **{"loss_at": "logits", "top_share": 0.5, "legacy_alignment": True},
            **{"label_smoothing": 0.1, "class_weights": (1.0, 2.0, 0.5)},
        ),
        label_maps,
        CELL_SHAPES,
    ),
    "classifier_tiny": (ClassificationTask, classifier(), classes, CLASS_SHAPES),
    "simclr_tiny": (
        SimClrTask,
        config.SimClrConfig(image_size_px=SIZE_PX, backbone="tiny"),
        nothing,
        {"projection": [128]},
    ),
}


@pytest.fixture(params=ROWS)
def row(request):
    tf.keras.utils.set_random_seed(0)
    return ROWS[request.param]


@pytest.fixture
def task(row):
    kind, settings, _, _ = row
    return kind(settings)


@pytest.fixture
def batch(row):
    image = np.random.default_rng(1).integers(0, 256, [2, *SIZE_PX, 3])
    labels = row[2](2)
    if isinstance(labels, Embeddings):  # Two views of each.
        image = np.stack([image, image // 2], axis=1)
    return Batch(tf.constant(image, tf.uint8), labels)


def pictures(count=2):
    noise = np.random.default_rng(0).normal(size=[count, *SIZE_PX, 3])
    return tf.constant(noise, tf.float32)


def test_outputs_have_static_shapes(task, row):
    model = task.build_model(sync_batch_norm=False)
    shapes = {name: out.shape.as_list()[1:] for name, out in model.output.items()}
    assert shapes == row[3]


def test_a_gradient_reaches_every_trainable_variable(task, batch):
    model = task.build_model(sync_batch_norm=False)
    count = task.finish_images(batch.image, batch.changes).shape[0]
    with tf.GradientTape() as tape:
        ratios = task.losses(batch.labels, model(pictures(count), training=True))
        loss = tf.add_n([ratio.total for ratio in ratios.values()])
    gradients = tape.gradient(loss, model.trainable_variables)
    without = [
        variable.name
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True)
        if gradient is None or not np.any(gradient)
    ]
    assert not without


def train_step(task, **settings):
    model = task.build_model(sync_batch_norm=False)
    optimizer = tf.keras.optimizers.legacy.SGD(0.01)
    optimization.create_slots(optimizer, model.trainable_variables)
    settings = {"weight_decay": 1e-4, "clip_norm": 10.0} | settings
    return TrainStep(task, model, optimizer, None, **settings)


def test_the_train_step_lowers_to_xla(task, batch):
    take_step = train_step(task)
    compiled = tf.function(lambda b: take_step({"human": b}), jit_compile=True)
    text = compiled.experimental_get_compiler_ir(batch)(stage="hlo")
    assert "ENTRY" in text
    assert "convolution" in text


def test_a_step_in_slices_lowers_to_xla(task, batch):
    if isinstance(task, SimClrTask):
        pytest.skip("Its loss compares all pictures of a step.")
    take_step = train_step(task, slices=2)
    compiled = tf.function(lambda b: take_step({"human": b}), jit_compile=True)
    text = compiled.experimental_get_compiler_ir(batch)(stage="hlo")
    assert "while" in text


def test_one_optimizer_step_on_a_batch_lowers_its_loss(task, batch):
    take_step = tf.function(train_step(task))
    losses = [float(take_step({"human": batch})["loss"]) for _ in range(4)]
    assert losses[-1] < losses[0]


def test_reading_outputs_lowers_to_xla(row):
    kind, settings, _, _ = row
    task = kind(settings, xla=True)
    model = task.build_model(sync_batch_norm=False)
    view = task.views(tf.zeros([50, 90, 3], tf.uint8))

    def read(view):
        return task.read_outputs(model(images.normalize(view.image)), view)

    compiled = tf.function(read, jit_compile=True)
    assert "ENTRY" in compiled.experimental_get_compiler_ir(view)(stage="hlo")


def test_a_count_is_of_the_labels_whatever_is_said_of_them(row):
    # So that it can be known of all slices of a batch before the first is learned.
    task_of, settings, labels_of, shapes = row
    task = task_of(settings)
    rng = np.random.default_rng(3)

    def counts(scale):
        outputs = {
            name: tf.constant(scale * rng.normal(size=[2, *shape]), tf.float32)
            for name, shape in shapes.items()
        }
        ratios = task.losses(labels_of(2), outputs)
        return {name: float(ratio.count) for name, ratio in ratios.items()}

    said_nothing, said_much = counts(0.0), counts(5.0)
    assert said_nothing == pytest.approx(said_much, rel=1e-6)
    assert all(count > 0 for count in said_much.values())
