"""Which pseudo labels a student learns from, and what it refuses to guess."""

import dataclasses
import json
import math

import numpy as np
import pytest
import tensorflow as tf

from st_keras.config import load
from st_keras.data import dataset_info, images, splits
from st_keras.data.records import Record
from st_keras.runtime.run_log import write_json
from st_keras.self_training import selection
from st_keras.self_training.batches import Batches
from st_keras.tasks import build_task, with_class_names
from tests.self_training.made_up_labels import write_labels

SHA = "0a1b2c3d4e5f"


@pytest.fixture
def student(student_yaml, tiny_records, tmp_path):
    """Config of a student of made-up labels, with scores, of all tiny pictures."""
    rng = np.random.default_rng(3)
    labelled = [
        dataclasses.replace(
            record,
            is_crowd=None,
            scores=rng.random(len(record.labels)).astype(np.float32),
        )
        for record in tiny_records.by_id.values()
    ]
    names = tiny_records.class_names
    folder = write_labels(
        tmp_path / "labels",
        labelled,
        teacher="gone",
        teacher_sha256=SHA,
        class_names=names,
    )
    overrides = [
        f"human.records={tiny_records.glob}",
        *("human.ids=''", "pseudo.min_score=0.5", "self_training=null"),
        f"pseudo.records={folder}/*.tfrecord",
    ]
    config = load(student_yaml, overrides)
    return with_class_names(config, dataset_info.load(tiny_records.glob))


@pytest.fixture
def thresholds(tiny_records, tmp_path):
    """Writes a file of thresholds, by class, and returns its path."""

    def write(*scores, **changes):
        names = tiny_records.class_names
        rows = {n: {"threshold": s} for n, s in zip(names, scores, strict=True)}
        found = {
            "teacher_sha256": SHA,
            "class_names": list(names),
            "per_class": rows,
        }
        path = tmp_path / "thresholds.json"
        write_json(path, found | changes)
        return str(path)

    return write


def with_pseudo(config, **changes):
    pseudo = dataclasses.replace(config.pseudo, **changes)
    return dataclasses.replace(config, pseudo=pseudo)


def scores_of(config):
    return selection.min_scores(config.pseudo, build_task(config))


def batch_of(config, step=2):
    batches = Batches(config, build_task(config))
    stream = batches.from_step(step, replicas=1, replicas_here=range(1))
    return next(iter(stream)), batches.image_ids(step)


def scores_by_class(batch):
    """Returns the scores of the boxes of a batch that are learned, by class."""
    labels = tf.nest.map_structure(lambda field: field.numpy(), batch["pseudo"].labels)
    counts = labels.weights > 0
    return [labels.scores[counts & (labels.class_ids == i)] for i in range(3)]


def test_without_a_file_every_class_has_the_score_of_the_config(student):
    assert scores_of(student) == (0.5, 0.5, 0.5)


def test_a_file_replaces_it_class_by_class(student, thresholds):
    config = with_pseudo(student, thresholds=thresholds(0.25, None, 0.8))
    assert scores_of(config) == (0.25, math.inf, 0.8)


def test_thresholds_that_are_all_alike_change_no_batch(student, thresholds):
    config = with_pseudo(student, thresholds=thresholds(0.5, 0.5, 0.5))
    (one, one_ids), (other, other_ids) = batch_of(student), batch_of(config)
    assert one_ids == other_ids
    tf.nest.map_structure(np.testing.assert_array_equal, one, other)
    # And there is something that either might have changed.
    everything, _ = batch_of(with_pseudo(student, min_score=0.05))
    learned, there = (
        np.sum(batch["pseudo"].labels.weights) for batch in (one, everything)
    )
    assert 0 < learned < there


def test_a_step_drops_what_is_under_the_threshold_of_its_class(student, thresholds):
    config = with_pseudo(
        student, thresholds=thresholds(0.25, None, 0.8), images_per_step=12
    )
    kept = scores_by_class(batch_of(config)[0])
    whole = with_pseudo(student, min_score=0.05, images_per_step=12)
    there = scores_by_class(batch_of(whole)[0])
    for ours, of_all, needed in zip(kept, there, (0.25, 2.0, 0.8), strict=True):
        np.testing.assert_array_equal(ours, of_all[of_all >= needed])
        assert len(ours) < len(of_all)
    assert len(kept[0])


def test_pixels_have_the_threshold_of_their_class(
    segmentation_yaml, digit_records, tmp_path
):
    names = dataset_info.load(f"{digit_records}/train/*.tfrecord").label_map_names
    rng = np.random.default_rng(2)
    labelled = [
        Record(
            image_id=f"p{number}",
            encoded=images.encode_png(
                rng.integers(0, 255, [64, 64, 3]).astype(np.uint8)
            ),
            format="png",
            filename="",
            height_px=64,
            width_px=64,
            boxes_yxyx=np.zeros([0, 4], np.float32),
            labels=np.zeros([0], np.int64),
            label_map_png=images.encode_png(
                np.repeat(np.uint8([[0], [1], [2], [10]]), 16, 0).repeat(64, 1)
            ),
            confidence_png=images.encode_png(
                np.tile(np.repeat(np.uint8([[100, 200]]), 32, 1), [64, 1])
            ),
        )
        for number in range(3)
    ]
    folder = write_labels(
        tmp_path / "labels",
        labelled,
        teacher="gone",
        teacher_sha256=SHA,
        label_map_names=names,
    )
    rows = {name: {"threshold": 0.3} for name in names}
    rows[names[1]] = {"threshold": 0.5}
    rows[names[2]] = {"threshold": None}
    found = {"teacher_sha256": SHA, "class_names": list(names), "per_class": rows}
    write_json(tmp_path / "thresholds.json", found)
    config = load(
        segmentation_yaml,
        [
            f"pseudo.records={folder}/*.tfrecord",
            f"pseudo.thresholds={tmp_path}/thresholds.json",
            "pseudo.soft=true",  # So that confidences are there to be told apart.
            "self_training=null",
        ],
    )
    config = with_class_names(config, dataset_info.load(config.human.records))
    batch, _ = batch_of(config)
    labels = batch["pseudo"].labels
    said = {
        (class_id, confidence)
        for class_id in (0, 1, 2, 10)
        for confidence in (100, 200)
        if np.any((labels.class_ids == class_id) & (labels.confidences == confidence))
    }
    # 100 / 255 is 0.39 and 200 / 255 is 0.78.
    assert said == {(0, 100), (0, 200), (1, 200), (10, 100), (10, 200)}


def test_thresholds_of_another_teacher_are_refused(student, thresholds):
    path = thresholds(0.5, 0.5, 0.5, teacher_sha256="ffff00001111")
    with pytest.raises(ValueError, match=f"teacher ffff00001111, but.*teacher {SHA}"):
        scores_of(with_pseudo(student, thresholds=path))


def test_thresholds_of_other_classes_are_refused(student, thresholds):
    path = thresholds(0.5, 0.5, 0.5, class_names=["ball", "kite", "cup"])
    with pytest.raises(ValueError, match="ball, kite, cup, but the model has ball"):
        scores_of(with_pseudo(student, thresholds=path))


def test_a_score_under_the_floor_of_the_records_is_refused(student):
    assert scores_of(with_pseudo(student, min_score=0.05)) == (0.05,) * 3
    with pytest.raises(ValueError, match="0.04, under 0.05, the score floor"):
        scores_of(with_pseudo(student, min_score=0.04))


def test_thresholds_under_the_floor_of_the_records_are_refused(student, thresholds):
    config = with_pseudo(student, thresholds=thresholds(0.5, 0.04, 0.03))
    with pytest.raises(ValueError, match="2 thresholds are under 0.05.*0.03 of kite"):
        scores_of(config)
    assert scores_of(with_pseudo(student, thresholds=thresholds(0.5, 0.05, 0.05)))


def test_what_is_no_file_of_thresholds_is_refused(student, thresholds, tmp_path):
    path = str(tmp_path / "none.json")
    with pytest.raises(ValueError, match="none.json: no such file of thresholds"):
        scores_of(with_pseudo(student, thresholds=path))
    for text, message in (("{", "not JSON"), ("{}", "holds no thresholds")):
        (tmp_path / "none.json").write_text(text)
        with pytest.raises(ValueError, match=f"none.json: {message}"):
            scores_of(with_pseudo(student, thresholds=path))


def test_records_without_a_manifest_do_not_say_what_was_left_out(
    student, thresholds, tmp_path
):
    (tmp_path / "labels" / "manifest.json").unlink()
    with pytest.raises(ValueError, match="manifest.json: missing"):
        scores_of(with_pseudo(student, thresholds=thresholds(0.5, 0.5, 0.5)))


def test_a_mistake_is_found_when_a_run_starts(student, thresholds):
    path = thresholds(0.5, 0.5, 0.5, teacher_sha256="ffff00001111")
    config = with_pseudo(student, thresholds=path)
    with pytest.raises(ValueError, match="let the same checkpoint label"):
        Batches(config, build_task(config))


def test_a_picture_that_is_not_chosen_cannot_be_excluded(student, tmp_path):
    (tmp_path / "exclude.txt").write_text("tiny_02\ntiny_07\n")
    (tmp_path / "chosen.txt").write_text("tiny_01\ntiny_02\n")
    files = str(tmp_path / "exclude.txt"), student.pseudo.records
    assert selection.check_excluded(*files) == {"tiny_02", "tiny_07"}
    with pytest.raises(ValueError, match="1 of 2 ids .* not in .*chosen.txt`: tiny_07"):
        selection.check_excluded(*files, str(tmp_path / "chosen.txt"))


def test_excluded_pictures_are_never_learned_from(student, tmp_path):
    (tmp_path / "exclude.txt").write_text("tiny_02\ntiny_07\ntiny_11\n")
    config = with_pseudo(
        student, exclude=str(tmp_path / "exclude.txt"), images_per_step=9
    )
    batches = Batches(config, build_task(config))
    # Nine are left, so a step is an epoch.
    seen = batches.image_ids(0)["pseudo"]
    assert sorted(seen) == [f"tiny_{n:02d}" for n in range(12) if n not in (2, 7, 11)]
    assert sorted(batches.image_ids(1)["pseudo"]) == sorted(seen)


def test_ids_that_the_records_do_not_have_are_counted(student, tmp_path):
    (tmp_path / "exclude.txt").write_text("tiny_02\nx1\nx2\nx3\nx4\n")
    config = with_pseudo(student, exclude=str(tmp_path / "exclude.txt"))
    with pytest.raises(ValueError, match=r"4 of 5 ids to .* x1, x2, x3, \.\.\."):
        Batches(config, build_task(config))


def test_somebody_must_be_left_to_learn_from(student, tiny_records, tmp_path):
    (tmp_path / "exclude.txt").write_text("\n".join(tiny_records.by_id))
    config = with_pseudo(student, exclude=str(tmp_path / "exclude.txt"))
    with pytest.raises(ValueError, match="no picture to read"):
        Batches(config, build_task(config))


def test_no_ids_are_no_pictures_and_not_all(student, tmp_path):
    splits.write_ids(tmp_path / "ids.txt", [])
    splits.write_ids(tmp_path / "exclude.txt", ["tiny_02"])
    config = with_pseudo(
        student, ids=str(tmp_path / "ids.txt"), exclude=str(tmp_path / "exclude.txt")
    )
    assert selection.image_ids(config.pseudo) == []


def test_thresholds_in_a_file_are_what_a_student_reads(student, tmp_path):
    path = tmp_path / "real.json"
    row = {"threshold": float(np.float32(0.7)), "interval": [0.6, None]}
    found = {"teacher_sha256": SHA, "class_names": ["ball", "cup", "kite"]}
    found["per_class"] = dict.fromkeys(found["class_names"], row)
    write_json(path, found)
    (score, *_) = scores_of(with_pseudo(student, thresholds=str(path)))
    assert np.float32(score) == np.float32(0.7)
    assert selection.read_thresholds(str(path)) == json.loads(path.read_text())
