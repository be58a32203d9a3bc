"""Augmentations of the tests: a small target, one operation alone, a whole policy."""

import functools

import numpy as np
import tensorflow as tf

from st_keras.data.augment import policies
from st_keras.data.augment.augmentation import Augmentation
from st_keras.data.augment.operations import Menu, Step
from st_keras.types import Boxes, LabelMap

TARGET = (64, 96)
STRAIGHT = {"scale_min": 1.0, "scale_max": 1.0, "flip_probability": 0.0}
TABLES = ("autoaugment_v1", "autoaugment_v2", "autoaugment_v3")
POLICIES = {
    **policies.DETECTION,
    **{
        name: policies.Policy(scale_min=0.8, scale_max=1.2, operations=name)
        for name in TABLES
    },
}


def single(name, magnitude):
    return Menu(rows=((Step(name, 1.0, magnitude),),))


def augmentation_of(name, **changes):
    policy = POLICIES[name]
    return Augmentation(
        **{
            **{"target_size_px": TARGET, "flip_probability": 0.5},
            **{"scale_min": policy.scale_min, "scale_max": policy.scale_max},
            **{"menu": policies.menu(policy.operations), "min_visible_share": 0.0},
            **changes,
        }
    )


def labels_of(*boxes):
    rows = np.reshape(boxes, [-1, 4]).astype(np.float32)
    count = len(rows)
    return Boxes(
        tf.constant(rows, tf.float32),
        tf.range(count) + 3,
        tf.ones([count]),
        tf.ones([count]),
        tf.zeros([count], tf.bool),
    )


def picture(seed=0):
    """As large as the target, with a box; noise, so that half a pixel is seen."""
    noise = np.random.default_rng(seed).integers(0, 150, [*TARGET, 3])
    y, x = np.mgrid[: TARGET[0], : TARGET[1]]
    noise += np.stack([40 + y // 2, 10 + x // 3, 60 - y // 3 + 0 * x], axis=-1)
    noise[20:40, 30:70] += 50
    return np.clip(noise, 0, 255).astype(np.uint8)


def certain(class_ids):
    return LabelMap(class_ids, 255 * tf.ones_like(class_ids))


def show(augmentation, image, label_map, labels, seed):
    changes = augmentation.sample(tf.shape(image)[:2], labels.boxes_yxyx, seed)
    return (
        augmentation.apply(image, changes),
        augmentation.apply_to_label_map(certain(label_map), changes).class_ids,
        augmentation.apply_to_boxes(labels, changes),
        changes,
    )


def draws(augmentation, count, image, label_map, labels, traced=None):
    """Yields (image, label map, labels, changes) of `count` draws for a picture."""
    do = traced or functools.partial(show, augmentation)
    for number in range(count):
        seed = tf.constant([count, number])
        found = do(tf.constant(image), tf.constant(label_map), labels, seed)
        yield tf.nest.map_structure(lambda field: field.numpy(), found)
