"""What a run does about a step with a number that is not finite.

test_rescue_steps.py has the same by hand, in a second; here it is the real loop.
"""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data import dataset_info
from st_keras.runtime import failure_log, run_log
from st_keras.runtime.failures import NonFiniteError
from st_keras.runtime.run_log import read_rows
from st_keras.training import loop
from st_keras.training.loop import train
from tests.training.nonfinite.poison import mark, poison

STEP = 6  # The third of four in a call, and the second after a checkpoint.


@pytest.fixture
def config(teacher_config):
    training = dataclasses.replace(
        teacher_config.training, steps_per_loop=4, checkpoint_every_steps=5
    )
    return dataclasses.replace(teacher_config, training=training)


@pytest.fixture
def poisoned(config, monkeypatch):
    """Id of the one image whose loss is nan, at step `STEP` as it is drawn there."""
    info = dataset_info.load(config.human.records)
    number, image_id = mark(config, info, step=STEP, part="human", row=1)
    poison(monkeypatch, [number])
    return image_id


def with_policy(config, policy, **training):
    training = dataclasses.replace(config.training, on_nonfinite=policy, **training)
    return dataclasses.replace(config, training=training)


def final_state(workdir):
    reader = tf.train.load_checkpoint(str(workdir / "checkpoints"))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


def assert_same_run(first, second):
    assert read_rows(first) == read_rows(second)
    ours, theirs = final_state(first), final_state(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)
    events = [json.loads((w / "failures.json").read_text()) for w in (first, second)]
    for event in sum(events, []):
        event.pop("black_box")
    assert events[0] == events[1]


@pytest.mark.slow
def test_abort_stops_and_says_how_to_find_out_why(config, poisoned, tmp_path):
    with pytest.raises(NonFiniteError) as stopped:
        train(config, str(tmp_path))
    folder = tmp_path / "debug" / f"step_{STEP}"
    message = str(stopped.value)
    assert f"`human/box` is nan at step {STEP}" in message
    assert poisoned in message
    assert "checkpoints/ckpt-5" in message
    assert f"tools/replay.py --debug {folder}" in message
    (event,) = json.loads((tmp_path / "failures.json").read_text())
    assert (event["policy"], event["step"]) == ("abort", STEP)
    assert event["not_finite"]["human/box"] == "nan"
    facts = json.loads((folder / "black_box.json").read_text())
    assert (
        facts["values"]["human/class"]
        == facts["values_when_taken_again"]["human/class"]
    )
    assert facts["values"]["human/box"] == "nan"
    # Nothing of the box tower's loss reaches the classes' last layer.
    norms = facts["gradient_norms"]
    assert any(n == "nan" for n in norms.values())
    assert any(isinstance(n, float) for n in norms.values())


@pytest.mark.slow
def test_skip_learns_nothing_from_the_step_and_everything_from_the_others(
    config, poisoned, tmp_path
):
    summary = train(with_policy(config, "skip"), str(tmp_path))
    assert summary["steps"] == 12
    (event,) = summary["failures"]
    assert (event["step"], event["policy"]) == (STEP, "skip")
    assert poisoned in event["images"]["human"]
    rows = read_rows(tmp_path)
    steps = [row["step"] for row in rows]
    # The call that failed ends early; its row is of the good steps alone.
    assert steps == [4, 5, 7, 8, 10, 12, 12]
    assert [row.get("failures/skipped") for row in rows[:4]] == [None, None, 1.0, 1.0]
    assert np.isfinite(rows[2]["human/box"])
    assert all(np.all(np.isfinite(v)) for v in final_state(tmp_path).values())


def test_what_skip_leaves_is_the_state_before_the_step(config, poisoned, tmp_path):
    # The run ends with the skipped step, so its last checkpoint is what it left.
    train(with_policy(config, "skip", steps=STEP + 1), str(tmp_path / "a"))
    left = final_state(tmp_path / "a")
    before = final_state(tmp_path / "a" / "debug" / f"step_{STEP}")
    assert left.keys() == before.keys()
    for name, value in left.items():
        if "optimizer/iter/" in name:
            assert (value, before[name]) == (STEP + 1, STEP)
        else:
            np.testing.assert_array_equal(value, before[name], err_msg=name)


@pytest.mark.slow
def test_recover_goes_back_to_the_checkpoint_and_draws_otherwise(
    config, poisoned, monkeypatch, tmp_path
):
    shown = []
    monkeypatch.setattr(
        loop,
        "_log_pictures",
        lambda _, batches, step: shown.append((step, batches.seed == config.seed)),
    )
    recover = with_policy(config, "recover", pictures_every_steps=5)
    summary = train(recover, str(tmp_path))
    (event,) = summary["failures"]
    assert poisoned in event["images"]["human"]
    assert (event["step"], event["back_to"], event["recoveries"]) == (STEP, 5, 0)
    rows = read_rows(tmp_path)
    assert [row["step"] for row in rows] == [4, 5, 8, 10, 12, 12]
    assert [row.get("failures/recovered") for row in rows[:3]] == [None, None, 1.0]
    # Pictures are those that the coming step learns from.
    assert shown == [(0, True), (5, True), (10, False)]
    assert all(np.all(np.isfinite(v)) for v in final_state(tmp_path).values())


@pytest.mark.slow
def test_recover_gives_up_after_three_times(config, tmp_path):
    hopeless = dataclasses.replace(
        config.optimization,
        **{"optimizer": "sgd", "learning_rate": 1e30, "schedule": "constant"},
        **{"warmup_steps": 0, "ema_decay": 0.0},
    )
    config = dataclasses.replace(with_policy(config, "recover"), optimization=hopeless)
    with pytest.raises(NonFiniteError, match="recovered 3 times, which is the most"):
        train(config, str(tmp_path))
    events = json.loads((tmp_path / "failures.json").read_text())
    # Without a checkpoint on the way, it goes back to the very first weights.
    assert [(e["policy"], e.get("back_to")) for e in events] == [
        ("recover", 0),
        ("recover", 0),
        ("recover", 0),
        ("abort", None),
    ]
    # Other pictures each time.
    assert len({tuple(event["images"]["human"]) for event in events}) == 4
    assert [bool(event["black_box"]) for event in events] == [True] * 4
    assert [path.name for path in (tmp_path / "debug").iterdir()] == ["step_1"]


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["skip", "recover"])
def test_a_run_killed_around_a_failure_ends_like_one_never_killed(
    config, poisoned, policy, monkeypatch, tmp_path
):
    config = with_policy(config, policy)
    train(config, str(tmp_path / "never"))
    # Before the failure is listed, right after, and when it has had an effect.
    for name, target, is_after in (
        ("write_json", failure_log, False),
        ("write_json", failure_log, True),
        ("numbers", run_log.RunLog, True),
    ):
        kill = kill_at(getattr(target, name), is_after)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(target, name, kill)
            train(config, str(tmp_path / "killed"))
    train(config, str(tmp_path / "killed"))
    assert_same_run(tmp_path / "never", tmp_path / "killed")


def kill_at(function, is_after):
    """Wraps a function: the process ends with the call that tells of a failure."""

    def killed(*args):
        is_it = any("failures/" in str(arg) or "not_finite" in str(arg) for arg in args)
        if is_it and not is_after:
            raise KeyboardInterrupt
        function(*args)
        if is_it:
            raise KeyboardInterrupt

    return killed
