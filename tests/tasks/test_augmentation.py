"""What the settings of augmentation do to a task."""

import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from st_keras import config
from st_keras.data import dataset_info, records
from st_keras.data.augment import policies
from st_keras.data.augment.augmentation import from_policy
from st_keras.tasks.augmentation import build_augmentation
from st_keras.tasks.detection import DetectionTask

INPUT = (64, 96)
BOXES = np.array([[5, 50, 25, 90], [25, 8, 55, 20]], np.float32)


def build(**settings):
    augment = config.AugmentConfig(**settings)
    return build_augmentation(augment, policies.DETECTION, INPUT)


def task_of(**augment):
    return DetectionTask(
        config.DetectionConfig(
            class_names=("ball", "cup", "kite"),
            image_size_px=INPUT,
            backbone="tiny",
            max_level=5,
            neck_filters=8,
            augment=config.AugmentConfig(**augment),
        )
    )


def record(size=INPUT):
    """A smooth picture with two brighter boxes."""
    y, x = np.mgrid[: size[0], : size[1]] / size[0]
    image = np.stack([80 + 60 * np.sin(5 * y), 90 + 50 * np.cos(4 * x), 90 * y], -1)
    boxes = BOXES * size[0] / INPUT[0]
    for y0, x0, y1, x1 in boxes.astype(int):
        image[y0:y1, x0:x1] += 70
    encoded = io.BytesIO()
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(encoded, "png")
    return records.Record(
        image_id="a",
        encoded=encoded.getvalue(),
        format="png",
        filename="a.png",
        height_px=size[0],
        width_px=size[1],
        boxes_yxyx=boxes,
        labels=np.array([3, 1]),
    )


@pytest.mark.parametrize("name", policies.DETECTION)
def test_a_policy_alone_gives_what_settings_with_its_name_give(name):
    policy = policies.DETECTION[name]
    assert from_policy(policy, INPUT) == build(policy=name)
    changed = from_policy(policy, INPUT, flip_probability=0.0, layers=3, magnitude=6.0)
    assert changed == build(policy=name, flip_probability=0.0, layers=3, magnitude=6.0)
    assert (changed.scale_min, changed.flip_probability) == (policy.scale_min, 0.0)


def five_boxes():
    """Of records whose fullest picture has five boxes."""
    tally = dataset_info.Tally()
    tally.add(dataclasses.replace(record(), labels=np.ones(5, int)))
    return tally.info(
        source="", class_names=(), skipped={}, content_sha256="", shards=[]
    )


def prepared(task, of, count):
    """[count, ...] examples of one record, one seed each."""
    serialized = records.to_example(of).SerializeToString()

    def prepare(index):
        seed = tf.random.experimental.stateless_fold_in(tf.constant([4, 1]), index)
        return task.prepare(serialized, seed, five_boxes())

    dataset = tf.data.Dataset.range(count).map(prepare)
    return next(iter(dataset.batch(count, drop_remainder=True)))


@pytest.mark.parametrize("name", policies.DETECTION)
def test_without_more_settings_it_is_the_named_policy(name):
    found, policy = build(policy=name), policies.DETECTION[name]
    assert (found.scale_min, found.scale_max) == (policy.scale_min, policy.scale_max)
    assert found.menu == policies.menu(policy.operations)
    assert found.target_size_px == INPUT
    assert (found.flip_probability, found.color_strength) == (0.5, 0.0)
    assert (found.min_visible_share, found.authors_quirks) == (0.25, False)


def test_settings_win_over_the_policy():
    found = build(
        policy="S4",
        scale_min=0.7,
        scale_max=0.9,
        flip_probability=0.0,
        color_strength=0.3,
        min_visible_share=0.1,
        authors_quirks=True,
        layers=3,
        magnitude=4.0,
    )
    assert (found.scale_min, found.scale_max) == (0.7, 0.9)
    assert (found.flip_probability, found.color_strength) == (0.0, 0.3)
    assert (found.min_visible_share, found.authors_quirks) == (0.1, True)
    assert found.menu == policies.menu("randaugment", layers=3, magnitude=4.0)


@pytest.mark.parametrize("operations", ["none", "autoaugment_v2", "randaugment"])
def test_operations_can_be_those_of_another_policy(operations):
    found = build(policy="S3", operations=operations, layers=1)
    assert (found.scale_min, found.scale_max) == (0.5, 2.0)
    assert found.menu == policies.menu(operations, layers=1)


def test_one_end_of_the_scale_may_be_set_alone():
    assert build(policy="S1", scale_max=1.7).scale_min == 0.8
    assert build(policy="S1", scale_min=0.3).scale_max == 1.2
    # A picture that is always as large is legal.
    assert build(policy="S1", scale_max=0.8).scale_max == 0.8


@pytest.mark.parametrize(
    "settings, scale_max, scale_min",
    [
        ({"policy": "S1", "scale_max": 0.6}, "0.6", "0.8"),
        ({"policy": "S3", "scale_min": 2.5}, "2.0", "2.5"),
    ],
)
def test_a_scale_that_ends_below_the_policys_start_is_refused(
    settings, scale_max, scale_min
):
    expected = (
        rf"`augment.scale_max`.*`scale_min`, got {scale_max} and {scale_min};"
        rf".*policy {settings['policy']}"
    )
    with pytest.raises(ValueError, match=expected):
        build(**settings)
    with pytest.raises(ValueError, match=expected):
        task_of(**settings)


def test_operations_without_magnitude_in_range_are_refused_before_a_task_is_built():
    with pytest.raises(ValueError, match="`magnitude` must be from 0 to 10, got 11"):
        config.AugmentConfig(magnitude=11.0)
    with pytest.raises(ValueError, match="`operations`.*'autoaugment'"):
        config.AugmentConfig(operations="autoaugment")
    with pytest.raises(ValueError, match="`policy`.*'S5'"):
        config.AugmentConfig(policy="S5")
    with pytest.raises(ValueError, match="`where`.*'tpu'"):
        config.AugmentConfig(where="tpu")


@pytest.mark.parametrize(
    "operations",
    ["autoaugment_v0", pytest.param("autoaugment_v2", marks=pytest.mark.slow)],
)
def test_the_device_gets_the_same_labels_and_ends_at_the_same_image(operations):
    settings = {"policy": "S3", "operations": operations}
    of_host = prepared(task_of(**settings), record(), 12)
    task = task_of(**settings, where="device")
    of_device = prepared(task, record(), 12)
    assert of_host.changes == () and of_device.changes
    for field, on_host, on_device in zip(
        of_host._fields, of_host, of_device, strict=True
    ):
        if field in ("image", "changes"):
            continue
        for one, other in zip(
            tf.nest.flatten(on_host), tf.nest.flatten(on_device), strict=True
        ):
            np.testing.assert_array_equal(one, other, err_msg=field)
    # Until the step, all the device has is the picture as it was.
    np.testing.assert_array_equal(of_device.image[0], of_device.image[5])
    finished = tf.function(task.finish_images)(of_device.image, of_device.changes)
    assert finished.shape == of_host.image.shape and finished.dtype == tf.uint8
    error = np.abs(finished.numpy().astype(int) - of_host.image.numpy())
    assert error.mean(axis=(1, 2, 3)).max() < 1.0


def test_a_large_picture_is_the_same_on_the_device_but_for_its_details():
    # Four times the input, so that the canvas of the device is a quarter of it.
    settings = {"policy": "S1", "operations": "none"}
    large = record((4 * INPUT[0], 4 * INPUT[1]))
    of_host = prepared(task_of(**settings), large, 10)
    task = task_of(**settings, where="device")
    of_device = prepared(task, large, 10)
    finished = task.finish_images(of_device.image, of_device.changes)
    error = np.abs(finished.numpy().astype(int) - of_host.image.numpy())
    assert error.mean(axis=(1, 2, 3)).max() < 4.0
    # The host may shrink the picture less, where it is shown larger: half a pixel.
    np.testing.assert_allclose(
        of_device.labels.boxes_yxyx, of_host.labels.boxes_yxyx, atol=1.0
    )
    np.testing.assert_array_equal(of_device.labels.class_ids, of_host.labels.class_ids)


def test_without_changes_images_are_finished_as_they_are():
    images = tf.zeros([2, *INPUT, 3], tf.uint8)
    assert task_of().finish_images(images, ()) is images
