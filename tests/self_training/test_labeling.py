"""What the arrow from teacher to student promises."""

import json

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.data import dataset_info, pipeline, records
from st_keras.runtime.restored import restore_run
from st_keras.self_training import labeling
from st_keras.training.evaluate import read_labels
from st_keras.training.loop import train


@pytest.fixture(scope="module")
def teacher(student_yaml, tmp_path_factory):
    workdir = str(tmp_path_factory.mktemp("teacher"))
    overrides = ["pseudo=null", "self_training=null", "training.steps=4"]
    train(config_lib.load(student_yaml, overrides), workdir)
    return workdir


@pytest.fixture(scope="module")
def labelled(teacher, digit_records, tmp_path_factory):
    output = str(tmp_path_factory.mktemp("labels"))
    manifest = labeling.label_records(
        teacher,
        f"{digit_records}/train/*.tfrecord",
        output,
        ids_file=f"{digit_records}/rest.txt",
        score_floor=0.005,
        num_shards=2,
    )
    return output, manifest


def examples(folder):
    paths = dataset_info.shard_paths(f"{folder}/*.tfrecord")
    return {
        example.features.feature[records.IMAGE_ID].bytes_list.value[0]: example
        for example in map(
            tf.train.Example.FromString,
            tf.data.TFRecordDataset(paths).as_numpy_iterator(),
        )
    }


def test_the_chosen_pictures_are_labelled_and_no_other(labelled):
    output, manifest = labelled
    assert manifest["pictures"] == 15
    assert sorted(examples(output)) == [
        f"train_{number:06d}".encode() for number in range(9, 24)
    ]


def test_pictures_are_carried_over_byte_by_byte(labelled, digit_records):
    output, _ = labelled
    originals = examples(digit_records / "train")
    for image_id, example in examples(output).items():
        ours = example.features.feature[records.ENCODED].bytes_list.value[0]
        original = originals[image_id].features.feature[records.ENCODED]
        assert ours == original.bytes_list.value[0]


def test_scores_are_kept_from_the_floor_on_and_the_author_is_named(labelled, teacher):
    output, manifest = labelled
    digest = restore_run(teacher).file.digest
    assert manifest["teacher_sha256"] == digest
    scores = []
    for example in examples(output).values():
        fields = example.features.feature
        scores += fields[records.SCORE].float_list.value
        assert fields[records.SOURCE].bytes_list.value[0].decode() == (
            f"teacher {digest}"
        )
    assert len(scores) == manifest["boxes"] > 0
    assert min(scores) >= 0.005


def test_the_truth_of_the_unlabelled_pictures_is_not_used(labelled, digit_records):
    # A teacher of four steps cannot have found the true boxes.
    output, _ = labelled
    originals = examples(digit_records / "train")
    for image_id, example in examples(output).items():
        ours = example.features.feature[records.YMIN].float_list.value
        truth = originals[image_id].features.feature[records.YMIN].float_list.value
        assert not set(np.float32(truth)) & set(np.float32(ours)) - {0.0}


def test_the_same_teacher_labels_alike_whatever_stands_beside_a_picture(
    teacher, digit_records, labelled, tmp_path
):
    # Alone in its batch, filled up with empty rows: BatchNorm must not look at them.
    (tmp_path / "one.txt").write_text("train_000020\n")
    labeling.label_records(
        teacher,
        f"{digit_records}/train/*.tfrecord",
        str(tmp_path / "one"),
        ids_file=str(tmp_path / "one.txt"),
        score_floor=0.005,
    )
    run = restore_run(teacher)
    boxes = []
    for folder in (labelled[0], tmp_path / "one"):
        source = pipeline.open_source(f"{folder}/*.tfrecord", ["train_000020"], 0)
        boxes.append(next(read_labels(run.task, source))[1].boxes_yxyx)
    np.testing.assert_allclose(boxes[0], boxes[1], atol=1e-3)


def test_labels_can_be_read_by_a_student(labelled):
    output, _ = labelled
    info = dataset_info.load(f"{output}/*.tfrecord")
    assert info.class_names == tuple("0123456789")
    assert json.loads(open(f"{output}/manifest.json").read())["score_floor"] == 0.005
    assert labeling.is_complete(output)


def test_a_folder_without_a_checkpoint_is_named(digit_records, tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint"):
        labeling.label_records(
            str(tmp_path), f"{digit_records}/train/*.tfrecord", str(tmp_path / "out")
        )


def test_the_pictures_to_label_are_never_written_over(teacher, digit_records):
    folder = digit_records / "val"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match="`output` .* is the folder of the records"):
        labeling.label_records(teacher, f"{folder}/*.tfrecord", str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_finished_labels_are_not_written_over(teacher, digit_records, labelled):
    with pytest.raises(ValueError, match="holds finished pseudo labels"):
        labeling.label_records(
            teacher, f"{digit_records}/train/*.tfrecord", labelled[0]
        )


def test_labels_of_another_teacher_are_told_apart(teacher, labelled, tmp_path):
    labeling.check_teacher(labelled[0], teacher)
    manifest = json.loads(open(f"{labelled[0]}/manifest.json").read())
    changed = json.dumps(manifest | {"teacher_sha256": "0123456789ab"})
    (tmp_path / "manifest.json").write_text(changed)
    with pytest.raises(ValueError, match="by model 0123456789ab, but .* holds"):
        labeling.check_teacher(str(tmp_path), teacher)
