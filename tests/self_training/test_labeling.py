"""What the arrow from teacher to student promises."""

import dataclasses
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from st_keras import config as config_lib
from st_keras.data import dataset_info, pipeline, records
from st_keras.runtime.restored import restore_run
from st_keras.self_training import labeling
from st_keras.tasks.detection import DetectionTask
from st_keras.training.evaluate import read_labels
from tests.record_files import write_records


@pytest.fixture(scope="module")
def labelled(teacher, digit_records, tmp_path_factory):
    output = str(tmp_path_factory.mktemp("labels"))
    manifest = labeling.label_pictures(
        teacher,
        output,
        records=f"{digit_records}/train/*.tfrecord",
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
    labeling.label_pictures(
        teacher,
        str(tmp_path / "one"),
        records=f"{digit_records}/train/*.tfrecord",
        ids_file=str(tmp_path / "one.txt"),
        score_floor=0.005,
    )
    run = restore_run(teacher)
    found = []
    for folder in (labelled[0], tmp_path / "one"):
        source = pipeline.open_source(f"{folder}/*.tfrecord", ["train_000020"], 0)
        found.append(next(read_labels(run.task, source))[1])
    assert len(found[0].class_ids)
    for first, second in zip(*found, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-3)


def test_labels_can_be_read_by_a_student(labelled):
    output, _ = labelled
    info = dataset_info.load(f"{output}/*.tfrecord")
    assert info.class_names == tuple("0123456789")
    assert json.loads(open(f"{output}/manifest.json").read())["score_floor"] == 0.005


def test_a_folder_without_a_checkpoint_is_named(digit_records, tmp_path):
    with pytest.raises(ValueError, match="holds no checkpoint"):
        labeling.label_pictures(
            str(tmp_path),
            str(tmp_path / "out"),
            records=f"{digit_records}/train/*.tfrecord",
        )


def test_the_pictures_to_label_are_never_written_over(teacher, digit_records):
    folder = digit_records / "val"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ValueError, match="`output` .* is the folder of the records"):
        labeling.label_pictures(teacher, str(folder), records=f"{folder}/*.tfrecord")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("inside", ["", "labels", "a/b"])
def test_labels_are_not_written_among_the_pictures(teacher, tmp_path, inside):
    Image.new("RGB", (40, 30)).save(tmp_path / "one.png")
    with pytest.raises(ValueError, match="`output` .* is in .*, the folder of"):
        labeling.label_pictures(teacher, f"{tmp_path}/{inside}", images=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def label(teacher, digit_records, output, **more):
    """Labels the fixture's pictures in three shards."""
    return labeling.label_pictures(
        teacher,
        str(output),
        records=f"{digit_records}/train/*.tfrecord",
        **{
            "ids_file": f"{digit_records}/rest.txt",
            "score_floor": 0.005,
            "num_shards": 3,
        }
        | more,
    )


def contents(folder):
    """Returns every file; of manifest.json and reports all but the time they took."""
    found = {}
    for path in pathlib.Path(folder).iterdir():
        content = path.read_bytes()
        if path.suffix == ".json":
            content = json.loads(content)
            content.pop("seconds", None)
            content.pop("device_seconds", None)
        found[path.name] = content
    return found


@pytest.fixture(scope="module")
def in_three(teacher, digit_records, tmp_path_factory):
    output = tmp_path_factory.mktemp("in_three")
    manifest = label(teacher, digit_records, output)
    return output, manifest


def test_hosts_share_the_shards_in_any_order(
    teacher, digit_records, in_three, tmp_path
):
    assert label(teacher, digit_records, tmp_path, shard_range=(1, 3)) == {"missing": 1}
    assert not (tmp_path / "manifest.json").exists()
    manifest = label(teacher, digit_records, tmp_path, shard_range=(0, 1))
    assert manifest["pictures"] == 15
    assert contents(tmp_path) == contents(in_three[0])
    # 24 records in stretches of 8, of which the first nine are not asked for.
    assert [row["pictures"] for row in manifest["files"]] == [0, 7, 8]


def test_no_picture_is_lost_where_shards_cannot_be_alike(
    teacher, tiny_records, tmp_path
):
    manifest = labeling.label_pictures(
        teacher, str(tmp_path), records=tiny_records.glob, num_shards=5
    )
    # Borders at the whole parts of 0, 2.4, 4.8, 7.2, 9.6 and 12.
    assert [row["pictures"] for row in manifest["files"]] == [2, 2, 3, 2, 3]
    assert {key.decode() for key in examples(tmp_path)} == set(tiny_records.by_id)


def test_shards_that_nobody_counts_are_of_so_many_pictures(
    teacher, tiny_records, tmp_path, monkeypatch
):
    monkeypatch.setattr(labeling, "PICTURES_PER_SHARD", 5)
    manifest = labeling.label_pictures(
        teacher, str(tmp_path), records=tiny_records.glob
    )
    assert [row["pictures"] for row in manifest["files"]] == [4, 4, 4]


def test_a_killed_labelling_goes_on_and_ends_the_same(
    teacher, digit_records, in_three, tmp_path, monkeypatch
):
    class Killed(BaseException):
        pass

    write_labels = DetectionTask.write_labels
    written = []

    def write_some(task, picture, labels):
        if len(written) == 10:
            raise Killed
        written.append(picture.image_id)
        return write_labels(task, picture, labels)

    monkeypatch.setattr(DetectionTask, "write_labels", write_some)
    with pytest.raises(Killed):
        label(teacher, digit_records, tmp_path)
    monkeypatch.undo()
    assert [p.name for p in sorted(tmp_path.glob("*.tfrecord"))] == [
        "records-00000-of-00003.tfrecord",
        "records-00001-of-00003.tfrecord",
    ]
    # What a kill leaves that no `finally` follows.
    half = tmp_path / "records-00002-of-00003.tfrecord.host-123.tmp"
    half.write_bytes(b"half")
    os.utime(half, (0, 0))
    finished = tmp_path / "records-00001-of-00003.tfrecord"
    time_ns = finished.stat().st_mtime_ns
    label(teacher, digit_records, tmp_path)
    assert contents(tmp_path) == contents(in_three[0])
    assert finished.stat().st_mtime_ns == time_ns


def test_finished_labels_are_not_made_again(
    teacher, digit_records, in_three, monkeypatch
):
    monkeypatch.setattr(labeling, "restore_run", None)
    assert label(teacher, digit_records, in_three[0]) == in_three[1]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"score_floor": 0.1}, "score_floor 0.005 there, 0.1 here"),
        ({"num_shards": 4}, "shards 3 there, 4 here"),
        ({"ids_file": ""}, "pictures_sha256 '.*' there, '.*' here"),
    ],
)
def test_another_job_does_not_mix_with_it(teacher, digit_records, in_three, more, told):
    before = contents(in_three[0])
    with pytest.raises(ValueError, match=f"labels of another job .{told}.;"):
        label(teacher, digit_records, in_three[0], **more)
    assert contents(in_three[0]) == before


def test_a_floor_out_of_range_is_refused_before_the_folder_is_begun(tmp_path):
    with pytest.raises(ValueError, match=r"`score_floor` must be in \[0, 1\), got -1"):
        labeling.label_pictures("nowhere", str(tmp_path), records="*", score_floor=-1)
    assert not list(tmp_path.iterdir())


def test_another_teacher_does_not_mix_with_it(
    teacher, digit_records, in_three, tmp_path
):
    other = tmp_path / "other"
    shutil.copytree(teacher, other)
    [weights] = other.glob("checkpoints/ckpt-4.data*")
    weights.write_bytes(weights.read_bytes() + b".")
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("nms_iou: 0.5", "nms_iou: 0.6"))
    with pytest.raises(ValueError, match="teacher_sha256 '.*' there") as told:
        label(str(other), digit_records, in_three[0])
    assert "task_sha256" in str(told.value)


def test_a_teacher_that_was_moved_goes_on(teacher, digit_records, in_three, tmp_path):
    """Its config may name a place in the folder that was moved."""
    moved = shutil.copytree(teacher, tmp_path / "moved")
    config = config_lib.load(str(moved / "config.yaml"))
    evaluation = dataclasses.replace(config.evaluation, records="elsewhere/*.tfrecord")
    config = dataclasses.replace(config, evaluation=evaluation)
    config_lib.save(config, str(moved / "config.yaml"))
    before = contents(in_three[0])
    label(str(moved), digit_records, in_three[0])
    assert contents(in_three[0]) == before


def test_a_folder_in_use_can_be_refused(teacher, digit_records, in_three):
    with pytest.raises(ValueError, match="has been begun; go on with --resume"):
        label(teacher, digit_records, in_three[0], resume=False)


def test_records_of_something_else_are_not_labels(teacher, digit_records, tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(b"")
    with pytest.raises(ValueError, match="holds records of something else"):
        label(teacher, digit_records, tmp_path)


def test_a_shard_that_was_cut_is_noticed(teacher, digit_records, in_three, tmp_path):
    shutil.copytree(in_three[0], tmp_path / "cut")
    (tmp_path / "cut/manifest.json").unlink()
    shard = tmp_path / "cut/records-00001-of-00003.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(ValueError, match="delete records-00001-of-00003.json to label"):
        label(teacher, digit_records, tmp_path / "cut")


def test_a_picture_that_cannot_be_decoded_is_skipped_and_listed(
    teacher, tiny_records, tmp_path
):
    folder = tmp_path / "pictures"
    pictures = list(tiny_records.by_id.values())
    broken = dataclasses.replace(pictures[4], encoded=pictures[4].encoded[:60])
    write_records(folder, [*pictures[:4], broken, *pictures[5:]])
    manifest = labeling.label_pictures(
        teacher, str(tmp_path / "labels"), records=f"{folder}/*.tfrecord"
    )
    assert manifest["skipped"] == {"unreadable_file": 1}
    assert manifest["pictures"] == 11
    rows = (tmp_path / "labels/skipped.txt").read_text().splitlines()
    assert rows[1].startswith("tiny_04\t-\tunreadable_file\t")
    assert set(examples(tmp_path / "labels")) == {
        picture.image_id.encode()
        for picture in pictures
        if picture.image_id != "tiny_04"
    }


def test_picture_files_are_labelled_as_their_records_are(
    teacher, tiny_records, tmp_path
):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for image_id, picture in tiny_records.by_id.items():
        (folder / f"{image_id}.{picture.format}").write_bytes(picture.encoded)
    (folder / "notes.txt").write_text("Not a picture.")
    labeling.label_pictures(teacher, str(tmp_path / "a"), records=tiny_records.glob)
    manifest = labeling.label_pictures(teacher, str(tmp_path / "b"), images=str(folder))
    assert manifest["skipped"] == {"unknown_extension": 1}
    ours, theirs = examples(tmp_path / "b"), examples(tmp_path / "a")
    assert len(ours) == 12
    for image_id, example in ours.items():
        for name in (records.SCORE, records.YMIN, records.LABEL, records.ENCODED):
            assert (
                example.features.feature[name]
                == theirs[image_id].features.feature[name]
            )


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"shard_range": (2, 2)}, "`shard_range` must be within 0:3, got 2:2"),
        ({"shard_range": (0, 4)}, "`shard_range` must be within 0:3, got 0:4"),
        ({"num_shards": 25}, "`shards` must be at most the 24 pictures"),
        ({"images": "photos"}, "Either `records` or `images`"),
    ],
)
def test_what_cannot_be_asked_for_is_told(teacher, digit_records, tmp_path, more, told):
    with pytest.raises(ValueError, match=told):
        label(teacher, digit_records, tmp_path / "out", **more)
    assert not (tmp_path / "out").exists()


def test_the_summary_says_what_is_missing_or_skipped(in_three):
    assert labeling.format_summary({"missing": 3}, "out") == (
        "3 shards are still missing in out."
    )
    assert labeling.format_summary(in_three[1], "out") == (
        "15 pictures labelled, 0 skipped. Scores are kept above 0.005: out"
    )
    of_pixels = in_three[1] | {"protocol": {"scales": [1.0]}}
    assert labeling.format_summary(of_pixels, "out") == (
        "15 pictures labelled, 0 skipped. out"
    )
