"""What is refused before a teacher, although only its student would fail."""

import dataclasses
import pathlib
import shutil

import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.experiments import data_checks
from st_keras.experiments.data_checks import check_before

# Together eight, which two replicas or slices share.
ODD = ("human.images_per_step=5", "pseudo.images_per_step=3")


def test_parts_of_a_step_that_slices_cannot_share_are_refused(student_yaml):
    check_before(config_lib.load(student_yaml, ODD))
    config = config_lib.load(student_yaml, [*ODD, "training.accumulation_steps=2"])
    with pytest.raises(ValueError, match="`human.images_per_step` is 5 but .* 2 slic"):
        check_before(config)
    check_before(config, labels=False)  # There is no student.


def test_parts_of_a_step_that_gpus_cannot_share_are_refused(student_yaml, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: ["one", "two"])
    check_before(config_lib.load(student_yaml, ODD))
    config = config_lib.load(student_yaml, [*ODD, "runtime.strategy=mirrored"])
    with pytest.raises(ValueError, match="`human.images_per_step` is 5 but .* 2 repl"):
        check_before(config)


@pytest.mark.parametrize("teacher_joint", ["true", "false"])
def test_classes_of_pictures_that_cannot_be_learned_are_refused(
    joint_yaml, digit_records, tmp_path, teacher_joint
):
    def check(records):
        overrides = [f"joint.records={records}", *alone]
        check_before(config_lib.load(joint_yaml, overrides))

    alone = [f"self_training.teacher_joint={teacher_joint}"]
    there = pathlib.Path(config_lib.load(joint_yaml).joint.records).parent
    check(f"{there}/*.tfrecord")
    with pytest.raises(ValueError, match="`joint.records` .* no classes of pictures"):
        check(f"{digit_records}/train/*.tfrecord")
    shutil.copytree(there, tmp_path / "cut")
    next((tmp_path / "cut").glob("*.tfrecord")).unlink()
    with pytest.raises(ValueError, match=f"{tmp_path}/cut"):
        check(f"{tmp_path}/cut/*.tfrecord")


def test_a_report_is_about_the_chosen_pictures_of_the_test_records(student_config):
    parts = dataclasses.replace(student_config.self_training, test_ids="some.txt")
    config = dataclasses.replace(student_config, self_training=parts)
    assert data_checks.test_set(config) == (parts.test_records, "some.txt")
