"""The whole procedure for whole pictures, and a detector that starts from its end."""

import json

import numpy as np
import pytest

from st_keras import config as config_lib
from st_keras.experiments import report as report_module
from st_keras.experiments import showing, tables
from st_keras.experiments.self_train import self_train
from st_keras.runtime.inference import Predictor
from st_keras.runtime.restored import restore_run
from st_keras.runtime.serving import Serving
from st_keras.self_training.batches import Batches
from st_keras.tasks import build_task
from st_keras.training.loop import train
from tests import patterns


@pytest.fixture(scope="module")
def config(classification_yaml):
    learns = ["training.steps=40", "training.steps_per_loop=10", "pseudo.min_score=0.4"]
    learns += ["optimization.learning_rate=0.01", "optimization.ema_decay=0.5"]
    learns += ["classification.batch_norm_momentum=0.8", "self_training.control=false"]
    return config_lib.load(classification_yaml, learns)


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("self_train")
    return workdir, self_train(config, str(workdir))


def test_the_report_has_the_numbers_of_the_task(finished):
    workdir, report = finished
    assert json.loads((workdir / "report.json").read_text()) == report
    assert report["headline"] == "top1"
    for role in ("teacher", "student"):
        assert 0 <= report[role]["top1"] <= 100
        assert list(report[role]["per_class"]) == list(patterns.NAMES)
    assert report["student"]["top1"] > 100 / 3  # What guessing gives.
    pseudo = report["pseudo_labels"]
    assert pseudo["images"] == 27
    assert pseudo["accuracy"] > 1 / 3
    assert pseudo["human"] == {"coverage": 1.0}
    assert "top1" in tables.format_table(report)


def test_every_picture_has_a_class_with_its_score_in_the_records(finished):
    workdir, _ = finished
    info = json.loads((workdir / "labels_1" / "dataset.json").read_text())
    assert info["image_class_names"] == list(patterns.NAMES)
    assert info["class_names"] == []
    assert sum(info["images_per_class"].values()) == 27


def test_the_student_learns_what_its_teacher_was_sure_of(finished):
    workdir, _ = finished
    config = config_lib.load(str(workdir / "student_1" / "config.yaml"))
    batches = Batches(config, build_task(config))
    parts = next(iter(batches.from_step(0, replicas=1, replicas_here=range(1))))
    labels = parts["pseudo"].labels
    expected = np.asarray(labels.scores) >= 0.4
    np.testing.assert_array_equal(np.asarray(labels.weights) > 0, expected)
    assert np.all(parts["human"].labels.weights == 1)


@pytest.mark.slow
def test_a_page_and_sheets_tell_of_it(finished, config, tmp_path):
    workdir, _ = finished
    text = open(report_module.write_html(str(workdir))).read()
    assert "Coverage and accuracy" in text
    assert "Pictures are not shown" not in text
    student, test = str(workdir / "student_1"), config.self_training.test_records
    for said in (
        showing.show_records(f"{workdir}/labels_1/*.tfrecord", f"{tmp_path}/r.png"),
        showing.show_batches(config, f"{tmp_path}/b.png", count=2),
        showing.show_predictions(student, test, f"{tmp_path}/p.png", count=2),
    ):
        assert "records of" in said or "pictures of" in said


def test_a_served_model_says_what_evaluation_reads(finished):
    workdir, _ = finished
    run = restore_run(str(workdir / "student_1"))
    serving = Serving(run.task, run.model)
    pictures = [patterns.record("test", number) for number in range(3)]
    predictor = Predictor(run.task, run.model)
    for picture, seen in predictor.over_pictures(pictures, batch_size=2):
        served = serving.functions["image_bytes"](np.array([picture.encoded]))
        probabilities = served["probs"].numpy()[0]
        assert probabilities.sum() == pytest.approx(1, rel=1e-4)
        order = np.argsort(-probabilities, kind="stable")
        np.testing.assert_array_equal(seen.class_ids, order)
        np.testing.assert_allclose(seen.scores, probabilities[order], rtol=1e-4)


@pytest.mark.slow
def test_a_detector_starts_from_the_backbone_of_a_run(
    finished, teacher_config, tmp_path
):
    workdir, _ = finished
    settings = config_lib.to_dict(teacher_config)
    settings["init"] = {"kind": "imagenet", "checkpoint": str(workdir / "student_1")}
    # Nothing moves, so what it started with is what it ends with.
    settings["optimization"] |= {"learning_rate": 1e-30, "ema_decay": 0.0}
    settings["optimization"]["weight_decay"] = 0.0
    settings["training"]["steps"] = 1
    settings["evaluation"]["records"] = ""
    train(config_lib.from_dict(settings), str(tmp_path / "detector"))
    detector = restore_run(str(tmp_path / "detector")).model
    classifier = restore_run(str(workdir / "student_1")).model
    ours, theirs = (
        m.get_layer("backbone").trainable_variables for m in (detector, classifier)
    )
    assert len(ours) == len(theirs) > 20
    for one, other in zip(ours, theirs, strict=True):
        assert one.name == other.name
        np.testing.assert_array_equal(one, other)
