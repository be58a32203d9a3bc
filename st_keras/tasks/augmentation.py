"""Builds augmentations from their settings; the same for every task."""

import dataclasses
from typing import Any, NamedTuple

import tensorflow as tf

from st_keras.config import AugmentConfig, CropConfig
from st_keras.data import decode
from st_keras.data.augment import shrinking
from st_keras.data.augment.augmentation import Augmentation, from_policy
from st_keras.data.augment.changes import Changes
from st_keras.data.augment.crops import Crop
from st_keras.data.augment.policies import Policy


def build_augmentation(
    config: AugmentConfig,
    policy_of: dict[str, Policy],
    target_size_px: tuple[int, int],
) -> Augmentation:
    """Returns the augmentation of the named policy, with the config's changes.

    Args:
      config: Empty settings are the policy's.
      policy_of: The policies of the task, by name.
      target_size_px: Height and width of the network's input.

    Raises:
      ValueError: The largest scale is below the smallest.
    """
    policy = policy_of[config.policy]
    scale_min = policy.scale_min if config.scale_min is None else config.scale_min
    scale_max = policy.scale_max if config.scale_max is None else config.scale_max
    if scale_max < scale_min:
        raise ValueError(
            f"`augment.scale_max` must be at least `scale_min`, got {scale_max} and "
            f"{scale_min}; one that is not set is that of policy {config.policy}."
        )
    operations = policy.operations if config.operations is None else config.operations
    changed = dataclasses.replace(
        policy, scale_min=scale_min, scale_max=scale_max, operations=operations
    )
    return dataclasses.replace(
        from_policy(
            changed,
            target_size_px,
            flip_probability=config.flip_probability,
            layers=config.layers,
            magnitude=config.magnitude,
        ),
        color_strength=config.color_strength,
        min_visible_share=config.min_visible_share,
        authors_quirks=config.authors_quirks,
    )


def cropping(policy_of: dict[str, Policy], crop: CropConfig) -> dict[str, Policy]:
    """Returns the policies with this random crop in place of their own."""
    drawn_from = Crop(**dataclasses.asdict(crop))
    return {
        name: dataclasses.replace(policy, crop=drawn_from)
        for name, policy in policy_of.items()
    }


class Augmented(NamedTuple):
    """A training picture, and what has been done to it."""

    image: Any  # [H, W, 3] uint8, of the network's size.
    changes: Any  # Left to `Augmentation.apply_to_canvases`; () if nothing is.
    sampled: Changes  # In pixels of the picture as it was after shrinking.
    halvings: Any  # [] int32 in [0, 3]: how often the sides were halved when decoded.


def augment_picture(
    augmentation: Augmentation,
    encoded: tf.Tensor,
    size_px: tf.Tensor,
    boxes_yxyx: tf.Tensor,
    seed: tf.Tensor,
    *,
    where: str,
    num_boxes: int = 0,
) -> Augmented:
    """Decodes a picture no larger than needed, and augments it.

    Args:
      augmentation: What is to be done.
      encoded: [] string, bytes of the picture file.
      size_px: [2] int32, its height and width.
      boxes_yxyx: [N, 4] float32 in its pixels; N may be 0.
      seed: [2] int32 or int64.
      where: As `AugmentConfig.where`.
      num_boxes: N after padding, for the changes left to the device.

    Raises:
      ValueError: `where` is neither host nor device.
    """
    if where not in ("host", "device"):
        raise ValueError(f"`where` must be host or device, got {where!r}.")
    is_host = where == "host"
    halvings = augmentation.halvings(size_px, seed, for_canvas=not is_host)
    image = decode.decode_shrunk_image(encoded, halvings)
    small_yxyx = boxes_yxyx / shrinking.factor(halvings)
    sampled = augmentation.sample(tf.shape(image)[:2], small_yxyx, seed)
    if is_host:
        return Augmented(augmentation.apply(image, sampled), (), sampled, halvings)
    canvas, changes = augmentation.to_canvas(image, sampled, num_boxes)
    return Augmented(canvas, changes, sampled, halvings)
