"""Our input pipelines, through the code that training runs."""

from collections.abc import Callable

import tensorflow as tf

from st_keras.config import AugmentConfig, DetectionConfig
from st_keras.data import decode
from st_keras.data.augment import policies
from st_keras.ops import anchors, box_coding, images, matching
from st_keras.tasks.augmentation import build_augmentation
from st_keras.tasks.detection import DetectionTask
from st_keras.types import Labels

NUM_BOXES = 100  # Rows after padding.


def detection(policy: str, size_px: tuple[int, int]) -> Callable:
    """Returns what detection does to a record before batching, given a seed.

    Args:
      policy: S1 and so on.
      size_px: Height and width of the network's input.
    """
    task = DetectionTask(_config(policy, size_px))
    return lambda serialized, seed: task.prepare(serialized, seed, num_boxes=NUM_BOXES)


def detection_with_targets(policy: str, size_px: tuple[int, int]) -> Callable:
    """Returns the same with what the training step does to images and boxes after it.

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
      operations: Instead of the policy's.
    """
    config = AugmentConfig(policy=policy, operations=operations)
    augmentation = build_augmentation(config, policies.SEGMENTATION, size_px)

    def prepare(serialized, seed):
        image = decode.decode_image(decode.decode_encoded(serialized))
        label_map = decode.decode_label_map(serialized, tf.shape(image)[:2])
        drawn = augmentation.draw(tf.shape(image)[:2], tf.zeros([0, 4]), seed)
        return (
            augmentation.show(image, drawn),
            augmentation.show_label_map(label_map, drawn),
        )

    return prepare


def anchor_targets(labels: Labels, size_px: tuple[int, int]) -> tuple:
    """Matches and codes the boxes of one image, as the training step does for many.

    Padding is left out, as a host can and a TPU cannot.

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
    labels = Labels(*(_with_zeros_below(field) for field in labels))
    count = tf.math.count_nonzero(labels.weights, dtype=tf.int32)
    rows = Labels(*(field[None, : tf.maximum(count, 1)] for field in labels))
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
