"""What the classification task promises, from a record to a loss and back to labels."""

import dataclasses
import io
import json
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from st_keras import config, tasks
from st_keras.data import dataset_info, decode, records
from st_keras.tasks.classification import ClassificationTask
from st_keras.types import Classes

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu")
INPUT = (64, 96)
WHOLE = config.CropConfig(area_min=1.0, aspect_min=1.5, aspect_max=1.5)
STILL = config.AugmentConfig(flip_probability=0.0)


def task_of(**changes):
    settings = {"class_names": NAMES, "image_size_px": INPUT, "backbone": "tiny"}
    return ClassificationTask(config.ClassificationConfig(**settings | changes))


@pytest.fixture
def task():
    return task_of()


def picture(height=32, width=48):
    """Red on the left, green on the right; blue grows downwards."""
    pixels = np.zeros([height, width, 3], np.uint8)
    pixels[:, : width // 2, 0] = 200
    pixels[:, width // 2 :, 1] = 200
    pixels[..., 2] = np.linspace(0, 240, height)[:, None]
    return pixels


def record(**changes):
    encoded = io.BytesIO()
    Image.fromarray(picture()).save(encoded, "png")
    fields = {
        **{"image_id": "a", "encoded": encoded.getvalue(), "format": "png"},
        **{"filename": "a.png", "boxes_yxyx": np.zeros([0, 4]), "labels": []},
        **{"height_px": 32, "width_px": 48, "class_label": 3},
    }
    return records.Record(**fields | changes)


def serialize(of):
    return records.to_example(of).SerializeToString()


def info(names=NAMES):
    return dataset_info.Tally().info(
        source="", image_class_names=names, skipped={}, content_sha256="", shards=[]
    )


def prepare(task, of, seed=(0, 0)):
    prepared = task.prepare(serialize(of), tf.constant(seed), info())
    return prepared._replace(labels=to_numpy(prepared.labels))


def to_numpy(labels):
    return Classes(*(np.asarray(field) for field in labels))


def read(of, task):
    labels, image_id = task.read_labels(tf.constant(serialize(of)))
    return to_numpy(labels), image_id.numpy().decode()


def test_the_whole_picture_of_the_input_s_shape_is_learned_as_it_is():
    prepared = prepare(task_of(crop=WHOLE, augment=STILL), record())
    assert prepared.image_id == b"a"
    shown = prepared.image.numpy()
    assert shown.shape == (*INPUT, 3)
    assert np.all(shown[:, :46, 0] == 200) and np.all(shown[:, 50:, 1] == 200)
    assert np.all(np.diff(shown[:, 10, 2].astype(int)) >= 0)
    # Label 3 is the third name.
    assert prepared.labels == ([2], [1.0], [1.0])


@pytest.mark.parametrize("where", ["host", "device"])
def test_parts_are_drawn_by_the_seed(where):
    augment = config.AugmentConfig(policy="S4", color_strength=0.4, where=where)
    task = task_of(augment=augment)

    def shown(seed):
        prepared = prepare(task, record(), seed)
        image, changes = prepared.image[None], prepared.changes
        if where == "device":
            changes = tf.nest.map_structure(lambda t: t[None], changes)
        return task.finish_images(image, changes)[0].numpy()

    assert np.array_equal(shown((1, 2)), shown((1, 2)))
    assert not np.array_equal(shown((1, 2)), shown((1, 3)))


@pytest.mark.parametrize("label", [None, 0, -1])
def test_a_record_without_a_class_teaches_nothing(task, label):
    labels, _ = read(record(class_label=label), task)
    assert labels.weights == [0]
    batch = Classes(*(tf.constant(field)[None] for field in labels))
    ratio = task.losses(batch, {"logits": tf.random.normal([1, 7])})["class"]
    assert (float(ratio.total), float(ratio.count)) == (0, 0)
    assert task.describe(labels) == "no class"


def test_the_loss_is_that_of_the_true_class(task):
    shares = [0.02, 0.3, 0.01, 0.4, 0.15, 0.07, 0.05]
    labels = Classes(tf.constant([[1]]), tf.ones([1, 1]), tf.ones([1, 1]))
    ratio = task.losses(labels, {"logits": tf.math.log([shares])})["class"]
    # Smoothing of 0.1: 0.9 for the class, and a tenth spread over all seven.
    expected = -0.9 * math.log(0.3) - 0.1 / 7 * sum(map(math.log, shares))
    assert float(ratio.total) == pytest.approx(expected, rel=1e-5)
    assert float(ratio.count) == 1


def test_the_best_five_are_seen_with_their_probabilities(task):
    probabilities = np.float32([0.02, 0.3, 0.01, 0.4, 0.15, 0.07, 0.05])
    view = task.views(picture(100, 100))
    found = task.read_outputs(
        {"logits": tf.constant(np.log(probabilities))[None]}, view
    )
    seen = task.merge_views([Classes(*(f.numpy()[0] for f in found))], [view])
    assert seen.class_ids.tolist() == [3, 1, 4, 5, 6]
    assert seen.scores == pytest.approx([0.4, 0.3, 0.15, 0.07, 0.05], rel=1e-4)
    rows = task.annotations(seen)
    assert rows[0] == {"category_id": 4, "score": pytest.approx(0.4)}
    assert len(rows) == 5
    json.dumps(rows)


def test_pseudo_labels_go_through_records_with_their_score(task):
    seen = Classes(
        np.int32([3, 1]), np.float32([0.625, 0.25]), np.ones([2], np.float32)
    )
    human = record(class_label=1, boxes_yxyx=np.ones([1, 4]), labels=[5])
    written = task.write_labels(human, seen)
    labels, _ = read(written, task)
    assert labels == ([3], [0.625], [1.0])
    assert len(written.labels) == 0
    for min_score, weight in ((0.625, 1), (0.63, 0)):
        kept = task.pseudo_label(labels, min_score=min_score)
        assert np.asarray(kept.weights) == [weight]
    soft = task.pseudo_label(labels, min_score=0.5, soft=True)
    assert np.asarray(soft.weights) == [0.625]


def test_labels_of_other_tasks_take_the_class_of_people_away():
    detection = tasks.detection.DetectionTask(
        config.DetectionConfig(class_names=("a",), image_size_px=(128, 128))
    )
    nothing = detection.read_labels(tf.constant(serialize(record())))[0]
    written = detection.write_labels(
        record(), nothing._make(np.asarray(field) for field in nothing)
    )
    assert written.class_label is None


def test_inference_sees_the_middle_or_all_of_a_picture():
    middle = task_of().views(picture(100, 300))
    # 7/8 of 100 x 150: all of it is picture, but neither end.
    assert middle.image.shape == (1, *INPUT, 3)
    assert not np.any(np.all(middle.image.numpy() == 128, -1))
    seen_px = float(INPUT[1] / middle.scale_yx[0, 1])
    assert seen_px == pytest.approx(7 / 8 * 150, abs=1)
    assert float(middle.offset_yx[0, 1]) > 0
    whole = task_of(central_share=0.0).views(picture(100, 300))
    assert np.all(whole.image.numpy()[0, 33:] == 128)
    assert task_of().protocol["central_share"] == 0.875


def test_classes_come_from_the_records_and_are_confirmed():
    run = config.Config(
        classification=config.ClassificationConfig(image_size_px=INPUT),
        human=config.RecordsConfig(records="x"),
        training=config.TrainingConfig(steps=1),
    )
    found = tasks.with_class_names(run, info())
    assert found.classification.class_names == NAMES
    assert isinstance(tasks.build_task(found), ClassificationTask)
    with pytest.raises(ValueError, match="has no classes for classification"):
        tasks.with_class_names(run, info(()))
    with pytest.raises(ValueError, match="`classification.class_names` is ant"):
        tasks.with_class_names(found, info(NAMES[::-1]))


def test_one_class_is_none():
    with pytest.raises(ValueError, match="2 or more names, got 1"):
        task_of(class_names=("ant",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_size_px": (64, 100)}, "multiples of 32"),
        ({"backbone": "spinenet_49"}, "multiples of 128"),
        ({"label_smoothing": 1.5}, "`label_smoothing`"),
        ({"dropout": 1.0}, "`dropout`"),
        ({"augment": config.AugmentConfig(policy="S3")}, "`augment.policy`.*S1, S4"),
        (
            {"augment": config.AugmentConfig(scale_max=2.0)},
            "`augment.scale_max` must be empty",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        task_of(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"area_min": 0.0}, "`area_min`"),
        ({"area_max": 1.5}, "`area_max`"),
        ({"area_min": 0.5, "area_max": 0.4}, "at least `area_min`"),
        ({"aspect_min": 2.0}, "at least `aspect_min`"),
    ],
)
def test_crops_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config.CropConfig(**changes)


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_b0"])
def test_the_paper_s_backbones_build(backbone):
    task = task_of(backbone=backbone, image_size_px=(64, 64))
    model = task.build_model(sync_batch_norm=False)
    assert model.output["logits"].shape == (None, 7)
    rates = [
        layer.rate
        for layer in model.get_layer("head").layers
        if "dropout" in layer.name
    ]
    # The authors' own: none but on an EfficientNet.
    assert rates == ([0.2] if "efficientnet" in backbone else [])


def test_a_class_of_the_record_is_read_beside_its_boxes(task):
    boxed = record(boxes_yxyx=np.float32([[2, 3, 20, 30]]), labels=[2])
    boxes, _ = decode.decode_labels(tf.constant(serialize(boxed)))
    assert boxes.class_ids.numpy().tolist() == [1]
    assert read(boxed, task)[0].class_ids == [2]


def test_a_score_that_a_person_did_not_give_is_1(task):
    labels, image_id = read(dataclasses.replace(record(), image_id="b"), task)
    assert labels.scores == [1.0] and image_id == "b"


def test_label_smoothing_is_that_of_the_loss():
    logits = np.float32([[2.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]])
    labels = Classes(tf.constant([[2]]), tf.constant([[1.0]]), tf.constant([[1.0]]))

    def loss(**changes):
        ratios = task_of(**changes).losses(labels, {"logits": tf.constant(logits)})
        return float(ratios["class"].mean())

    log_probability = logits[0] - np.log(np.exp(logits[0]).sum())
    # 0.1 for each of the seven classes, and 0.3 more for the third.
    plain = loss(label_smoothing=0.0)
    assert plain == pytest.approx(-log_probability[2], rel=1e-5)
    smooth = -(0.3 * log_probability[2] + 0.7 * log_probability.mean())
    assert loss(label_smoothing=0.7) == pytest.approx(smooth, rel=1e-5)


def test_dropout_is_that_of_the_model():
    def rates(**changes):
        model = task_of(**changes).build_model(sync_batch_norm=False)
        named = (part for part in model.submodules if hasattr(part, "rate"))
        return [part.rate for part in named if part.name == "dropout"]

    assert rates(dropout=0.0) == []
    assert rates(dropout=0.4) == [0.4]
