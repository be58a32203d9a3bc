"""The settings of a run arrive in what it learns with, and in the order that counts."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.config import InitConfig
from st_keras.data import dataset_info
from st_keras.tasks import build_task, with_class_names
from st_keras.training import learner as module
from st_keras.training import optimization as optimization_lib
from st_keras.training import step as step_module
from st_keras.training.learner import Learner, build_blend, build_learner


@pytest.fixture
def told(monkeypatch):
    """Stands where steps are made: `build_step` returns what it has been told."""
    monkeypatch.setattr(step_module, "TrainStep", lambda *pieces, **rest: rest)

    def told(student_yaml, *overrides):
        config = config_lib.load(student_yaml, list(overrides))
        model = tf.keras.Sequential()
        pieces = Learner(task="task", model=model, optimizer="optimizer")
        return step_module.build_step(config, pieces)

    return told


def test_a_step_is_told_the_settings_of_its_run(told, student_yaml):
    settings = told(
        student_yaml,
        "seed=7",
        "optimization.optimizer=sgd",
        "optimization.weight_decay=0.25",
        "optimization.clip_norm=0.5",
        "training.accumulation_steps=2",
    )
    given = {"seed": 7, "weight_decay": 0.25, "clip_norm": 0.5, "slices": 2}
    assert {name: settings[name] for name in given} == given


def test_what_decays_by_itself_is_not_made_to_decay_twice(told, student_yaml):
    settings = told(
        student_yaml, "optimization.optimizer=adamw", "optimization.weight_decay=0.25"
    )
    assert settings["weight_decay"] == 0.0


def test_only_where_no_xla_and_no_gpu_does_it_better_are_gradients_convolutions(
    told, student_yaml, monkeypatch
):
    assert len(told(student_yaml)["modes"]) == 1
    assert not told(student_yaml, "runtime.jit_compile=true")["modes"]
    assert not told(student_yaml, "runtime.strategy=tpu", "runtime.tpu=local")["modes"]
    monkeypatch.setattr(
        step_module.tf.config,
        "list_logical_devices",
        lambda kind: ["one"] * (kind == "GPU"),
    )
    assert not told(student_yaml)["modes"]


def test_the_blend_has_the_settings_of_the_pseudo_part(student_yaml):
    overrides = ["pseudo.weight=3.0", "pseudo.decay=0.75", "pseudo.max_ratio=10.0"]
    blend = build_blend(config_lib.load(student_yaml, overrides))
    # The ratio of the means is 12 / 0.5, of which 10 are allowed: 3 / (1 + 3) * 10.
    _, factor = blend.update(tf.constant(12.0), tf.constant(0.5))
    np.testing.assert_allclose(factor, 7.5)
    # The first step weighs 0.75 * 0.25 now, the second 0.25: (2.25 + 1) / (0.09375 +
    # 0.75) = 3.85.
    blend.update(tf.constant(4.0), tf.constant(3.0))
    np.testing.assert_allclose(blend.ratio(), 3.25 / 0.84375, rtol=1e-5)
    plain = build_blend(config_lib.load(student_yaml, ["pseudo.normalize=false"]))
    np.testing.assert_allclose(
        plain.update(tf.constant(12.0), tf.constant(0.5)), [0.5, 0.5]
    )


def test_a_teacher_has_no_blend(teacher_config):
    assert build_blend(teacher_config) is None


def test_rates_go_with_the_batch_and_the_average_starts_at_the_first_weights(
    teacher_config, monkeypatch
):
    info = dataset_info.load(teacher_config.human.records)
    config = with_class_names(teacher_config, info)
    optimization = dataclasses.replace(
        config.optimization,
        optimizer="sgd",
        schedule="constant",
        warmup_steps=0,
        learning_rate=0.32,
        base_images_per_step=24,
    )
    config = dataclasses.replace(config, optimization=optimization)

    def initialize(model, init, section):
        assert init.checkpoint == "elsewhere"
        for variable in model.variables:
            variable.assign(tf.fill(variable.shape, 3.0))

    monkeypatch.setattr(module.initialization, "initialize", initialize)
    init = InitConfig(kind="teacher", checkpoint="elsewhere")
    tasks = {"human": build_task(config)}
    learner = build_learner(config, tasks, replicas=1, init=init)
    # 6 images a step where the rate is of 24.
    rate = optimization_lib.current_learning_rate(learner.optimizer)
    assert float(rate) == pytest.approx(0.08)
    for variable in learner.average.variables:
        assert np.all(variable.numpy() == 3.0), variable.name


def test_a_live_teacher_is_the_average_and_so_is_what_is_judged(
    student_yaml, monkeypatch
):
    monkeypatch.setattr(step_module, "TrainStep", lambda *_, **parts: parts)
    online = ["pseudo.online=true", "self_training.student_init=teacher"]
    config = config_lib.load(student_yaml, [*online, "pseudo.soft=true"])
    pieces = Learner(
        task=types.SimpleNamespace(class_names=("a", "b")),
        model=tf.keras.Sequential(),
        optimizer="optimizer",
        averaged=types.SimpleNamespace(model="average"),
    )
    teacher = step_module.build_step(config, pieces)["online"]
    assert (teacher._average, teacher._soft) == ("average", True)
    assert pieces.judged == "average"
