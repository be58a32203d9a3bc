"""One step of training on either side, from pictures and boxes to new weights.

Both start from decoded pictures of the network's size and from boxes, and both match
anchors: tf-models-official on the host, in its parser, and we on the device, within
the step.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from st_keras.config import Config
from st_keras.tasks import Task
from st_keras.training import optimization
from st_keras.training.learner import Learner
from st_keras.training.step import TrainStep, build_step
from st_keras.types import Batch, Boxes

NUM_BOXES = 100  # Rows after padding, as for COCO.
_BOXES = 8  # Of each picture; COCO has 7.


class Pictures(NamedTuple):
    """A batch of noise with boxes."""

    pixels: np.ndarray  # [B, H, W, 3] uint8.
    boxes_yxyx: np.ndarray  # [B, M, 4] float32, pixels.
    class_ids: np.ndarray  # [B, M] int32, from 1.


def make_pictures(
    batch_size: int, size_px: tuple[int, int], num_classes: int, boxes: int = _BOXES
) -> Pictures:
    """Returns the same pictures on every call."""
    random = np.random.default_rng(0)
    size = np.array(size_px, np.float32)
    sides = size * random.uniform(0.05, 0.6, [batch_size, boxes, 2])
    corners = random.uniform(0.0, 1.0, sides.shape) * (size - sides)
    return Pictures(
        random.integers(0, 256, [batch_size, *size_px, 3], np.uint8),
        np.concatenate([corners, corners + sides], -1).astype(np.float32),
        random.integers(1, num_classes, [batch_size, boxes], np.int32),
    )


def ours(
    config: Config, task: Task, model: tf.keras.Model, *, own_gradients: bool = True
) -> Callable:
    """Returns our compiled step, from a batch to named losses.

    Args:
      config: Of the run.
      task: Of the config.
      model: Of the task.
      own_gradients: As a run's step does on a CPU; False: convolutions have the
        gradients that TensorFlow gives them.
    """
    optimizer = optimization.build_optimizer(config.optimization, 1)
    optimization.create_slots(optimizer, model.trainable_variables)
    if own_gradients:
        step = build_step(config, Learner(task=task, model=model, optimizer=optimizer))
    else:
        step = TrainStep(
            *(task, model, optimizer, None),
            weight_decay=config.optimization.weight_decay,
            clip_norm=config.optimization.clip_norm,
        )
    return tf.function(lambda batch: step({"human": batch}))


def our_batch(pictures: Pictures) -> Batch:
    """Returns what our pipeline feeds the step: uint8 pixels and padded boxes."""
    batch, count = pictures.class_ids.shape
    missing = [[0, 0], [0, NUM_BOXES - count]]
    ones = np.pad(np.ones([batch, count], np.float32), missing)
    labels = Boxes(
        boxes_yxyx=np.pad(pictures.boxes_yxyx, [*missing, [0, 0]]),
        class_ids=np.pad(pictures.class_ids, missing),
        scores=ones,
        weights=ones,
        is_crowd=np.zeros([batch, NUM_BOXES], bool),
    )
    return tf.nest.map_structure(tf.constant, Batch(pictures.pixels, labels))


def peer(config: Config, task, model: tf.keras.Model) -> Callable:
    """Returns the compiled step of tf-models-official.

    Args:
      config: Ours, for the same optimizer, which its factory makes on both sides.
      task: Theirs.
      model: Theirs.
    """
    optimizer = optimization.build_optimizer(config.optimization, 1)
    return tf.function(
        lambda images, labels: task.train_step((images, labels), model, optimizer)
    )


def peer_batches(task, pictures: Pictures) -> tf.data.Dataset:
    """Returns endless batches as their parser makes them, anchors matched.

    Their pipeline decodes, parses in parallel, batches and prefetches; so does this
    one, after the decoder.
    """
    batch, *size_px, _ = pictures.pixels.shape
    decoded = tf.data.Dataset.from_tensor_slices(
        {
            "image": pictures.pixels,
            "groundtruth_boxes": pictures.boxes_yxyx / np.tile(np.float32(size_px), 2),
            "groundtruth_classes": pictures.class_ids.astype(np.int64),
            "groundtruth_is_crowd": np.zeros(pictures.class_ids.shape, bool),
        }
    )
    parse = _parser(task.task_config).parse_fn(is_training=True)
    return (
        decoded.repeat()
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )


def _parser(config):
    from official.vision.dataloaders import retinanet_input

    model = config.model
    return retinanet_input.Parser(
        output_size=model.input_size[:2],
        min_level=model.min_level,
        max_level=model.max_level,
        num_scales=model.anchor.num_scales,
        aspect_ratios=model.anchor.aspect_ratios,
        anchor_size=model.anchor.anchor_size,
        dtype=config.train_data.dtype,
    )
