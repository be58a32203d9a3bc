"""The page, the trial behind it, and the exit code."""

import dataclasses
import json
import pathlib
import subprocess
import sys

import pytest

from st_keras import config as config_lib
from st_keras.experiments.doctor import case as case_lib
from st_keras.experiments.doctor import checkup, page, trial
from tests.experiments.doctor.ward import TRIAL

TOOL = pathlib.Path(__file__).parents[3] / "tools" / "doctor.py"


@pytest.fixture
def run(ward):
    """Runs the tool on the ward's config."""

    def run(*flags, **parts):
        config = ward.config(**parts)
        config_lib.save(config, str(ward.root / "whole.yaml"))
        return subprocess.run(
            [sys.executable, TOOL, f"--config={ward.root}/whole.yaml", *flags],
            **{"capture_output": True, "text": True, "cwd": ward.root},
        )

    return run


@pytest.mark.slow
def test_a_sound_config_is_tried_and_passes(run, ward):
    result = run("--steps=8", "--json=out.json", "--workdir=run")
    assert result.returncode == 0, result.stdout + result.stderr
    titles = [line for line in result.stdout.splitlines() if line[:1].strip()]
    assert titles == ["Looked at", "Problems: none", "Warnings: none", "Costs"]
    assert max(len(line) for line in result.stdout.splitlines()) < 140
    content = json.loads((ward.root / "out.json").read_text())
    assert content["trial"]["steps"] == 8
    assert content["trial"]["images_per_second"] > 0
    assert content["trial"]["pictures_per_second"] > 0
    assert list(content["stage_seconds"]) == [
        *("teacher", "labelling", "student", "control")
    ]
    assert not (ward.root / "run").exists()  # Nothing is left behind.


def test_a_problem_is_numbered_and_is_the_exit_code(run, ward):
    result = run("--steps=0", "--set=optimization.warmup_steps=5000")
    assert result.returncode == 1
    assert "Problems: 1\n  1. `optimization.warmup_steps` is 5,000" in result.stdout
    assert "Set the warm-up to about 100." in result.stdout
    assert "Traceback" not in result.stderr


def test_a_student_is_tried_as_its_teacher_at_the_first_learning_rates(ward):
    config = ward.config(
        "training.pictures_every_steps=3",
        "self_training.teacher_images_per_step=2",  # Its student's steps are larger.
    )
    tried = trial.trial_config(config, 20)
    assert tried.pseudo is None
    assert tried.human.images_per_step == 6
    assert (tried.training.steps, tried.training.steps_per_loop) == (20, 5)
    assert tried.training.pictures_every_steps == 0
    assert tried.optimization == dataclasses.replace(
        config.optimization, schedule="constant"
    )
    assert not tried.evaluation.records


def test_a_student_with_labels_is_tried_as_it_is(ward):
    config = ward.config("pseudo.records=labels/*.tfrecord", self_training=None)
    assert trial.trial_config(config, 4).pseudo == config.pseudo


@pytest.fixture
def fake(monkeypatch):
    """Replaces the steps by a result or an error."""

    def set_result(result):
        def try_steps(*_):
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(trial, "try_steps", try_steps)

    return set_result


def test_a_loss_that_grows_is_a_warning(ward, fake):
    fake(dataclasses.replace(TRIAL, loss_last=4.1))
    _, (found,) = checkup.examine(ward.config(), steps=20)
    assert (found.kind, found.what) == (
        "warning",
        "The loss grew from 2 to 4.1 in 20 steps.",
    )


def test_an_error_of_the_trial_is_a_problem_with_its_own_cure(ward, fake):
    fake(ValueError("`human/class` is nan at step 3. Lower the learning rate."))
    _, (found,) = checkup.examine(ward.config(), steps=20)
    assert found == case_lib.problem(
        "The trial stopped: `human/class` is nan at step 3.",
        "Lower the learning rate.",
    )


def test_a_weights_file_that_is_missing_is_found_by_the_trial(ward):
    config = ward.config(init={"kind": "imagenet", "checkpoint": "gone/model"})
    _, (found,) = checkup.examine(config, steps=2)
    assert found.kind == "problem"
    assert "gone/model" in found.what


@pytest.mark.slow
def test_a_loss_that_is_no_number_is_found_by_the_trial(ward):
    explosive = {"optimizer": "sgd", "learning_rate": 1e30, "warmup_steps": 0}
    _, found = checkup.examine(ward.config(optimization=explosive), steps=4)
    assert [finding.kind for finding in found] == ["problem", "warning"]
    assert found[0].what.startswith("The trial stopped: `")
    assert "`optimization.learning_rate` is 1e+30" in found[1].what


def test_no_step_is_taken_on_records_that_are_not_there(ward, fake):
    fake(AssertionError("tried"))
    config = ward.config("human.records=gone/*.tfrecord")
    _, (found,) = checkup.examine(config, steps=20)
    assert found.what == "human: `gone/*.tfrecord`: no such file."


def test_a_check_that_breaks_leaves_the_others_their_turn(ward, monkeypatch):
    def check_nothing(case):
        raise KeyError("p50")

    monkeypatch.setattr(checkup, "CHECKS", (check_nothing, *checkup.CHECKS))
    _, found = checkup.examine(ward.config("training.steps=400"), steps=0)
    first, second, third = [finding.what for finding in found]
    assert first == "check nothing: KeyError: 'p50'."
    assert second.startswith("`optimization.warmup_steps` is 500")
    assert third.startswith("`training.checkpoint_every_steps` is 500")


@pytest.mark.parametrize("steps", [1, -2])
def test_a_number_of_steps_that_cannot_be_timed_is_refused(ward, steps):
    with pytest.raises(ValueError, match="`steps` must be 0 or 2 and more"):
        checkup.examine(ward.config(), steps=steps)


def test_the_page_tells_costs_by_stage(ward, fake):
    fake(TRIAL)
    case, found = checkup.examine(ward.config(), steps=20)
    text = page.format_page(case, found, "c.yaml")
    assert "20 steps of 6 pictures: 24 images/s after 30.0 s of preparation" in text
    assert "Loss 2 -> 1\n" in text
    assert "Labelling: 0.5 pictures/s" in text
    rows = [line.split("  ") for line in text.splitlines()]
    times = {row[1]: row[-1].strip() for row in rows if len(row) > 2 and row[1]}
    assert times["teacher"] == "8 min 50 s"
    assert times["labelling"] == "8.0 s"  # Four pictures.
    assert times["control"] == "17 min 10 s"  # 30 s and 4000 steps.
    assert times["total"] == "34 min 58 s"


def test_the_page_shows_what_the_paper_set_otherwise(ward):
    case, found = checkup.examine(ward.config(), steps=0)
    text = page.format_page(case, found, "c.yaml")
    shown = [
        line.split()[0] for line in text.splitlines() if ".images_per_step" in line
    ]
    assert shown == ["human.images_per_step", "pseudo.images_per_step"]
    assert "pseudo.min_score" not in text  # 0.5, as in the paper.


def test_json_is_as_long_as_the_page(ward):
    case, found = checkup.examine(ward.config("training.steps=400"), steps=0)
    content = json.loads(json.dumps(page.to_json(case, found)))
    assert [entry["fix"] for entry in content["problems"]] == [
        "Set the warm-up to about 20."
    ]
    assert len(content["warnings"]) == 1
    assert content["sets"]["unlabeled"]["pictures"] == 4
    assert content["labels"]["human"]["pictures"] == 8
