"""What a calibration on the way from teacher to student promises."""

import json

import pytest

from st_keras import config as config_lib
from st_keras.data import splits
from st_keras.experiments import report as report_module
from st_keras.experiments import stages
from st_keras.experiments.self_train import self_train
from st_keras.self_training.selection import min_scores
from st_keras.tasks import build_task


def ids(first, last):
    return [f"train_{number:06d}" for number in range(first, last)]


@pytest.fixture(scope="module")
def parts(digit_records, tmp_path_factory):
    """Folder with id files: 6 pictures are learned from, 3 calibrate, 14 are rest."""
    folder = tmp_path_factory.mktemp("parts")
    splits.write_ids(folder / "human.txt", ids(0, 6))
    splits.write_ids(folder / "slice.txt", ids(6, 9))
    splits.write_ids(folder / "excluded.txt", ids(12, 13))
    return folder


@pytest.fixture(scope="module")
def overrides(parts):
    return [
        *("training.steps=4", "self_training.control=false"),
        f"human.ids={parts}/human.txt",
        f"pseudo.exclude={parts}/excluded.txt",
        "self_training.calibration.target=match_counts",
        f"self_training.calibration.ids={parts}/slice.txt",
        "self_training.calibration.min_support=3",
    ]


@pytest.fixture(scope="module")
def finished(student_yaml, overrides, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("self_train")
    config = config_lib.load(student_yaml, overrides)
    return config, workdir, self_train(config, str(workdir))


def check_report(workdir, report, number):
    """What a report tells of thresholds, whatever the task."""
    assert json.loads((workdir / "report.json").read_text()) == report
    path = workdir / f"thresholds_{number}.json"
    assert report["thresholds"] == json.loads(path.read_text())
    pseudo = report["pseudo_labels"]
    assert pseudo["min_score"] is None and len(pseudo["thresholds"]) == 19
    assert "at the calibrated thresholds" in pseudo["sentence"]
    assert pseudo["images"] == 14  # Of 15; one is excluded.
    text = open(report_module.write_html(str(workdir))).read()
    assert "Threshold of each class" in text and "match_counts" in text
    assert "chosen:" not in text and "Pictures are not shown" not in text


def check_thresholds(workdir, numbers):
    """Each student learns by the thresholds that its teacher's slice has given."""
    for number in numbers:
        student = config_lib.load(str(workdir / f"student_{number}" / "config.yaml"))
        path = workdir / f"thresholds_{number}.json"
        assert student.pseudo.thresholds == str(path)
        found = json.loads(path.read_text())
        manifest = json.loads((workdir / f"labels_{number}/manifest.json").read_text())
        assert found["teacher_sha256"] == manifest["teacher_sha256"]
        assert found["pictures"] == 3
        scores = min_scores(student.pseudo, build_task(student))
        assert len(scores) == len(found["class_names"]) and max(scores) > 0.0


def test_a_student_has_the_thresholds_of_its_teacher(finished):
    check_thresholds(finished[1], [1])


@pytest.mark.slow
def test_each_student_has_the_thresholds_of_its_own_teacher(finished, tmp_path):
    config, _, _ = finished
    report = self_train(config, str(tmp_path), iterations=2)
    check_thresholds(tmp_path, [1, 2])
    check_report(tmp_path, report, 2)


def test_the_report_tells_the_thresholds_and_what_they_keep(finished):
    _, workdir, report = finished
    check_report(workdir, report, 1)


def test_a_second_call_runs_no_stage_again(finished, monkeypatch):
    config, workdir, report = finished

    def fail(*_, **__):
        raise AssertionError("A finished stage was run again.")

    monkeypatch.setattr(stages.labeling, "restore_run", fail)
    monkeypatch.setattr(stages.calibration, "calibrate", fail)
    monkeypatch.setattr(stages.evaluate, "evaluate_run", fail)
    assert self_train(config, str(workdir)) == report


@pytest.mark.slow
def test_label_maps_are_calibrated_the_same_way(segmentation_yaml, overrides, tmp_path):
    config = config_lib.load(segmentation_yaml, overrides)
    report = self_train(config, str(tmp_path))
    check_report(tmp_path, report, 1)
    assert report["thresholds"]["unit"] == "pixels"
    assert report["thresholds"]["support_unit"] == "pictures"


def test_pictures_that_calibrate_are_in_no_other_set(
    student_yaml, overrides, parts, tmp_path
):
    for name, wrong in (
        ("human", "human.ids=''"),
        ("human", f"human.ids={parts}/slice.txt"),
        ("unlabeled", f"self_training.unlabeled_ids={parts}/slice.txt"),
    ):
        config = config_lib.load(student_yaml, [*overrides, wrong])
        with pytest.raises(ValueError, match=f"`.*{name}.*` must have no picture in"):
            self_train(config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_thresholds_of_a_teacher_of_before_are_refused(
    student_yaml, overrides, tmp_path
):
    config = config_lib.load(student_yaml, [*overrides, "pseudo.thresholds=old.json"])
    with pytest.raises(ValueError, match="set `self_training.calibration` for those"):
        self_train(config, str(tmp_path / "run"))


def test_ids_of_labels_that_are_still_to_be_made_are_refused(
    student_yaml, overrides, tmp_path
):
    config = config_lib.load(student_yaml, [*overrides, "pseudo.ids=some.txt"])
    with pytest.raises(ValueError, match="`self_training.unlabeled_ids` says of which"):
        self_train(config, str(tmp_path / "run"))


def test_a_list_of_other_pictures_is_refused_before_a_teacher_is_trained(
    student_yaml, overrides, tmp_path
):
    (tmp_path / "exclude.txt").write_text("photo_1\nphoto_2\n")
    wrong = f"pseudo.exclude={tmp_path}/exclude.txt"
    config = config_lib.load(student_yaml, [*overrides, wrong])
    with pytest.raises(ValueError, match="2 of 2 ids to exclude are not in"):
        self_train(config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
