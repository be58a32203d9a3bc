"""Settings of a run reach whatever they are about, as a short run shows."""

import dataclasses
import types

import pytest

from st_keras import config as config_lib
from st_keras.data import dataset_info, splits
from st_keras.runtime import strategy as strategies
from st_keras.tasks import build_task, with_class_names
from st_keras.training import evaluate, loop

JUDGED = ["val_000001", "val_000003"]


@pytest.fixture(scope="module")
def seen(digit_records, student_yaml, tmp_path_factory):
    """What a run of four steps gave to its parts."""
    folder = tmp_path_factory.mktemp("settings")
    splits.write_ids(folder / "judged.txt", JUDGED, "two of five")
    config = config_lib.load(
        student_yaml,
        [
            *("pseudo=null", "self_training=null", "training.steps=4"),
            *("human.images_per_step=6", "evaluation.images_per_step=2"),
            f"evaluation.ids={folder}/judged.txt",
            "runtime.precision=mixed_bfloat16",
        ],
    )
    seen = types.SimpleNamespace(labeled=[], watched=[], warned=[])

    class Watch:
        def __init__(self, *, normalize, rows):
            seen.normalize = normalize

        def add(self, step, values):
            seen.watched.append((step, sorted(values)))
            return f"too hard at {step}"

    def judge(task, predictor, source, *, batch_size):
        seen.source, seen.batch_size = source, batch_size
        seen.precision = predictor._model.compute_dtype
        return {"AP": 12.5}

    def check_labeled(task, records):
        seen.labeled.append(records)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.warnings_of_run, "PseudoLossWatch", Watch)
        patch.setattr(loop.preflight, "check_labeled", check_labeled)
        patch.setattr(loop, "evaluate_model", judge)
        patch.setattr(loop.logging, "warning", seen.warned.append)
        seen.summary = loop.train(config, str(folder / "run"))
    strategies.configure(dataclasses.replace(config.runtime, precision="float32"))
    seen.config = config
    return seen


def test_a_run_is_judged_by_the_pictures_that_were_chosen_for_it(seen):
    assert (seen.source.count, seen.source.ids) == (2, tuple(JUDGED))
    assert seen.batch_size == 2
    assert seen.summary["metrics"] == {"AP": 12.5}
    assert seen.summary["pictures"]["evaluation"]["pictures"] == 2


def test_its_model_computes_in_the_runs_precision(seen):
    assert seen.precision == "bfloat16"


def test_its_records_must_have_labels(seen):
    assert seen.labeled == [seen.config.human.records, seen.config.evaluation.records]


def test_every_row_of_its_log_is_watched_and_what_is_found_is_said(seen):
    assert [step for step, _ in seen.watched] == [2, 4]
    assert all("human/loss" in names for _, names in seen.watched)
    assert seen.normalize is False  # There is no pseudo part.
    assert "too hard at 4" in seen.warned


def test_averages_of_replicas_agree_before_they_are_saved_and_judged(
    classification_yaml, tmp_path, monkeypatch
):
    order = []

    def kept(name, function):
        def call(*args, **kwargs):
            order.append(name)
            return function(*args, **kwargs)

        return call

    agree = kept("agree", loop.moving_averages.agree)
    monkeypatch.setattr(loop.moving_averages, "agree", agree)
    monkeypatch.setattr(
        loop.checkpoints.Checkpoints,
        "save",
        kept("save", loop.checkpoints.Checkpoints.save),
    )
    monkeypatch.setattr(loop, "evaluate_model", kept("judge", lambda *_, **__: {}))
    config = config_lib.load(
        classification_yaml,
        [
            *("pseudo=null", "self_training=null", "human.images_per_step=6"),
            *("runtime.strategy=mirrored", "training.steps=2"),
        ],
    )
    loop.train(config, str(tmp_path), devices=["CPU:0", "CPU:1"])
    assert order[:3] == ["agree", "save", "judge"]


def test_a_report_is_about_the_pictures_that_were_chosen_for_it(
    digit_records, teacher_config, tmp_path, monkeypatch
):
    splits.write_ids(tmp_path / "two.txt", JUDGED, "two of five")
    sources = []

    def judge(task, predictor, source, **rest):
        sources.append(source)
        return {"AP": 12.5}

    monkeypatch.setattr(evaluate, "evaluate_model", judge)
    monkeypatch.setattr(evaluate, "Predictor", lambda *_: None)
    info = dataset_info.load(teacher_config.human.records)
    config = with_class_names(teacher_config, info)
    file = types.SimpleNamespace(prefix="ckpt-4", digest="0a1b", averaged=True)
    run = types.SimpleNamespace(
        config=config, task=build_task(config), model=None, file=file
    )
    ids_file = str(tmp_path / "two.txt")
    report = evaluate.evaluate_run(run, f"{digit_records}/val/*.tfrecord", ids_file)
    assert sources[0].ids == tuple(JUDGED)
    assert (report["protocol"]["ids"], report["protocol"]["pictures"]) == (ids_file, 2)
