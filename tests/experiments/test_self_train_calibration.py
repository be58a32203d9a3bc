"""What a calibration on the way from teacher to student promises."""

import json

import pytest

from st_keras import config as config_lib
from st_keras.data import splits
from st_keras.experiments import report as report_module
from st_keras.experiments import self_train as module
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
        "training.steps=4",
        f"human.ids={parts}/human.txt",
        f"pseudo.exclude={parts}/excluded.txt",
        "self_training.calibration.target=match_counts",
        f"self_training.calibration.ids={parts}/slice.txt",
        "self_training.calibration.min_support=3",
    ]


@pytest.fixture(scope="module", params=["detection", "segmentation"])
def finished(request, student_yaml, segmentation_yaml, overrides, tmp_path_factory):
    path = student_yaml if request.param == "detection" else segmentation_yaml
    workdir = tmp_path_factory.mktemp("self_train")
    config = config_lib.load(path, overrides)
    return config, workdir, self_train(config, str(workdir), iterations=2)


def test_each_student_has_the_thresholds_of_its_own_teacher(finished):
    _, workdir, _ = finished
    for number in (1, 2):
        student = config_lib.load(str(workdir / f"student_{number}" / "config.yaml"))
        path = workdir / f"thresholds_{number}.json"
        assert student.pseudo.thresholds == str(path)
        found = json.loads(path.read_text())
        manifest = json.loads((workdir / f"labels_{number}/manifest.json").read_text())
        assert found["teacher_sha256"] == manifest["teacher_sha256"]
        assert found["pictures"] == 3
        scores = min_scores(student.pseudo, build_task(student))
        assert len(scores) == len(found["class_names"]) and max(scores) > 0.0


def test_the_report_tells_the_thresholds_and_what_they_keep(finished):
    config, workdir, report = finished
    assert json.loads((workdir / "report.json").read_text()) == report
    path = workdir / "thresholds_2.json"
    assert report["thresholds"] == json.loads(path.read_text())
    pseudo = report["pseudo_labels"]
    assert pseudo["min_score"] is None and len(pseudo["thresholds"]) == 19
    assert "at the calibrated thresholds" in pseudo["sentence"]
    assert pseudo["images"] == 14  # Of 15; one is excluded.
    text = open(report_module.write_html(str(workdir))).read()
    assert "Threshold of each class" in text and "match_counts" in text
    assert "chosen:" not in text and "Pictures are not shown" not in text


def test_a_second_call_runs_no_stage_again(finished, monkeypatch):
    config, workdir, report = finished

    def fail(*_, **__):
        raise AssertionError("A finished stage was run again.")

    monkeypatch.setattr(module.labeling, "restore_run", fail)
    monkeypatch.setattr(module.calibration, "calibrate", fail)
    monkeypatch.setattr(module.evaluate, "evaluate_run", fail)
    assert self_train(config, str(workdir), iterations=2) == report
