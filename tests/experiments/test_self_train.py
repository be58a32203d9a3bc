"""What the whole procedure promises: every stage once, and an honest report."""

import dataclasses
import json
import shutil

import pytest

from st_keras import config as config_lib
from st_keras.experiments import data_checks, stages
from st_keras.experiments.ledger import Cost, Ledger
from st_keras.experiments.self_train import self_train


@pytest.fixture(scope="module")
def finished(student_yaml, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("self_train")
    # As the demo has it.
    overrides = ["training.steps=4", "self_training.student_init=teacher"]
    config = config_lib.load(student_yaml, overrides)
    return config, workdir, self_train(config, str(workdir), iterations=2)


def test_the_report_holds_what_the_readme_promises(finished):
    _, workdir, report = finished
    assert json.loads((workdir / "report.json").read_text()) == report
    for role in ("teacher", "student", "control"):
        assert 0 <= report[role]["AP"] <= 100
        assert report[role]["protocol"]["pictures"] == 6
    assert 0 <= report["pseudo_labels"]["precision"] <= 1
    assert 0 <= report["pseudo_labels"]["recall"] <= 1
    assert set(report["ledger"]) >= {"teacher", "labels_1", "student_2", "control"}
    assert len(report["students"]) == 2


def test_the_control_takes_as_many_steps_as_teacher_and_students_together(finished):
    _, _, report = finished
    assert report["teacher"]["steps"] == 4
    assert report["control"]["steps"] == 4 + 2 * 4
    # Six pictures a step in each: the student's 4 human and 2 pseudo ones.
    assert report["control"]["images_seen"] == 12 * 6
    assert report["student"]["images_seen"] == 4 * 6


def test_the_ledger_counts_what_every_stage_was_shown(finished):
    _, _, report = finished
    costs = report["ledger"]
    # 6 pictures a step, 4 steps; the teachers label 15 pictures, looked at once.
    assert costs["teacher"]["images"] == costs["student_1"]["images"] == 24
    assert costs["labels_1"]["images"] == costs["labels_2"]["images"] == 15
    forward = costs["labels_1"]["multiply_adds"] // 15
    assert forward > 1_000_000
    # A picture of a step takes three passes, one that is labelled takes one.
    assert costs["teacher"]["multiply_adds"] == 3 * 24 * forward
    assert costs["control"]["multiply_adds"] == 3 * 72 * forward
    assert report["student"]["total"]["steps"] == report["control"]["steps"] == 12
    passes = 3 * 72 + 2 * 15
    assert report["student"]["total"]["multiply_adds"] == passes * forward
    assert report["student"]["total"]["device_seconds"] > 0


def test_each_student_starts_from_the_model_that_labelled_for_it(finished):
    _, workdir, _ = finished
    for number, before in ((1, "teacher"), (2, "student_1")):
        config = config_lib.load(str(workdir / f"student_{number}" / "config.yaml"))
        assert config.init.checkpoint == str(workdir / before)
        assert config.pseudo.records == f"{workdir}/labels_{number}/*.tfrecord"


def test_a_second_call_runs_no_stage_again(finished, monkeypatch):
    config, workdir, report = finished

    def fail(*_, **__):
        raise AssertionError("A finished stage was run again.")

    monkeypatch.setattr(stages.labeling, "restore_run", fail)
    monkeypatch.setattr(stages.evaluate, "evaluate_run", fail)
    assert self_train(config, str(workdir), iterations=2) == report


def test_another_threshold_stops_at_the_student_it_would_change(finished):
    """Teacher and labels stay; only `student_1` has to be deleted."""
    config, workdir, report = finished
    pseudo = dataclasses.replace(config.pseudo, min_score=0.61)
    changed = dataclasses.replace(config, pseudo=pseudo)
    with pytest.raises(ValueError, match="/student_1: holds a run with other settings"):
        self_train(changed, str(workdir), iterations=2)
    with pytest.raises(ValueError, match=f"{workdir}: holds a run with .*seed: 9"):
        self_train(dataclasses.replace(config, seed=9), str(workdir), iterations=2)
    assert config_lib.load(str(workdir / "config.yaml")) == config
    assert self_train(config, str(workdir), iterations=2) == report


def test_a_report_is_set_aside_while_another_student_is_trained(
    finished, tmp_path, monkeypatch
):
    config, workdir, _ = finished
    there = shutil.copytree(workdir, tmp_path / "w")
    shutil.rmtree(there / "student_1")
    monkeypatch.setattr(stages, "train", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        self_train(config, str(there), iterations=2)
    assert not (there / "report.json").exists()
    old = (workdir / "report.json").read_bytes()
    assert (there / "report_before.json").read_bytes() == old


def test_numbers_of_a_test_set_that_has_changed_are_not_shown_again(finished):
    config, workdir, report = finished
    path = workdir / "control" / "test.json"
    text = path.read_text()
    result = json.loads(text)
    for changed in ("records_sha256", "ids_sha256"):
        path.write_text(json.dumps(result | {changed: "0a"}))
        with pytest.raises(ValueError, match=r"test.json: .*`test` .* have changed"):
            self_train(config, str(workdir), iterations=2)
    path.write_text(text)
    assert self_train(config, str(workdir), iterations=2) == report


def test_the_cost_of_a_stage_that_was_made_anew_is_the_new_one(finished):
    config, workdir, report = finished
    ledger = Ledger(workdir)
    cost = ledger.rows()["control"]
    # As if it had been deleted, and the one that is there were another.
    ledger.note("control", Cost(images=7, steps=1, device_seconds=0.5))
    assert self_train(config, str(workdir), iterations=2) == report
    assert ledger.rows()["control"] == cost


def test_stages_are_told_apart_by_their_role(finished):
    _, workdir, _ = finished
    roles = {
        name: json.loads((workdir / name / "summary.json").read_text())["role"]
        for name in ("teacher", "student_1", "student_2", "control")
    }
    assert roles == {
        "teacher": "teacher",
        "student_1": "student",
        "student_2": "student",
        "control": "teacher",
    }


def test_a_config_without_the_parts_is_refused(teacher_config, tmp_path):
    with pytest.raises(ValueError, match="`self_training` and the `pseudo` part"):
        self_train(teacher_config, str(tmp_path))


def test_a_set_that_a_later_stage_cannot_read_is_refused_before_the_first(
    student_config, digit_records, tmp_path
):
    for split in ("train", "test"):
        shutil.copytree(digit_records / split, tmp_path / split)
    (tmp_path / "test" / "records-00000-of-00001.tfrecord").write_bytes(b"")
    for settings in (
        {"test_records": f"{tmp_path}/test/*.tfrecord"},
        {"test_records": f"{tmp_path}/test"},
    ):
        parts = dataclasses.replace(student_config.self_training, **settings)
        config = dataclasses.replace(student_config, self_training=parts)
        with pytest.raises(ValueError, match="/test"):
            self_train(config, str(tmp_path / "w"))
    assert not (tmp_path / "w" / "teacher").exists()


def test_excluded_pictures_do_not_count_as_learned_from(student_config, digit_records):
    records = student_config.human.records
    parts = dataclasses.replace(
        student_config.self_training, unlabeled_records=records, unlabeled_ids=""
    )
    config = dataclasses.replace(student_config, self_training=parts)
    with pytest.raises(ValueError, match="`human` and `unlabeled`"):
        data_checks.check_before(config)
    pseudo = dataclasses.replace(config.pseudo, exclude=config.human.ids)
    data_checks.check_before(dataclasses.replace(config, pseudo=pseudo))
