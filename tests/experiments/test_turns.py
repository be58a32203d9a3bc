"""Which stages a turn makes, by whom, and what its student is told of them."""

import dataclasses

import pytest

from st_keras import config as config_lib
from st_keras.experiments import turns
from st_keras.experiments.stages import Stages
from st_keras.experiments.turns import Turn

TURN = Turn(
    model="student_1",
    labels="labels_2",
    held_out="slice_2",
    thresholds="thresholds_2",
    student="student_2",
)
CALIBRATION = {"target": "max_f1", "ids": "held_out.txt"}


@pytest.fixture
def config(student_yaml):
    overrides = [f"self_training.calibration={CALIBRATION}", "init.kind=random"]
    return config_lib.load(student_yaml, overrides)


@pytest.fixture
def stages(config, tmp_path, monkeypatch):
    """Stages that say what they are asked for."""
    asked = []
    monkeypatch.setattr(
        Stages, "label", lambda _, name, model, __, of: asked.append((name, model, of))
    )
    monkeypatch.setattr(
        Stages, "calibrate", lambda _, *names_and_config: asked.append(names_and_config)
    )
    made = Stages(str(tmp_path), config.runtime)
    made.asked = asked
    return made


def test_thresholds_are_of_the_model_that_labels(config, stages):
    turns.label(TURN, config, stages)
    unlabelled, held_out, thresholds = stages.asked
    settings = config.self_training
    pictures = settings.unlabeled_records, settings.unlabeled_ids
    assert unlabelled == ("labels_2", "student_1", pictures)
    with_truth = config.human.records, "held_out.txt"
    assert held_out == ("slice_2", "student_1", with_truth)
    assert thresholds == ("thresholds_2", "slice_2", "student_1", config)
    assert TURN.made() == ["labels_2", "slice_2", "thresholds_2", "student_2"]


def test_a_turn_without_thresholds_or_stored_labels_makes_none(config, stages):
    turns.label(dataclasses.replace(TURN, held_out="", thresholds=""), config, stages)
    assert [name for name, *_ in stages.asked] == ["labels_2"]
    live = dataclasses.replace(TURN, labels="", held_out="", thresholds="")
    turns.label(live, config, stages)
    assert len(stages.asked) == 1
    assert live.made() == ["student_2"]


def test_a_student_is_told_where_its_labels_will_be(config, stages, tmp_path):
    student = turns.student_of(TURN, config, stages)
    assert student.pseudo.records == f"{tmp_path}/labels_2/*.tfrecord"
    assert student.pseudo.thresholds == f"{tmp_path}/thresholds_2.json"
    plain = dataclasses.replace(TURN, held_out="", thresholds="")
    assert turns.student_of(plain, config, stages).pseudo.thresholds == ""
