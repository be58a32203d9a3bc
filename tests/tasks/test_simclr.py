"""What SimCLR promises as a task: no label is read, and two views are."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config, tasks
from st_keras.data import dataset_info, decode
from st_keras.runtime.restored import restore_run
from st_keras.runtime.run_log import read_rows
from st_keras.tasks.simclr import SimClrTask
from st_keras.training.loop import train

INPUT = (64, 96)


def task_of(**changes):
    settings = {"image_size_px": INPUT, "backbone": "tiny"} | changes
    return SimClrTask(config.SimClrConfig(**settings))


@pytest.fixture
def serialized(tiny_records):
    paths = dataset_info.shard_paths(tiny_records.glob)
    return next(iter(tf.data.TFRecordDataset(paths)))


def prepare(task, serialized, seed=(0, 0)):
    return task.prepare(serialized, tf.constant(seed), None)


def test_a_picture_becomes_two_views_that_differ(serialized):
    task = task_of()
    prepared = prepare(task, serialized)
    assert prepared.image.shape == (2, *INPUT, 3)
    first, second = prepared.image.numpy().astype(int)
    assert np.abs(first - second).mean() > 5
    again = prepare(task, serialized).image
    assert np.array_equal(prepared.image, again)
    assert not np.array_equal(prepared.image, prepare(task, serialized, (0, 1)).image)


def test_views_of_a_picture_stay_beside_each_other():
    images = tf.reshape(tf.range(4 * 2 * 3, dtype=tf.int32), [4, 2, 1, 1, 3])
    finished = task_of().finish_images(images, ())
    assert finished.shape == (8, 1, 1, 3)
    np.testing.assert_array_equal(finished[5], images[2, 1])


def test_labels_are_neither_read_nor_needed(serialized):
    example = tf.train.Example.FromString(serialized.numpy())
    for name in list(example.features.feature):
        if name.startswith("image/object") or name.startswith("image/class"):
            del example.features.feature[name]
    bare = prepare(task_of(), tf.constant(example.SerializeToString()))
    assert np.array_equal(bare.image, prepare(task_of(), serialized).image)


def test_a_picture_is_always_judged_by_the_same_views(serialized):
    task = task_of()
    image = decode.decode_image(decode.decode_encoded(serialized))
    views, again = task.views(image), task.views(image)
    assert views.image.shape == (2, *INPUT, 3)
    assert np.array_equal(views.image, again.image)
    assert not np.array_equal(views.image[0], views.image[1])


def test_records_of_any_kind_will_do_and_pseudo_labels_of_none(student_config):
    settings = config.to_dict(student_config)
    settings["detection"] = None
    settings["simclr"] = {"image_size_px": INPUT, "backbone": "tiny"}
    with pytest.raises(ValueError, match="`pseudo` must be empty with `simclr`"):
        config.from_dict(settings)
    settings["pseudo"] = settings["self_training"] = None
    run = config.from_dict(settings)
    info = dataset_info.load(run.human.records)
    assert tasks.with_class_names(run, info) == run
    assert isinstance(tasks.build_task(run), SimClrTask)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "`temperature`"),
        ({"color_strength": 1.5}, "`color_strength`"),
        ({"class_names": ("a",)}, "`class_names` must be empty"),
        ({"augment": config.AugmentConfig(where="device")}, "`augment.where`"),
        ({"image_size_px": (64, 100)}, "multiples of 32"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        task_of(**changes)


@pytest.mark.parametrize(
    ("backbone", "levels"), [("tiny", 1), ("spinenet_mobile_49", 5)]
)
def test_the_model_is_a_backbone_and_a_head(backbone, levels):
    task = task_of(
        backbone=backbone,
        image_size_px=(128, 128),
        projection_layers=2,
        projection_dim=24,
    )
    model = task.build_model(sync_batch_norm=False)
    assert model.output["projection"].shape == (None, 24)
    head = model.get_layer("head")
    assert len(head.inputs) == levels
    kernels = [v.shape for v in head.trainable_variables if "kernel" in v.name]
    channels = head.inputs[0].shape[-1]
    assert kernels == [(channels, channels), (channels, 24)]


@pytest.fixture(scope="module")
def finished(student_yaml, tmp_path_factory):
    """A short run on digit scenes, whose labels are there and not looked at."""
    settings = config.to_dict(config.load(student_yaml))
    settings |= {"detection": None, "pseudo": None, "self_training": None}
    settings["simclr"] = {
        **{"image_size_px": [64, 64], "backbone": "tiny", "batch_norm_momentum": 0.8},
        **{"crop": {"area_min": 0.4}, "color_strength": 0.3, "projection_dim": 16},
    }
    settings["human"] |= {"ids": "", "images_per_step": 12}
    settings["training"] |= {"steps": 40, "steps_per_loop": 10}
    settings["training"]["checkpoint_every_steps"] = 40
    workdir = str(tmp_path_factory.mktemp("simclr"))
    return workdir, train(config.from_dict(settings), workdir)


@pytest.mark.slow
def test_the_loss_falls_below_that_of_guessing(finished):
    workdir, summary = finished
    losses = [row["human/contrast"] for row in read_rows(workdir) if "loss" in row]
    # One of the 23 other views: log 23 = 3.14.
    assert losses[0] > 2.3
    assert losses[-1] < 0.8 * losses[0]
    # Of ten views, one of nine others is right.
    assert summary["metrics"]["contrastive_accuracy"] > 100 / 9


@pytest.mark.slow
def test_a_detector_starts_from_its_backbone(
    finished, teacher_config, caplog, tmp_path
):
    workdir, _ = finished
    settings = config.to_dict(teacher_config)
    settings["init"] = {"kind": "simclr", "checkpoint": workdir}
    settings["optimization"] |= {"learning_rate": 1e-30, "ema_decay": 0.0}
    settings["optimization"]["weight_decay"] = 0.0
    settings["training"]["steps"] = 1
    settings["evaluation"]["records"] = ""
    train(config.from_dict(settings), str(tmp_path))
    assert "learned without labels?" not in caplog.text
    ours, theirs = (
        restore_run(folder).model.get_layer("backbone").trainable_variables
        for folder in (str(tmp_path), workdir)
    )
    assert len(ours) == len(theirs) > 20
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_served_is_the_whole_picture():
    """A crop, as in training, would be another one if a single bit of it changed."""
    picture = np.random.default_rng(0).integers(0, 256, [128, 192, 3]).astype(np.uint8)
    view = task_of().whole_view(tf.constant(picture))
    # Half as large: each cell is the mean of four pixels.
    means = picture.reshape(64, 2, 96, 2, 3).astype(np.float32).mean((1, 3))
    np.testing.assert_allclose(view.image, means, atol=1.0)


def still_views(serialized, seed=0, **changes):
    """Returns int pixels of both views, neither cropped nor mirrored."""
    height, width, _ = decode.decode_image(decode.decode_encoded(serialized)).shape
    shape = width / height
    whole = config.CropConfig(area_min=1.0, aspect_min=shape, aspect_max=shape)
    still = config.AugmentConfig(flip_probability=0.0)
    task = task_of(crop=whole, augment=still, **changes)
    return prepare(task, serialized, (0, seed)).image.numpy().astype(int)


def test_colours_change_by_their_strength(serialized):
    plain, strong, weak = (
        still_views(serialized, color_strength=strength, blur=False)
        for strength in (0.0, 1.0, 0.2)
    )
    np.testing.assert_array_equal(plain[0], plain[1])
    assert np.abs(strong - plain).mean() > np.abs(weak - plain).mean() > 0


def test_half_of_the_views_are_blurred_unless_that_is_switched_off(serialized):
    def edges(seed, blur):
        views = still_views(serialized, seed, color_strength=0.0, blur=blur)
        return np.abs(np.diff(views, axis=2)).mean(axis=(1, 2, 3))

    sharp = edges(0, False)[0]
    seen = np.concatenate([edges(seed, True) for seed in range(10)])
    # Of 20, fewer than 4 or more than 16 would be one draw of seeds in 400.
    assert 4 <= np.sum(seen < 0.95 * sharp) <= 16


def test_the_temperature_is_that_of_the_loss():
    outputs = {"projection": tf.constant([[1.0, 0], [0.8, 0.6], [0, 1], [0.6, 0.8]])}

    def loss(temperature):
        return float(
            task_of(temperature=temperature).losses(None, outputs)["contrast"].mean()
        )

    # The first view is like its own other by 0.8, like the others by 0 and 0.6; the
    # second by 0.8, 0.6 and 0.96; and so are those of the other picture.
    def by_pencil(temperature):
        def one(own, *others):
            scores = np.exp(np.array([own, *others]) / temperature)
            return -np.log(scores[0] / scores.sum())

        return (one(0.8, 0.0, 0.6) + one(0.8, 0.6, 0.96)) / 2

    for temperature in (0.1, 0.5):
        assert loss(temperature) == pytest.approx(by_pencil(temperature), rel=1e-5)
