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
LARGER_PX = (128, 256)  # Where seven levels are needed.
CLASSES = 3


def detector(backbone, **settings):
    """Returns the settings of a small detector on a backbone."""
    small = {"image_size_px": SIZE_PX, "max_level": 5, "neck_filters": 16}
    return config.DetectionConfig(
        class_names=("a", "b", "c"),
        backbone=backbone,
        head=config.BoxHeadConfig(num_convs=1, num_filters=16),
        anchor_size=1.5,  # 12 to 19, 24 to 38 and 48 to 76 px on the three levels.
        aspect_ratios=(1.0,),
        **small | settings,
    )


def segmenter(**settings):
    """Returns the settings of a small segmenter."""
    small = {"image_size_px": SIZE_PX, "backbone": "tiny"}
    return config.SegmentationConfig(
        class_names=("a", "b", "c"),
        deeplab=config.DeepLabConfig(
            output_stride=32, aspp_rates=(1,), aspp_filters=16, decoder_filters=16
        ),
        nas_fpn=config.NasFpnConfig(filters=16, repeats=1, head_convs=1),
        **small | settings,
    )


def classifier(**settings):
    """Returns the settings of a small classifier."""
    return config.ClassificationConfig(
        class_names=("a", "b", "c"), image_size_px=SIZE_PX, backbone="tiny", **settings
    )


def boxes(count):
    return _boxes(count, _BOXES[:3])


def boxes_on_five_levels(count):
    return _boxes(count, _BOXES)


# One for each level, so that every part of the box tower has something to learn.
_BOXES = (
    *((4, 10, 18, 26), (20, 70, 50, 98), (2, 40, 62, 105)),
    *((48, 110, 128, 210), (0, 98, 128, 286)),
)


def _boxes(count, boxes):
    shape = [count, len(boxes)]
    return Boxes(
        boxes_yxyx=tf.constant(np.tile(np.float32(boxes), [count, 1, 1])),
        class_ids=tf.constant([(0, 2, 1, 2, 0)[: len(boxes)]] * count),
        scores=tf.ones(shape),
        weights=tf.ones(shape),
        is_crowd=tf.zeros(shape, tf.bool),
    )


def label_maps(count, size_px=SIZE_PX):
    class_ids = np.random.default_rng(2).integers(0, CLASSES, [count, *size_px])
    class_ids[:, :9] = IGNORED
    class_ids = tf.constant(class_ids, tf.uint8)
    return LabelMap(class_ids, 255 * tf.ones_like(class_ids))


def larger_label_maps(count):
    return label_maps(count, LARGER_PX)


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

_LARGER = {"image_size_px": LARGER_PX, "max_level": 7}
# The same on 16 x 32, 8 x 16, 4 x 8, 2 x 4 and 1 x 2 cells.
LARGER_BOX_SHAPES = {"logits": [2046, CLASSES], "offsets": [2046, 4]}
# Families of the paper. Nothing is dropped, so that every variable has a gradient.
SLOW = {
    "retinanet_spinenet_49s": (
        DetectionTask,
        detector("spinenet_49s", **_LARGER),
        boxes_on_five_levels,
        LARGER_BOX_SHAPES,
    ),
    "retinanet_efficientnet_b0": (
        DetectionTask,
        detector("efficientnet_b0", drop_connect=0.0),
        boxes,
        BOX_SHAPES,
    ),
    "retinanet_resnet18_nas_fpn": (
        DetectionTask,
        detector("resnet18", neck="nas_fpn", neck_repeats=1, **_LARGER),
        boxes_on_five_levels,
        LARGER_BOX_SHAPES,
    ),
    "nas_fpn_segmenter_efficientnet_b0": (
        SegmentationTask,
        segmenter(
            **{"backbone": "efficientnet_b0", "decoder": "nas_fpn"},
            **{"image_size_px": LARGER_PX, "drop_connect": 0.0},
        ),
        larger_label_maps,
        {"logits": [32, 64, CLASSES]},
    ),
}


@pytest.fixture(
    params=[*ROWS, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]
)
def row(request):
    tf.keras.utils.set_random_seed(0)
    return (ROWS | SLOW)[request.param]


@pytest.fixture
def task(row):
    kind, settings, _, _ = row
    return kind(settings)


@pytest.fixture
def batch(row):
    size_px = row[1].image_size_px
    image = np.random.default_rng(1).integers(0, 256, [2, *size_px, 3])
    labels = row[2](2)
    if isinstance(labels, Embeddings):  # Two views of each.
        image = np.stack([image, image // 2], axis=1)
    return Batch(tf.constant(image, tf.uint8), labels)


def pictures(count=2, size_px=SIZE_PX):
    noise = np.random.default_rng(0).normal(size=[count, *size_px, 3])
    return tf.constant(noise, tf.float32)


def test_outputs_have_static_shapes(task, row):
    model = task.build_model(sync_batch_norm=False)
    shapes = {name: out.shape.as_list()[1:] for name, out in model.output.items()}
    assert shapes == row[3]


def test_a_gradient_reaches_every_trainable_variable(task, batch):
    model = task.build_model(sync_batch_norm=False)
    count, *size_px, _ = task.finish_images(batch.image, batch.changes).shape
    with tf.GradientTape() as tape:
        outputs = model(pictures(count, size_px), training=True)
        ratios = task.losses(batch.labels, outputs)
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
