"""How a run goes on after a bad step, on one that counts up a number.

Step n adds n + 1 to the number, so after steps 0, 1 and 2 it is 6.
"""

import dataclasses
import json
import math

import pytest
import tensorflow as tf

from st_keras.runtime import failure_log
from st_keras.runtime.checkpoints import Checkpoints
from st_keras.runtime.failures import NonFiniteError
from st_keras.training.nonfinite.rescue import Rescue


class Optimizer(tf.Module):
    """All that a rescue knows of one."""

    def __init__(self):
        super().__init__()
        self.iterations = tf.Variable(0, dtype=tf.int64)

    def variables(self):
        return [self.iterations]


class Run:
    """Calls of four steps, a checkpoint every five."""

    def __init__(self, config, workdir, is_bad, seeds=()):
        self.model = tf.Module()
        self.model.total = tf.Variable(0.0)
        self.optimizer = Optimizer()
        self.is_bad = is_bad  # Of step and draws.
        self.written = []
        self.saved = Checkpoints(
            str(workdir), optimizer=self.optimizer, keep=2, model=self.model
        )
        self.step = self.saved.restore()
        self.seeds = list(seeds)  # In the order in which they are drawn from.
        self.rescue = Rescue(
            config,
            str(workdir),
            strategy=tf.distribute.get_strategy(),
            saved=self.saved,
            optimizer=self.optimizer,
            start=self.start,
            write=self.write,
        )
        self.take_steps = self.rescue.start()

    def start(self, config, taken):
        assert taken == int(self.optimizer.iterations)
        if config.seed not in self.seeds:
            self.seeds.append(config.seed)

        def take_steps(count):
            taken, bad = 0, False
            while taken < count and not bad:
                step = int(self.optimizer.iterations)
                bad = self.is_bad(step, self.seeds.index(config.seed))
                self.model.total.assign_add(math.nan if bad else step + 1.0)
                self.optimizer.iterations.assign_add(1)
                taken += 1
            loss = {"loss": math.nan if bad else 1.0, "learning_rate": 0.1}
            return loss, taken, loss

        return take_steps

    def write(self, failure):
        self.written.append((failure.step, float(self.model.total)))
        return f"debug/step_{failure.step}", {"human": ["a"]}

    def to(self, steps):
        while self.step < steps:
            self.rescue.remember()
            end = min(self.step + 4 - self.step % 4, self.step + 5 - self.step % 5)
            _, taken, last = self.take_steps(min(end, steps) - self.step)
            self.step += taken
            if math.isnan(last["loss"]):
                now, _ = self.rescue.after(last)
                self.take_steps = self.rescue.start()
                is_back, self.step = now < self.step, now
                if is_back:
                    continue
            if self.step % 5 == 0:
                self.saved.save()
        return float(self.model.total)


@pytest.fixture
def config_with(teacher_config):
    def make(policy):
        training = dataclasses.replace(teacher_config.training, on_nonfinite=policy)
        return dataclasses.replace(teacher_config, training=training)

    return make


def step_6(step, draws):
    return step == 6 and draws == 0


def test_without_failure_nothing_is_written(config_with, tmp_path):
    run = Run(config_with("skip"), tmp_path, lambda step, draws: False)
    assert run.to(8) == 36.0
    assert run.rescue.counts == {}
    assert not (tmp_path / failure_log.FILE).exists()


def test_abort_stops_with_the_state_before_the_step(config_with, tmp_path):
    run = Run(config_with("abort"), tmp_path, step_6)
    with pytest.raises(NonFiniteError, match="`loss` is nan at step 6.*--debug debug/"):
        run.to(8)
    # 1 + ... + 6.
    assert run.written == [(6, 21.0)]
    assert int(run.optimizer.iterations) == 6


def test_skip_leaves_out_the_one_step(config_with, tmp_path):
    run = Run(config_with("skip"), tmp_path, step_6)
    assert run.to(8) == 36.0 - 7.0
    assert run.written == [(6, 21.0)]
    assert run.rescue.counts == {"failures/skipped": 1.0}


def test_skip_stops_at_the_fourth_bad_step_in_a_row(config_with, tmp_path):
    run = Run(config_with("skip"), tmp_path, lambda step, draws: step >= 6)
    with pytest.raises(NonFiniteError, match="step 9.*3 steps before it were skipped"):
        run.to(20)
    # Each of them saw the state that step 5 left.
    assert run.written == [(6, 21.0), (7, 21.0), (8, 21.0), (9, 21.0)]


def test_recover_goes_on_from_the_checkpoint_with_other_draws(config_with, tmp_path):
    run = Run(config_with("recover"), tmp_path, step_6)
    assert run.to(8) == 36.0
    assert len(run.seeds) == 2 and run.rescue.config.seed == run.seeds[-1]
    (event,) = run.rescue.events
    assert (event["step"], event["back_to"], event["recoveries"]) == (6, 5, 0)


def test_recover_goes_back_to_the_start_where_there_is_no_checkpoint(
    config_with, tmp_path
):
    run = Run(config_with("recover"), tmp_path, lambda s, draws: s == 2 and draws == 0)
    assert run.to(4) == 10.0
    assert run.rescue.events[0]["back_to"] == 0


def test_recover_gives_up_at_the_fourth_failure(config_with, tmp_path):
    run = Run(config_with("recover"), tmp_path, lambda step, draws: step == 6)
    with pytest.raises(NonFiniteError, match="recovered 3 times"):
        run.to(8)
    assert len(run.seeds) == 4
    listed = json.loads((tmp_path / failure_log.FILE).read_text())
    assert [event["policy"] for event in listed] == ["recover"] * 3 + ["abort"]


@pytest.mark.parametrize("policy", ["skip", "recover"])
@pytest.mark.parametrize("killed_at", [5, 7, 8, 9, 11])
def test_a_kill_changes_neither_the_state_nor_the_list(
    config_with, policy, killed_at, tmp_path
):
    def bad(step, draws):
        return step in (6, 8) and draws <= (step == 8)

    config = config_with(policy)
    whole = Run(config, tmp_path / "whole", bad)
    expected = whole.to(12)
    Run(config, tmp_path / "killed", bad).to(killed_at)
    again = Run(config, tmp_path / "killed", bad, whole.seeds)
    assert again.to(12) == expected
    assert again.rescue.events == whole.rescue.events
