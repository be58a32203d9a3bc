"""What a run promises whose teacher is its own average."""

import dataclasses

import numpy as np
import pytest

from st_keras import config as config_lib
from st_keras.data import dataset_info
from st_keras.data.skipping import SkipLog
from st_keras.data.unlabeled import RecordPictures
from st_keras.runtime.run_log import read_rows
from st_keras.training.loop import train
from tests.record_files import write_records
from tests.training.test_loop import assert_same_run, final_weights


@pytest.fixture(scope="module")
def online_student(student_yaml, digit_records, tmp_path_factory):
    """Config of a student of a teacher that was trained for two steps."""
    teacher = str(tmp_path_factory.mktemp("teacher"))
    shared = ["self_training=null", "evaluation.records=''"]
    short = ["pseudo=null", "training.steps=2"]
    train(config_lib.load(student_yaml, [*shared, *short]), teacher)
    return config_lib.load(
        student_yaml,
        [
            *(*shared, "pseudo.online=true", "training.steps=4"),
            f"pseudo.records={digit_records}/train/*.tfrecord",
            f"pseudo.ids={digit_records}/rest.txt",
            *("init.kind=teacher", f"init.checkpoint={teacher}"),
        ],
    )


@pytest.fixture(scope="module")
def finished(online_student, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("online")
    return workdir, train(online_student, str(workdir))


def test_it_is_a_student_like_any_other(finished):
    workdir, summary = finished
    assert summary["role"] == "student"
    assert summary["pictures"]["pseudo"]["pictures"] == 15
    rows = [row for row in read_rows(workdir) if "loss" in row]
    for name in ("pseudo/class", "pseudo/box", "blend/ratio"):
        assert all(np.isfinite(row[name]) for row in rows), name
    assert {"model", "averaged", "blend"} <= {
        name.split("/")[0] for name in final_weights(workdir)
    }


@pytest.mark.slow
def test_labels_of_its_pictures_are_not_read(finished, online_student, tmp_path):
    # The same pictures without labels, and even without a list of classes.
    pictures = RecordPictures(online_student.pseudo.records)
    bare = pictures.read(0, pictures.positions, SkipLog())
    write_records(tmp_path / "bare", bare)
    assert not dataset_info.load(f"{tmp_path}/bare/*.tfrecord").class_names
    pseudo = dataclasses.replace(
        online_student.pseudo, records=f"{tmp_path}/bare/*.tfrecord"
    )
    train(dataclasses.replace(online_student, pseudo=pseudo), str(tmp_path / "run"))
    assert_same_run(finished[0], tmp_path / "run")
