"""The whole procedure for the other task: the same stages, other numbers."""

import json

import numpy as np
import pytest

from st_keras import config as config_lib
from st_keras.data import pipeline
from st_keras.experiments import report as report_module
from st_keras.experiments import tables
from st_keras.experiments.self_train import self_train
from st_keras.runtime.restored import restore_run
from st_keras.runtime.run_log import read_rows
from st_keras.training.evaluate import evaluate_run, read_labels

# To say more than the most frequent class, with an average that follows.
LONG_ENOUGH = [
    "training.steps=40",
    "optimization.learning_rate=0.01",
    "optimization.ema_decay=0.5",
]


@pytest.fixture(scope="module")
def finished(segmentation_yaml, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("self_train")
    config = config_lib.load(segmentation_yaml, LONG_ENOUGH)
    return config, workdir, self_train(config, str(workdir))


def test_the_report_has_the_numbers_of_the_task(finished):
    _, workdir, report = finished
    assert json.loads((workdir / "report.json").read_text()) == report
    assert report["headline"] == "mIoU"
    for role in ("teacher", "student", "control"):
        assert 0 <= report[role]["mIoU"] <= 100
        assert len(report[role]["per_class"]) == 11
        assert report[role]["protocol"]["scales"] == [1.0]
    pseudo = report["pseudo_labels"]
    assert 0 < pseudo["coverage"] <= 1 and 0 <= pseudo["accuracy"] <= 1
    assert len(pseudo["thresholds"]) == 19
    assert pseudo["human"] == {"coverage": 1.0}


def test_the_teacher_labels_with_more_views_than_are_judged(finished):
    _, workdir, _ = finished
    manifest = json.loads((workdir / "labels_1" / "manifest.json").read_text())
    assert manifest["protocol"]["scales"] == [0.75, 1.5]
    assert manifest["protocol"]["mirrored_too"]
    assert manifest["pictures"] == 15
    labels = json.loads((workdir / "labels_1" / "dataset.json").read_text())
    # Every pixel has a class, and how sure the teacher is stands beside it.
    assert labels["ignored_pixels"] == 0
    assert sum(labels["pixels_per_class"].values()) == 15 * 64 * 64


def test_every_pixel_has_a_label_and_its_confidence_in_the_records(finished):
    _, workdir, _ = finished
    run = restore_run(str(workdir / "student_1"))
    source = pipeline.open_source(f"{workdir}/labels_1/*.tfrecord", None, 0)
    confidences = []
    for _, labels in read_labels(run.task, source):
        assert labels.class_ids.shape == (64, 64)
        assert labels.class_ids.max() < 11
        confidences.append(labels.confidences)
    # A mean of probabilities of 11 classes: never under 1/11 for the highest.
    assert np.min(confidences) >= 255 // 11
    assert len(np.unique(confidences)) > 20


def test_the_student_learns_from_both(finished):
    _, workdir, _ = finished
    rows = read_rows(workdir / "student_1")
    assert {"human/pixel", "pseudo/pixel", "blend/ratio"} <= set(rows[0])
    assert all(np.isfinite(row["loss"]) for row in rows if "loss" in row)


def test_a_page_tells_of_it(finished):
    _, workdir, report = finished
    text = open(report_module.write_html(str(workdir))).read()
    assert "Coverage and accuracy" in text
    assert "mIoU" in text and "Boxes per picture" not in text
    assert "Pictures are not shown" not in text
    assert "mIoU" in tables.format_table(report)


def test_a_model_can_be_judged_as_thoroughly_as_it_labels(finished, digit_records):
    _, workdir, report = finished
    run = restore_run(str(workdir / "teacher"), purpose="labeling")
    result = evaluate_run(run, f"{digit_records}/test/*.tfrecord")
    assert result["protocol"]["scales"] == [0.75, 1.5]
    assert report["teacher"]["protocol"]["scales"] == [1.0]
    assert result["metrics"]["pixel_accuracy"] > 50
