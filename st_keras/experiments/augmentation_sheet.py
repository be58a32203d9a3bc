"""A sheet of one policy's draws, to be judged by a person."""

import dataclasses

import numpy as np
import tensorflow as tf
from PIL import Image

from st_keras.config import AugmentConfig, Config
from st_keras.data import dataset_info, decode, drawing, drawing_maps, pipeline
from st_keras.data.augment import operations, policies
from st_keras.data.augment.changes import Changes
from st_keras.data.augment.policies import Policy
from st_keras.data.dataset_info import DatasetInfo
from st_keras.experiments import sheets
from st_keras.tasks import policies_of
from st_keras.tasks.augmentation import build_augmentation
from st_keras.types import Boxes, LabelMap

_SIZE_PX = (320, 320)  # Without a config.
_COLUMNS = 6  # The picture itself and five draws.
_NO_NUMBER = ("AutoContrast", "Equalize", "Invert", "Flip")


def show_policy(
    records: str,
    output: str,
    *,
    config: Config | None = None,
    policy: str = "",
    count: int = 24,
) -> str:
    """Draws what a config's policy, or another, makes of the first records.

    Args:
      records: Glob of TFRecords.
      output: Picture file to write.
      config: Of a run; None: policies of segmentation for records that have label maps
        and no boxes, of detection for others.
      policy: Name of the one to draw instead of the config's, or of S1.
      count: As for `show_augmentations`.

    Returns:
      What was drawn.

    Raises:
      ValueError: There are no such records, or the task has no such policy.
    """
    if config:
        augment, size_px = config.section.augment, config.section.image_size_px
        policy_of = policies_of(config)
    else:
        info, augment, size_px = dataset_info.load(records), AugmentConfig(), _SIZE_PX
        is_map = info.label_map_names and not info.class_names
        policy_of = policies.SEGMENTATION if is_map else policies.DETECTION
    if policy:
        if policy not in policy_of:
            raise ValueError(
                f"`policy` must be one of {', '.join(policy_of)}, got {policy}."
            )
        # What the config sets belongs to its own policy.
        own = {"scale_min": None, "scale_max": None, "operations": None}
        augment = dataclasses.replace(augment, policy=policy, **own)
    return show_augmentations(
        records, augment, size_px, output, policy_of=policy_of, count=count
    )


def show_augmentations(
    records: str,
    augment: AugmentConfig,
    size_px: tuple[int, int],
    output: str,
    *,
    policy_of: dict[str, Policy] = policies.DETECTION,
    count: int = 24,
    seed: int = 0,
) -> str:
    """Draws what a policy makes of the first records and returns what was drawn.

    Each row is a picture and five draws with their operations, scale and boxes. Label
    maps are tinted; a legend below the picture names the colours.

    Args:
      records: Glob of TFRecords.
      augment: The policy.
      size_px: Height and width of the network's input.
      output: Picture file to write.
      policy_of: The policies of the task, by name.
      count: Show at most this many pictures, in full rows; at least one row.
      seed: A different seed gives different draws.

    Raises:
      ValueError: There are no such records.
    """
    sheets.check(output, count)
    info = dataset_info.load(records)
    source = pipeline.open_source(records, None, 0)
    augmentation = build_augmentation(augment, policy_of, size_px)

    @tf.function
    def draw_one(image, labels, label_map, number):
        changes = augmentation.sample(
            tf.shape(image)[:2], labels.boxes_yxyx, tf.stack([seed, number])
        )
        return (
            augmentation.apply(image, changes),
            augmentation.apply_to_boxes(labels, changes),
            augmentation.apply_to_label_map(label_map, changes),
            changes,
        )

    pictures, titles = [], []
    rows = max(count // _COLUMNS, 1)
    records_shown = pipeline.serialized_records(source).take(rows)
    for row, serialized in enumerate(records_shown):
        example = decode.decode_example(serialized)
        label_map, _ = decode.decode_label_map(serialized)
        seen = (example.image, example.labels, label_map)
        views = [(*seen, _size(example.image))]
        for column in range(_COLUMNS - 1):
            *view, changes = draw_one(*seen, tf.constant(row * _COLUMNS + column))
            views.append((*view, describe(changes)))
        for column, (image, labels, label_map, title) in enumerate(views):
            labels = labels._make(field.numpy() for field in labels)
            label_map = label_map._make(field.numpy() for field in label_map)
            pictures.append(
                _draw(image.numpy(), labels, label_map, info, legend=column == 0)
            )
            titles.append(title)
    sheets.save(pictures, titles, output, columns=_COLUMNS)
    rows = len(pictures) // _COLUMNS
    return f"{_COLUMNS - 1} draws of {rows} records of {records}: {output}"


def describe(changes: Changes) -> str:
    """Returns the operations of one draw, such as `x1.31 mirrored Rotate -30`."""
    shown = changes.geometry
    scale = np.sqrt(np.abs(np.linalg.det(shown.matrix[:, :2])))
    words = [f"x{scale:.2f}"] + ["mirrored"] * bool(shown.is_mirrored)
    for slot, index in enumerate(changes.operations.numpy()):
        name = operations.NAMES[index]
        if name == operations.NOTHING:
            continue
        if name in operations.BOX_CONTENTS:
            changed = np.count_nonzero(changes.contents.boxes_yxyx[slot, :, 2])
            if not changed:
                continue
            name = f"{name} {changed}:"
        words.append(name.replace("_BBoxes", ""))
        if not name.startswith(_NO_NUMBER):
            words.append(f"{float(changes.arguments[slot]):.3g}")
    return " ".join(words)


def _draw(
    image: np.ndarray,
    labels: Boxes,
    label_map: LabelMap,
    info: DatasetInfo,
    *,
    legend: bool,
) -> np.ndarray:
    """Returns an image with its label map and boxes, whichever the records have."""
    names = info.label_map_names
    if not names:
        return drawing.draw_labels(image, labels, info.class_names, **sheets.SIDES_PX)
    tinted = drawing.draw_labels(
        image, label_map, names, legend=False, **sheets.SIDES_PX
    )
    # `tinted` has its final size, so the boxes are scaled to it.
    scale = tinted.shape[1] / image.shape[1]
    moved = labels._replace(boxes_yxyx=labels.boxes_yxyx * scale)
    drawn = drawing.draw_labels(tinted, moved, info.class_names, smallest_side_px=0)
    if not legend:
        return drawn
    page = drawing_maps.with_legend(Image.fromarray(drawn), label_map.class_ids, names)
    return np.asarray(page)


def _size(image) -> str:
    return f"{image.shape[0]} x {image.shape[1]}"
