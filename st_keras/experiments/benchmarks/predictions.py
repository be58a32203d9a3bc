"""Detections of either side for a batch of pictures, suppression included."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from st_keras.runtime.inference import Predictor
from st_keras.tasks import Task
from st_keras.types import View

DETECTIONS = (
    "detection_boxes",
    "detection_scores",
    "detection_classes",
    "num_detections",
)


# The suppression in the peer's configs: minutes for some pictures.
SLOW = "v2"


def ours(task: Task, model: tf.keras.Model, pixels: np.ndarray) -> Callable:
    """Returns a function without arguments that returns our detections as NumPy.

    Args:
      task: Of detection.
      model: Ours.
      pixels: [B, H, W, 3] uint8.
    """
    batch, *size_px, _ = pixels.shape
    view = View(
        image=tf.constant(pixels),
        scale_yx=tf.ones([batch, 2]),
        offset_yx=tf.zeros([batch, 2]),
        is_mirrored=tf.zeros([batch], tf.bool),
        picture_size_px=tf.constant([size_px] * batch),
    )
    look = tf.function(Predictor(task, model).forward)
    return lambda: tf.nest.map_structure(lambda field: field.numpy(), look(view))


def peer(model: tf.keras.Model, pixels: np.ndarray) -> Callable:
    """Returns a function without arguments that returns their detections as NumPy.

    Args:
      model: Theirs.
      pixels: [B, H, W, 3] uint8.
    """
    from official.vision.ops import preprocess_ops

    batch, *size_px, _ = pixels.shape
    shapes = tf.constant([size_px] * batch, tf.float32)
    pixels = tf.constant(pixels)
    dtype = model.compute_dtype

    @tf.function
    def look(pixels):
        images = tf.cast(preprocess_ops.normalize_image(pixels), dtype)
        found = model(images, image_shape=shapes, training=False)
        return [found[name] for name in DETECTIONS]

    return lambda: [field.numpy() for field in look(pixels)]


def with_suppression(peer_task, model: tf.keras.Model, nms: str) -> tf.keras.Model:
    """Returns the same model of theirs with another version of its suppression.

    Args:
      peer_task: Theirs.
      model: Theirs.
      nms: A version of its detection generator: v1, v2, v3 or batched.
    """
    from official.vision.modeling import retinanet_model
    from official.vision.modeling.layers import detection_generator

    config = peer_task.task_config.model
    settings = config.detection_generator
    generator = detection_generator.MultilevelDetectionGenerator(
        apply_nms=True,
        pre_nms_top_k=settings.pre_nms_top_k,
        pre_nms_score_threshold=settings.pre_nms_score_threshold,
        nms_iou_threshold=settings.nms_iou_threshold,
        max_num_detections=settings.max_num_detections,
        nms_version=nms,
    )
    return retinanet_model.RetinaNetModel(
        model.backbone,
        model.decoder,
        model.head,
        generator,
        min_level=config.min_level,
        max_level=config.max_level,
        num_scales=config.anchor.num_scales,
        aspect_ratios=config.anchor.aspect_ratios,
        anchor_size=config.anchor.anchor_size,
    )
