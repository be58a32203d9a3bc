"""Several steps in one call: what comes back, when it stops, and what XLA compiles."""

import dataclasses
import types

import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.training import compiled_steps
from st_keras.training.compiled_steps import CompiledSteps

BAD_STEP = 12


class CountedBatches:
    """The batch of a step is the step's number."""

    seed = 0

    def from_step(self, step, *, replicas, replicas_here):
        assert (replicas, replicas_here) == (1, range(1))
        return tf.data.Dataset.range(step, step + 1000)


def number_of_step(number):
    number = tf.cast(number, tf.float32)
    return {"loss": number**2, "rate": -number}


def infinite_at_bad_step(number):
    return {"loss": tf.where(number == BAD_STEP, float("inf"), 1.0)}


def only_without_xla(number):
    return {"loss": tf.strings.to_number(tf.strings.as_string(number))}


@pytest.fixture
def steps_of(monkeypatch):
    """Returns how to make compiled steps; they have the seeds they were built for."""

    def steps_of(take_step):
        built = []

        def build_step(config, learner):
            built.append(config.seed)
            return take_step

        monkeypatch.setattr(compiled_steps, "build_step", build_step)
        strategy = tf.distribute.OneDeviceStrategy("CPU:0")
        learner = types.SimpleNamespace(averaged=None)
        return CompiledSteps(strategy, learner, CountedBatches()), built

    return steps_of


@pytest.fixture
def config(student_yaml):
    return config_lib.load(student_yaml)


def test_a_call_returns_the_mean_of_its_steps_and_the_last_one(steps_of, config):
    steps, _ = steps_of(number_of_step)
    take = steps.start(config, 3)
    # Steps 3, 4 and 5: (9 + 16 + 25) / 3, and 25.
    mean, taken, last = take(3)
    assert mean == pytest.approx({"loss": 50 / 3, "rate": -4.0})
    assert (taken, last) == (3, {"loss": 25.0, "rate": -5.0})
    # It goes on with step 6.
    assert take(1) == ({"loss": 36.0, "rate": -6.0}, 1, {"loss": 36.0, "rate": -6.0})


def test_a_call_ends_with_a_step_that_is_not_finite(steps_of, config):
    steps, _ = steps_of(infinite_at_bad_step)
    take = steps.start(config, BAD_STEP - 2)
    _, taken, last = take(10)
    assert (taken, last["loss"]) == (3, float("inf"))
    assert take(2)[1:] == (2, {"loss": 1.0})


@pytest.mark.parametrize("jit_compile", [False, True])
def test_xla_compiles_a_step_that_asks_for_it(steps_of, config, jit_compile):
    runtime = dataclasses.replace(config.runtime, jit_compile=jit_compile)
    steps, _ = steps_of(only_without_xla)
    take = steps.start(dataclasses.replace(config, runtime=runtime), 7)
    if jit_compile:
        with pytest.raises(tf.errors.OpError, match="unsupported operations|XLA"):
            take(1)
    else:
        assert take(1)[0] == {"loss": 7.0}


def test_a_step_is_built_once_for_each_seed(steps_of, config, monkeypatch):
    class OtherBatches(CountedBatches):
        def __init__(self, config, task):
            self.seed = config.seed

    monkeypatch.setattr(compiled_steps, "Batches", OtherBatches)
    steps, built = steps_of(number_of_step)
    steps._learner.task = None
    config = dataclasses.replace(config, seed=0)
    other = dataclasses.replace(config, seed=9)
    for one in (config, other, config, other):
        steps.start(one, 0)(1)
    assert built == [0, 9]
    assert steps.batches(other).seed == 9
