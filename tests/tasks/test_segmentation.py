"""What the segmentation task promises, from a record to a loss and back to labels."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config, tasks
from st_keras.ops import view_merging
from st_keras.types import IGNORED, LabelMap
from tests.tasks.segmentation_scene import (
    CLASSES,
    COLORS,
    INPUT,
    PICTURE,
    batch_of,
    certain_logits,
    info,
    prepare,
    record,
    run_config,
    scene,
    serialize,
    task_of,
)


@pytest.fixture
def task():
    return task_of()


def test_the_map_is_moved_with_the_picture(task):
    prepared = prepare(task, record())
    assert prepared.image.shape == (*INPUT, 3)
    assert prepared.image_id == b"a"
    expected = scene().repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(prepared.labels.class_ids, expected)
    assert np.all(prepared.labels.confidences == 255)


@pytest.mark.parametrize("where", ["host", "device"])
@pytest.mark.parametrize("size", [(32, 48), (320, 480), (333, 75)])
def test_labels_follow_their_pixels_through_augmentation(size, where):
    """Of 32 px and, shrunk before it is shown, of 320 px; and a narrow one."""
    augment = config.AugmentConfig(policy="pascal", where=where)
    task = task_of(augment=augment)
    blank = scene(size)
    blank[:, -6:] = 0  # No white: each colour is a class.
    checked = 0
    for number in range(8):
        prepared = prepare(task, record(blank), [3, number])
        image = prepared.image
        if where == "device":
            batch = tf.nest.map_structure(lambda t: t[None], prepared.changes)
            image = task.finish_images(image[None], batch)[0]
        distance = np.abs(np.asarray(image, int)[:, :, None] - COLORS).sum(-1)
        grey = np.all(np.asarray(image) == 128, -1)
        seen = np.where(grey, IGNORED, distance.argmin(-1))
        pure = grey | (distance.min(-1) < 9)  # Not mixed at a border.
        same = seen == prepared.labels.class_ids
        assert pure.mean() > 0.6
        # Within a pixel of a border, rounding may decide either way.
        assert same[pure].mean() > 0.97
        checked += len(np.unique(prepared.labels.class_ids))
    assert checked > 16


def test_what_no_picture_shows_is_ignored():
    augment = config.AugmentConfig(scale_min=0.5, scale_max=0.5)
    labels = prepare(task_of(augment=augment), record(), [1, 2]).labels
    # Half of each side is picture; 6 of its 48 columns are ignored.
    assert np.mean(labels.class_ids != IGNORED) == pytest.approx(0.25 * 42 / 48)


def test_a_picture_with_a_part_cut_out_does_not_teach_it():
    # Its picture fills the input, so that nothing but what is cut or moved is grey.
    augment = config.AugmentConfig(
        policy="S4", layers=1, scale_min=1.0, scale_max=1.0, flip_probability=0.0
    )
    task = task_of(augment=augment)
    whole = record(np.ones(PICTURE, np.uint8))
    drawn_with_grey = 0
    for number in range(60):
        prepared = prepare(task, whole, [5, number])
        cut = np.all(np.asarray(prepared.image) == 128, -1)
        known = prepared.labels.class_ids != IGNORED
        # Within a pixel of a border, rounding may decide either way.
        inside = cut & ~np.pad(~cut, 1)[2:, 1:-1] & ~np.pad(~cut, 1)[:-2, 1:-1]
        inside &= ~np.pad(~cut, 1)[1:-1, 2:] & ~np.pad(~cut, 1)[1:-1, :-2]
        assert not np.any(inside & known)
        drawn_with_grey += inside.any()
    assert drawn_with_grey > 5


def test_every_shape_of_a_prepared_example_is_static(task):
    dataset = tf.data.Dataset.from_tensors(serialize(record())).map(
        lambda text: task.prepare(text, tf.constant([1, 2]), info())
    )
    specs = tf.nest.flatten(dataset.element_spec)
    assert all(spec.shape.is_fully_defined() for spec in specs)


@pytest.mark.parametrize("loss_at", ["labels", "logits"])
def test_a_model_that_knows_the_labels_has_no_loss(loss_at):
    task = task_of(loss_at=loss_at)
    blocks = np.zeros([16, 24], np.uint8)  # Of cells.
    blocks[8:] = 1
    class_ids = blocks.repeat(4, axis=0).repeat(4, axis=1)
    labels = batch_of(LabelMap(class_ids, np.full_like(class_ids, 255)))
    loss = task.losses(labels, {"logits": certain_logits(class_ids)})["pixel"]
    if loss_at == "logits":
        np.testing.assert_allclose(loss.total, 0.0, atol=1e-4)
        assert loss.count == 16 * 24
    else:
        # Two rows of pixels on either side of the border lie between cells, at 1/8 and
        # 3/8 of the way: log(1 + exp(-60 * 3/4)) and log(1 + exp(-60 / 4)).
        assert 0 < loss.total < 96 * 4 * 1e-4
        assert loss.count == 64 * 96


def test_a_map_that_is_all_ignored_has_no_loss_and_no_gradient(task):
    labels = batch_of(LabelMap(*[np.full(INPUT, 255, np.uint8)] * 2))
    logits = tf.random.stateless_normal([1, 16, 24, 3], [1, 2])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = task.losses(labels, {"logits": logits})["pixel"]
    assert loss.total == 0.0 and loss.count == 0.0
    assert not np.any(tape.gradient(loss.total, logits))


def test_inference_sees_the_views_of_its_purpose():
    settings = config.SegmentationConfig(
        class_names=CLASSES,
        labeling_views=config.ViewsConfig(scales=(0.5, 1.0, 1.75), flip=True),
    )
    run = run_config(settings)
    picture = tf.zeros([100, 90, 3], tf.uint8)
    alone = tasks.build_task(run)
    assert len(alone.views(picture).image) == 1
    assert alone.protocol["scales"] == [1.0] and not alone.protocol["mirrored_too"]
    thorough = tasks.build_task(run, purpose="labeling")
    assert len(thorough.views(picture).image) == 2 * (1 + 1 + 4)
    assert thorough.protocol["scales"] == [0.5, 1.0, 1.75]
    with pytest.raises(ValueError, match="`purpose` must be one of evaluation"):
        tasks.build_task(run, purpose="fun")


@pytest.mark.parametrize("flip", [False, True])
def test_what_is_seen_in_views_is_put_together_in_the_picture(flip):
    task = task_of(
        evaluation_views=config.ViewsConfig(scales=(0.5, 1.0, 1.75), flip=flip)
    )
    class_ids = np.zeros([120, 200], np.uint8)
    class_ids[50:, :90] = 1
    class_ids[:, 150:] = 2
    views = task.views(tf.constant(COLORS[class_ids]))
    # A model that knows the colours, at every fourth pixel.
    distance = np.abs(views.image.numpy()[:, 2::4, 2::4, None].astype(int) - COLORS)
    logits = tf.constant(-distance.sum(-1), tf.float32)
    read = task.read_outputs({"logits": logits}, views)
    rows = [
        tf.nest.map_structure(lambda field, row=row: field[row].numpy(), views)
        for row in range(len(logits))
    ]
    merged = task.merge_views([logit.numpy() for logit in read], rows)
    wrong = merged.class_ids != class_ids
    assert wrong.mean() < 0.02
    # All that is wrong lies at borders, within the reach of half a coarse cell.
    far = np.ones_like(wrong)
    far[38:62, :102] = far[:, 78:102] = far[:, 138:162] = False
    assert not np.any(wrong & far)


def test_a_served_map_says_where_the_picture_is(task):
    view = task.whole_view(tf.zeros([60, 100, 3], tf.uint8))
    views = tf.nest.map_structure(lambda field: field[None], view)
    logits = tf.random.stateless_normal([1, 16, 24, 3], [1, 2])
    served = task.serve({"logits": logits}, views)
    assert served["logits"].shape == (1, *INPUT, 3)
    ids = served["class_ids"][0].numpy()
    # 58 of the 64 rows are picture.
    assert np.all(ids[58:] == IGNORED) and np.all(ids[:58] < 3)
    info = served["image_info"][0].numpy()
    assert info[0].tolist() == [60, 100] and info[1].tolist() == [64, 96]
    assert set(served) <= set(task.serving_notes)
    assert set(task.serve_raw({"logits": logits})) <= set(task.serving_notes)


def test_an_example_is_described_by_what_it_teaches(task):
    labels = LabelMap(scene(), np.full(PICTURE, 255, np.uint8))
    # 42 of 48 columns.
    assert task.describe(labels) == "3 classes, 88% known"
    assert task.learning_points(labels).shape == (0, 2)


@pytest.mark.parametrize("decoder", ["deeplab_v3_plus", "nas_fpn"])
def test_the_model_has_a_logit_for_every_cell_and_class(decoder):
    size = (128, 256)
    task = task_of(
        decoder=decoder,
        image_size_px=size,
        nas_fpn=config.NasFpnConfig(filters=8, repeats=1, head_convs=1),
    )
    model = task.build_model(sync_batch_norm=False)
    assert model.output_shape["logits"] == (None, 32, 64, 3)


def test_a_mistake_in_the_settings_is_named():
    for settings, message in (
        ({"loss_at": "pixels"}, "`loss_at` must be one of labels, logits"),
        ({"image_size_px": (100, 96)}, "multiples of 16 .`deeplab.output_stride`"),
        ({"backbone": "tiny", "image_size_px": (48, 96)}, "multiples of 32"),
        ({"decoder": "nas_fpn", "image_size_px": (64, 128)}, "multiples of 128"),
        ({"class_names": CLASSES, "class_weights": (1.0,)}, "one for each of 3"),
        ({"top_share": 0.0}, "`top_share` must be in"),
    ):
        with pytest.raises(ValueError, match=message):
            config.SegmentationConfig(**settings)
    with pytest.raises(ValueError, match="`scales` must be numbers above 0"):
        config.ViewsConfig(scales=())


def test_the_task_is_one_of_two():
    both = {"detection": config.DetectionConfig(), "human": None}
    with pytest.raises(ValueError, match="must be given, one of them, got detection"):
        dataclasses.replace(run_config(), **both)


@pytest.mark.parametrize("legacy", [False, True])
def test_maps_are_merged_and_served_where_their_weights_are_for(legacy):
    task = task_of(legacy_alignment=legacy)
    view = task.whole_view(tf.zeros([64, 96, 3], tf.uint8))
    views = [tf.nest.map_structure(lambda field: field.numpy(), view)]
    logits = np.random.default_rng(4).normal(size=[16, 24, 3]).astype(np.float32)

    def merged(legacy):
        return view_merging.merge([logits], views, view_size_px=INPUT, legacy=legacy)

    found = task.merge_views([logits], views).class_ids
    np.testing.assert_array_equal(found, merged(legacy).class_ids)
    assert np.mean(merged(not legacy).class_ids != found) > 0.1
    batch = tf.nest.map_structure(lambda field: field[None], view)
    served = task.serve({"logits": tf.constant(logits[None])}, batch)
    assert np.mean(served["class_ids"][0] != found) < 0.01
