"""What stages of an experiment leave behind when they are killed."""

import dataclasses
import os
import pathlib
from types import SimpleNamespace

import pytest

from st_keras.config import CalibrationConfig, RuntimeConfig
from st_keras.experiments import ledger, stages
from st_keras.experiments.stages import Stages


@pytest.fixture
def made(monkeypatch):
    """Names of what was made, by stages that have no model and no thresholds."""
    names = []
    spread = SimpleNamespace(num_replicas_in_sync=2)
    model = SimpleNamespace(distribute_strategy=spread)

    def evaluate_run(*_, **__):
        names.append("evaluation")
        return {"headline": "AP"}

    def calibrate(*_, output, **__):
        names.append("thresholds")
        pathlib.Path(output).write_text("{}")

    monkeypatch.setattr(
        stages, "restore_run", lambda *_, **__: SimpleNamespace(model=model)
    )
    monkeypatch.setattr(stages.evaluate, "evaluate_run", evaluate_run)
    monkeypatch.setattr(stages.calibration, "calibrate", calibrate)
    monkeypatch.setattr(
        stages.calibration, "is_of", lambda path, *_: os.path.exists(path)
    )
    return names


def test_thresholds_are_chosen_as_the_student_says(
    made, student_config, monkeypatch, tmp_path
):
    chosen = []
    monkeypatch.setattr(
        stages.calibration, "calibrate", lambda *args, **how: chosen.append((args, how))
    )
    calibration = CalibrationConfig(
        ids="held_out.txt", target="match_counts", min_support=7
    )
    config = dataclasses.replace(
        student_config,
        pseudo=dataclasses.replace(student_config.pseudo, min_score=0.375),
        self_training=dataclasses.replace(
            student_config.self_training, calibration=calibration
        ),
    )
    of_run = Stages(str(tmp_path), RuntimeConfig())
    output = of_run.calibrate("thresholds_1", "slice_1", "teacher", config)
    args = (str(tmp_path / "slice_1"), config.human.records)
    how = {
        **{"output": output, "teacher": str(tmp_path / "teacher")},
        # Without support, all classes get what would be used without thresholds.
        **{"target": "match_counts", "min_support": 7, "fallback": 0.375},
    }
    assert chosen == [(args, how)]


@pytest.mark.parametrize("kind", ["evaluation", "thresholds"])
@pytest.mark.parametrize("is_after", [False, True])
def test_a_kill_around_the_note_of_a_cost_loses_no_cost(
    kind, is_after, made, student_config, monkeypatch, tmp_path
):
    note = ledger.Ledger.note

    def killed(*args):
        if is_after:
            note(*args)
        raise KeyboardInterrupt

    def make():
        of_run = Stages(str(tmp_path), RuntimeConfig())
        if kind == "evaluation":
            of_run.evaluate("teacher", student_config.evaluation.records, "")
        else:
            of_run.calibrate("thresholds_1", "slice_1", "teacher", config)
        return list(of_run.costs())

    (tmp_path / "teacher").mkdir()
    settings = student_config.self_training
    calibration = CalibrationConfig(ids="held_out.txt", target="max_f1")
    config = dataclasses.replace(
        student_config,
        self_training=dataclasses.replace(settings, calibration=calibration),
    )
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ledger.Ledger, "note", killed)
        make()
    name = {"evaluation": "evaluate_teacher", "thresholds": "thresholds_1"}[kind]
    assert make() == [name]
    count = len(made)
    assert make() == [name] and len(made) == count  # Made once and for all.
