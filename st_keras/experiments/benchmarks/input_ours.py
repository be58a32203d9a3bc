"""Our input pipelines, built from the code that training runs."""

from collections.abc import Callable

import tensorflow as tf

from st_keras.config import AugmentConfig, DetectionConfig, SegmentationConfig
from st_keras.ops import anchors, box_coding, images, matching
from st_keras.tasks.detection import DetectionTask
from st_keras.tasks.segmentation import SegmentationTask
from st_keras.types import Boxes

NUM_BOXES = 100  # Rows after padding.


class _FullestPicture:
    """All that detection needs to know about a data set."""

    max_boxes_per_image = NUM_BOXES


def detection(policy: str, size_px: tuple[int, int]) -> Callable:
    """Returns what detection does to a record before batching, given a seed.

    Args:
      policy: S1 and so on.
      size_px: Height and width of the network's input.
    """
    task = DetectionTask(_config(policy, size_px))
    return lambda serialized, seed: task.prepare(serialized, seed, _FullestPicture)


def detection_with_targets(policy: str, size_px: tuple[int, int]) -> Callable:
    """Returns the same, plus the training step's normalisation, matching and coding.

    Args:
      policy: S1 and so on.
      size_px: Height and width of the network's input.
    """
    prepare = detection(policy, size_px)

    def prepare_and_match(serialized, seed):
        prepared = prepare(serialized, seed)
        image = images.normalize(prepared.image, tf.bfloat16)
        return image, *anchor_targets(prepared.labels, size_px)

    return prepare_and_match


def segmentation(
    policy: str, size_px: tuple[int, int], operations: str | None = None
) -> Callable:
    """Returns what segmentation does to a record before batching, given a seed.

    Args:
      policy: S1 and so on.
      size_px: Height and width of the network's input.
      operations: Replaces the policy's operations; None keeps them.
    """
    task = SegmentationTask(
        SegmentationConfig(
            image_size_px=size_px,
            class_names=("one", "other"),  # How many makes no difference here.
            augment=AugmentConfig(policy=policy, operations=operations),
        )
    )
    return lambda serialized, seed: task.prepare(serialized, seed, None)


def anchor_targets(labels: Boxes, size_px: tuple[int, int]) -> tuple:
    """Matches and codes the boxes of one image, as the training step does for many.

    Padding is left out, which a host can do and a TPU cannot.

    Args:
      labels: [N, ...], padded or not.
      size_px: Height and width of the network's input.

    Returns:
      [A] class ids, -1 for none, [A, 4] offsets, and two [A] bool: whether an anchor
      is to learn a box, and whether it counts.
    """
    config = _config("S1", size_px)
    anchors_yxyx = anchors.make_anchors(
        size_px,
        min_level=config.min_level,
        max_level=config.max_level,
        scales_per_octave=config.anchor_scales,
        aspect_ratios=config.aspect_ratios,
        anchor_size=config.anchor_size,
    )
    # The best of no boxes is an error; a row of zeros matches nothing.
    labels = Boxes(*(_with_zeros_below(field) for field in labels))
    count = tf.math.count_nonzero(labels.weights, dtype=tf.int32)
    rows = Boxes(*(field[None, : tf.maximum(count, 1)] for field in labels))
    matches = matching.match_anchors(
        anchors_yxyx,
        rows.boxes_yxyx,
        rows.weights,
        positive_iou=config.positive_iou,
        negative_iou=config.negative_iou,
    )
    class_ids = tf.gather(rows.class_ids, matches.box_index, batch_dims=1)
    class_ids = tf.where(matches.is_positive, class_ids, -1)
    matched = tf.gather(rows.boxes_yxyx, matches.box_index, batch_dims=1)
    offsets = box_coding.encode_boxes(matched, anchors_yxyx)
    return class_ids[0], offsets[0], matches.is_positive[0], matches.is_counted[0]


def _config(policy: str, size_px: tuple[int, int]) -> DetectionConfig:
    return DetectionConfig(
        image_size_px=size_px,
        class_names=("object",),  # How many there are makes no difference here.
        augment=AugmentConfig(policy=policy),
    )


def _with_zeros_below(field: tf.Tensor) -> tf.Tensor:
    return tf.pad(field, [[0, 1]] + [[0, 0]] * (field.shape.rank - 1))
