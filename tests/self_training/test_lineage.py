"""Which pictures a model has seen, in its own run and in those before it."""

import dataclasses
import shutil

import pytest

from st_keras import config as config_lib
from st_keras.config import InitConfig, PseudoConfig
from st_keras.data import splits
from st_keras.runtime.run_log import write_json
from st_keras.self_training import lineage


@pytest.fixture
def runs(teacher_config, digit_records, tmp_path):
    """Config of a third run, after a second and a first with other pictures.

    Each begins with the weights of the one before.
    """

    def write(name, ids, **changes):
        splits.write_ids(tmp_path / f"{name}.txt", ids)
        human = dataclasses.replace(
            teacher_config.human, ids=str(tmp_path / f"{name}.txt")
        )
        config = dataclasses.replace(teacher_config, human=human, **changes)
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        config_lib.save(config, str(tmp_path / name / "config.yaml"))
        return InitConfig(kind="teacher", checkpoint=str(tmp_path / name))

    first = write("first", ["train_000001", "train_000002"])
    second = write("second", ["train_000003"], init=first)
    return dataclasses.replace(teacher_config, init=second)


def started_from(config, checkpoint, kind="teacher"):
    init = InitConfig(kind=kind, checkpoint=str(checkpoint))
    return dataclasses.replace(config, init=init)


def judged(digit_records, tmp_path, *ids):
    splits.write_ids(tmp_path / "judged.txt", list(ids))
    return {
        "test": (f"{digit_records}/train/*.tfrecord", str(tmp_path / "judged.txt")),
        "evaluation": ("", ""),
    }


def test_what_a_run_before_the_one_before_has_seen_is_refused(
    runs, digit_records, tmp_path
):
    lineage.check_runs_before(judged(digit_records, tmp_path, "train_000004"), runs)
    for picture, run in (("train_000002", "first"), ("train_000003", "second")):
        with pytest.raises(
            ValueError, match=f"human of .*/{run}` and `test` .*{picture}"
        ):
            lineage.check_runs_before(judged(digit_records, tmp_path, picture), runs)


def test_a_prefix_of_a_checkpoint_will_do(runs, digit_records, tmp_path):
    for inside in ("checkpoints", "checkpoints/ckpt-4", "checkpoints/ckpt-4.index"):
        with pytest.raises(ValueError, match="human of .*/first` and `test`"):
            lineage.check_runs_before(
                judged(digit_records, tmp_path, "train_000002"),
                started_from(runs, f"{runs.init.checkpoint}/{inside}"),
            )


def test_what_the_teacher_of_the_labels_has_seen_is_refused(
    runs, digit_records, tmp_path
):
    labels = tmp_path / "labels"
    shutil.copytree(digit_records / "val", labels)
    pseudo = PseudoConfig(records=f"{labels}/*.tfrecord", images_per_step=2)
    student = dataclasses.replace(runs, init=InitConfig(), pseudo=pseudo)
    sets = judged(digit_records, tmp_path, "train_000002")
    lineage.check_runs_before(sets, student)  # Nobody says who wrote them.
    write_json(labels / "manifest.json", {"teacher": runs.init.checkpoint})
    with pytest.raises(ValueError, match="human of .*/first` and `test`"):
        lineage.check_runs_before(sets, student)


def test_what_cannot_be_known_is_said_and_no_error(
    runs, digit_records, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(lineage.logging, "warning", lambda text, *_: said.append(text))
    sets = judged(digit_records, tmp_path, "train_000002")
    file = tmp_path / "published.h5"
    lineage.check_runs_before(sets, started_from(runs, file, kind="imagenet"))
    assert not said  # A published file tells nothing, and need not.
    (tmp_path / "first.txt").unlink()
    lineage.check_runs_before(sets, runs)
    assert len(said) == 1 and "cannot be told" in said[0]


def test_labels_that_are_gone_tell_nothing_of_their_teacher(
    runs, digit_records, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(
        lineage.logging, "warning", lambda text, *about: said.append(text % about)
    )
    gone = f"{tmp_path}/gone/*.tfrecord"
    pseudo = PseudoConfig(records=gone, images_per_step=2)
    student = dataclasses.replace(runs, pseudo=pseudo)
    lineage.check_runs_before(judged(digit_records, tmp_path, "train_000004"), student)
    assert len(said) == 1
    assert said[0].startswith(f"Whether the teacher of `{gone}` has learned from")
    # Of the others it is known.
    with pytest.raises(ValueError, match="human of .*/first` and `test`"):
        lineage.check_runs_before(
            judged(digit_records, tmp_path, "train_000002"), student
        )


def test_runs_that_name_each_other_are_looked_at_once(runs, digit_records, tmp_path):
    path = tmp_path / "first" / "config.yaml"
    first = dataclasses.replace(config_lib.load(str(path)), init=runs.init)
    config_lib.save(first, str(path))
    lineage.check_runs_before(judged(digit_records, tmp_path, "train_000004"), runs)


def test_a_finished_student_needs_no_labels_to_leave_pictures_out_of(student_config):
    pseudo = dataclasses.replace(
        student_config.pseudo, records="gone/*.tfrecord", exclude="gone/exclude.txt"
    )
    config = dataclasses.replace(student_config, pseudo=pseudo)
    assert lineage.learned_from(config)["pseudo"] == ("gone/*.tfrecord", "")
