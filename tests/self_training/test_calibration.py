"""What thresholds from a held-out slice promise, from records to a file."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf

from st_keras.config import JointConfig
from st_keras.data import dataset_info, decode, records, splits
from st_keras.runtime.checkpoints import find_model
from st_keras.self_training import calibration, labeling
from st_keras.self_training.calibration import calibrate
from tests.record_files import write_records
from tests.self_training.made_up_labels import write_labels

DIGITS = tuple("0123456789")
HELD_OUT = slice(12, 24)  # Of the 24 scenes; the teacher has learned from 9.


@pytest.fixture(scope="module")
def scenes(digit_records):
    """Returns the held-out scenes, as people labelled them."""
    paths = dataset_info.shard_paths(f"{digit_records}/train/*.tfrecord")
    found = {}
    for serialized in tf.data.TFRecordDataset(paths):
        example = decode.decode_example(serialized, label_of_class_0=0)
        image_id = example.image_id.numpy().decode()
        found[image_id] = records.Record(
            image_id=image_id,
            encoded=decode.decode_encoded(serialized).numpy(),
            format="png",
            filename="",
            height_px=64,
            width_px=64,
            boxes_yxyx=example.labels.boxes_yxyx.numpy(),
            labels=example.labels.class_ids.numpy().astype(np.int64),
        )
    return [found[image_id] for image_id in sorted(found)][HELD_OUT]


def shaken(scene, number):
    """Returns a scene with every box right at 0.8 and wrong at 0.3, and one at 0.6.

    Boxes that are right at 0.6 are the first of every third scene again, so wrong.
    """
    boxes, labels = scene.boxes_yxyx, scene.labels
    away = np.float32([[0, 0, 2, 2]] * len(boxes))
    again = slice(0, 1 if number % 3 == 0 else 0)
    parts = [(boxes, labels, 0.8), (away, labels, 0.3)]
    parts.append((boxes[again], labels[again], 0.6))
    return dataclasses.replace(
        scene,
        boxes_yxyx=np.concatenate([b for b, _, _ in parts]),
        labels=np.concatenate([part_labels for _, part_labels, _ in parts]),
        scores=np.concatenate([np.full(len(b), s, np.float32) for b, _, s in parts]),
    )


@pytest.fixture
def known(scenes, teacher, tmp_path):
    """Folder of the labels of a teacher who is right exactly from 0.8 on."""
    file = find_model(teacher)
    return write_labels(
        tmp_path / "known",
        [shaken(scene, number) for number, scene in enumerate(scenes)],
        teacher=file.prefix,
        teacher_sha256=file.digest,
        class_names=DIGITS,
    )


def train(digit_records):
    return f"{digit_records}/train/*.tfrecord"


def test_the_noise_that_was_put_in_is_kept_out(known, scenes, digit_records, tmp_path):
    path = str(tmp_path / "thresholds.json")
    found = calibrate(known, train(digit_records), "precision=1", path, min_support=1)
    assert json.loads(open(path).read()) == found
    true = np.bincount(
        np.concatenate([s.labels for s in scenes]).astype(int), minlength=11
    )[1:]
    for name, count in zip(DIGITS, true, strict=True):
        row = found["per_class"][name]
        assert row["true"] == count
        if count:
            assert row["threshold"] == float(np.float32(0.8))
            assert (row["precision"], row["recall"]) == (1.0, 1.0)
            assert row["kept_per_picture"] == count / 12
    everything = found["all_classes"]
    assert everything["true"] == true.sum() > 20
    assert everything["interval"] == [float(np.float32(0.8))] * 2
    assert found["class_names"] == list(DIGITS) and found["pictures"] == 12


def test_a_lower_target_lets_more_in(known, digit_records, tmp_path):
    found = calibrate(
        known,
        train(digit_records),
        "precision=0.5",
        str(tmp_path / "t.json"),
        min_support=1000,
        fallback=0.35,
    )
    assert {row["threshold"] for row in found["per_class"].values()} == {0.35}
    found = calibrate(
        known, train(digit_records), "precision=0.45", str(tmp_path / "t.json")
    )
    # All boxes: as many wrong ones as right ones, and four more.
    assert found["all_classes"]["threshold"] == float(np.float32(0.3))


def test_thresholds_are_of_the_labels_and_the_choice_they_were_made_from(
    known, scenes, teacher, digit_records, tmp_path
):
    path = str(tmp_path / "t.json")
    choice = {"target": "max_f1", "min_support": 3, "fallback": 0.4}
    assert not calibration.is_of(path, known, choice)
    calibrate(known, train(digit_records), output=path, **choice)
    assert calibration.is_of(path, known, choice)
    for name, other in (("target", "match_counts"), ("min_support", 4)):
        assert not calibration.is_of(path, known, choice | {name: other})
    file = find_model(teacher)
    of_fewer = write_labels(
        tmp_path / "fewer",
        [shaken(scene, number) for number, scene in enumerate(scenes[:-1])],
        teacher=file.prefix,
        teacher_sha256=file.digest,
        class_names=DIGITS,
    )
    assert not calibration.is_of(path, of_fewer, choice)


def test_the_same_input_gives_the_same_bytes(known, digit_records, scenes, tmp_path):
    paths = [tmp_path / name for name in ("one.json", "two.json")]
    for path in paths:
        calibrate(known, train(digit_records), "max_f1", str(path), min_support=3)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_rare_classes_borrow_the_threshold_of_all(known, digit_records, tmp_path):
    found = calibrate(
        known, train(digit_records), "max_f1", str(tmp_path / "t"), min_support=4
    )
    rows = found["per_class"].values()
    assert {row["chosen_for"] for row in rows} == {"class", "all classes"}
    assert {row["threshold"] for row in rows} == {float(np.float32(0.8))}


def test_what_the_teacher_has_learned_from_is_no_slice(
    teacher, digit_records, tmp_path
):
    for name, records_, ids in (
        ("human", train(digit_records), ["train_000003", "train_000020"]),
        ("evaluation", f"{digit_records}/val/*.tfrecord", ["val_000001"]),
    ):
        splits.write_ids(tmp_path / f"{name}.txt", ids)
        folder = str(tmp_path / name)
        labeling.label_pictures(
            teacher,
            folder,
            records=records_,
            ids_file=str(tmp_path / f"{name}.txt"),
            score_floor=0.005,
        )
        with pytest.raises(ValueError, match=f"`calibration` and `{name}`.* got 1 of"):
            calibrate(folder, records_, "max_f1", str(tmp_path / "t.json"))
    assert not (tmp_path / "t.json").exists()


def test_of_a_teacher_that_was_a_student_the_pictures_it_chose_count(
    digit_records, student_config, tmp_path
):
    records = train(digit_records)
    splits.write_ids(tmp_path / "ids.txt", ["train_000010", "train_000011"])
    pseudo = dataclasses.replace(
        student_config.pseudo, records=records, ids=str(tmp_path / "ids.txt")
    )
    human = dataclasses.replace(
        student_config.human, ids=str(digit_records / "human.txt")
    )
    config = dataclasses.replace(student_config, human=human, pseudo=pseudo)

    def check(image_id, config=config):
        splits.write_ids(tmp_path / "slice.txt", [image_id])
        calibration.check_unseen((records, str(tmp_path / "slice.txt")), config)

    check("train_000020")
    with pytest.raises(ValueError, match="`calibration` and `pseudo`.* got 1 of 1 and"):
        check("train_000011")
    joint = JointConfig(records=records, images_per_step=2)
    with pytest.raises(
        ValueError, match="`calibration` and `joint`.* got 1 of 1 and 24"
    ):
        check("train_000020", dataclasses.replace(config, joint=joint))


def test_another_name_does_not_hide_a_picture(
    scenes, known, teacher, digit_records, tmp_path
):
    # The bytes of a picture that the teacher was judged on.
    (val,) = list(
        tf.data.TFRecordDataset(
            dataset_info.shard_paths(f"{digit_records}/val/*.tfrecord")
        ).take(1)
    )
    encoded = decode.decode_encoded(val).numpy()
    same = [dataclasses.replace(scenes[0], encoded=encoded), *scenes[1:]]
    write_records(tmp_path / "truth", same, class_names=DIGITS)
    file = find_model(teacher)
    folder = write_labels(
        tmp_path / "labels",
        same,
        teacher=file.prefix,
        teacher_sha256=file.digest,
        class_names=DIGITS,
    )
    with pytest.raises(ValueError, match="`calibration` and `evaluation`.*got 1 of 12"):
        calibrate(folder, f"{tmp_path}/truth/*.tfrecord", "max_f1", f"{tmp_path}/t")


def test_the_truth_must_be_of_the_same_pictures(known, digit_records, scenes, tmp_path):
    with pytest.raises(ValueError, match="does not have 12 of the 12 .*train_00"):
        calibrate(known, f"{digit_records}/test/*.tfrecord", "max_f1", "t.json")
    other = [dataclasses.replace(scenes[0], encoded=scenes[1].encoded), *scenes[1:]]
    write_records(tmp_path / "truth", other, class_names=DIGITS)
    with pytest.raises(ValueError, match="does not have 1 of the 12 .*train_000012"):
        calibrate(known, f"{tmp_path}/truth/*.tfrecord", "max_f1", "t.json")


def test_labels_of_other_classes_are_refused(
    known, scenes, teacher, digit_records, tmp_path
):
    write_records(tmp_path / "truth", scenes, class_names=DIGITS[::-1])
    with pytest.raises(ValueError, match="truth.* has classes 9, 8.*the model has 0"):
        calibrate(known, f"{tmp_path}/truth/*.tfrecord", "max_f1", "t.json")
    file = find_model(teacher)
    folder = write_labels(
        tmp_path / "labels",
        scenes,
        teacher=file.prefix,
        teacher_sha256=file.digest,
        class_names=(*DIGITS, "ten"),
    )
    with pytest.raises(ValueError, match="labels.*has classes 0.*ten"):
        calibrate(folder, train(digit_records), "max_f1", "t.json")


def test_a_teacher_that_was_moved_can_be_named_and_no_other(
    known, teacher, digit_records, tmp_path
):
    moved = tmp_path / "moved"
    shutil.copytree(teacher, moved)
    path = tmp_path / "known" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"teacher": "gone/checkpoints/ckpt-4"}))
    with pytest.raises(ValueError, match="`gone/checkpoints/ckpt-4` holds no checkp"):
        calibrate(known, train(digit_records), "max_f1", "t.json")
    calibrate(
        known, train(digit_records), "max_f1", str(tmp_path / "t"), teacher=str(moved)
    )
    path.write_text(json.dumps(manifest | {"teacher_sha256": "0123456789ab"}))
    with pytest.raises(ValueError, match="but the labels are by 0123456789ab"):
        calibrate(known, train(digit_records), "max_f1", "t.json", teacher=str(moved))


def test_labels_that_are_not_finished_are_refused(known, digit_records, tmp_path):
    (tmp_path / "known" / "manifest.json").unlink()
    with pytest.raises(ValueError, match="manifest.json: missing"):
        calibrate(known, train(digit_records), "max_f1", "t.json")
