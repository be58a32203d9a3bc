"""What a policy promises of pixels: colours, sizes, PIL's own map, and no chance."""

import inspect
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from st_keras.data.augment import geometry
from st_keras.data.augment.operations import Menu, Step
from tests.data.augment.augmentations import (
    STRAIGHT,
    TARGET,
    augmentation_of,
    draws,
    labels_of,
    picture,
    single,
)

BOX = (12, 55, 31, 93)


def test_color_strength_alone_changes_colors_and_no_place():
    image = np.random.default_rng(0).integers(60, 190, [*TARGET, 3]).astype(np.uint8)
    label_map = (image[..., 0] > 100).astype(np.uint8)
    augmentation = augmentation_of("S1", color_strength=0.5, **STRAIGHT)
    means = []
    for image_shown, label_map_shown, labels, _ in draws(
        augmentation, 30, image, label_map, labels_of(BOX)
    ):
        np.testing.assert_array_equal(label_map_shown, label_map)
        np.testing.assert_array_equal(labels.boxes_yxyx, [BOX])
        means.append(image_shown.mean())
    assert min(means) < 0.7 * image.mean() and max(means) > 1.2 * image.mean()


@pytest.mark.parametrize("authors_quirks", [False, True])
def test_solarize_at_10_does_nothing_unless_it_is_the_authors(authors_quirks):
    image = np.random.default_rng(0).integers(0, 256, [*TARGET, 3]).astype(np.uint8)
    augmentation = augmentation_of(
        "S1", menu=single("Solarize", 10), authors_quirks=authors_quirks, **STRAIGHT
    )
    ((found, *_),) = draws(augmentation, 1, image, image[..., 0], labels_of())
    np.testing.assert_array_equal(found, 255 - image if authors_quirks else image)


@pytest.mark.parametrize("policy", ["S1", "S4", "spinenet"])
def test_shrinking_leaves_as_many_pixels_as_are_shown(policy):
    augmentation = augmentation_of(policy)
    found = set()
    for number in range(60):
        seed = tf.constant([4, number])
        size = tf.constant([640, 960])  # Ten times the target.
        index = int(augmentation.halvings(size, seed))
        for_canvas = int(augmentation.halvings(size, seed, for_canvas=True))
        changes = augmentation_of(policy, menu=Menu()).sample(
            size, tf.zeros([0, 4]), seed
        )
        scale = float(geometry.scale_yx(changes.geometry)[0])
        # Half the size at least once more would be too small; eighths are the end.
        assert scale * 2**index <= 1.02 and (index == 3 or scale * 2**index > 0.49)
        assert for_canvas == 3
        found.add(index)
    assert len(found) >= 2 or policy == "S1"


def test_a_moved_picture_is_what_pil_makes_by_the_same_map():
    row = (Step("Rotate_BBox", 1.0, 7), Step("ShearX_BBox", 1.0, 9))
    augmentation = augmentation_of("S3", menu=Menu(rows=(row,)))
    image = picture()
    for moved, _, _, changes in draws(
        augmentation, 8, image, image[..., 0], labels_of(BOX)
    ):
        # PIL wants the map back, x before y.
        back = np.linalg.inv(np.vstack([changes.geometry.matrix, [0, 0, 1]]))
        expected = Image.fromarray(image).transform(
            TARGET[::-1],
            Image.Transform.AFFINE,
            [back[1, 1], back[1, 0], back[1, 2], back[0, 1], back[0, 0], back[0, 2]],
            Image.Resampling.BILINEAR,
            fillcolor=(128, 128, 128),
        )
        error = np.abs(moved.astype(int) - np.asarray(expected))
        # It does not fade into the grey around the picture.
        assert np.mean(error > 2) < 0.06


def digest():
    """Stands alone, so that another process can do it."""
    import hashlib

    import numpy as np
    import tensorflow as tf

    from st_keras.data.augment import policies
    from st_keras.data.augment.augmentation import Augmentation
    from st_keras.types import Boxes

    augmentation = Augmentation(
        target_size_px=(64, 96),
        scale_min=0.5,
        scale_max=2.0,
        flip_probability=0.5,
        menu=policies.menu("autoaugment_v1"),
        color_strength=0.2,
    )
    image = np.random.default_rng(3).integers(0, 256, [60, 100, 3]).astype(np.uint8)
    boxes = tf.constant([[12.0, 55, 31, 93], [2, 3, 9, 30]])
    one, none = tf.ones([2]), tf.zeros([2], tf.bool)
    text = hashlib.sha256()
    for number in range(6):
        changes = augmentation.sample(
            tf.constant([60, 100]), boxes, tf.constant([7, number])
        )
        shown = augmentation.apply(tf.constant(image), changes)
        labels = augmentation.apply_to_boxes(
            Boxes(boxes, tf.range(2), one, one, none), changes
        )
        for field in (*tf.nest.flatten(changes), shown, *labels):
            text.update(np.ascontiguousarray(field.numpy()).tobytes())
    return text.hexdigest()


def test_another_process_draws_and_shows_the_same():
    code = inspect.getsource(digest) + "\nprint(digest())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == digest()
