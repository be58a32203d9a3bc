"""What a teacher that is asked at every step promises: the way of stored labels."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config
from st_keras.ops import images
from st_keras.self_training.blend import Blend
from st_keras.self_training.online import OnlineTeacher
from st_keras.training import optimization
from st_keras.training.step import TrainStep
from tests.training.test_step import (
    HUMAN,
    PSEUDO,
    RATE,
    WeightedTask,
    batch,
    linear_model,
    one_replica,
    take_steps,
    two_replicas,
    x_of,
)

TEACHER = 0.5  # Its kernel; the student's is 2.
MIN_SCORE = -0.4


class ScoredTask(WeightedTask):
    """The output is the score of the one row there is."""

    def online_labels(self, outputs, unlabeled):
        weights = tf.ones_like(outputs["y"])
        return unlabeled._replace(scores=outputs["y"], weights=weights)

    def pseudo_label(self, labels, *, min_score, soft):
        kept = tf.cast(labels.scores >= min_score, tf.float32)
        return labels._replace(weights=kept)


# What the teacher says of the pictures, and where it is sure enough.
SAID = TEACHER * x_of(np.asarray(PSEUDO[0]))
STORED = (PSEUDO[0], SAID, (SAID >= MIN_SCORE).astype(np.float32))


def run_step(strategy, pseudo, *, online, steps=1):
    """Returns kernels of student and teacher and the numbers of the last step."""
    with strategy.scope():
        model, average = linear_model(), linear_model()
        average.trainable_variables[0].assign([[TEACHER]])
        optimizer = tf.keras.optimizers.legacy.SGD(RATE)
        optimization.create_slots(optimizer, model.trainable_variables)
        blend = Blend(weight=1.0, normalize=True, decay=0.75, max_ratio=10.0)
    task, teacher = ScoredTask(), None
    if online:
        teacher = OnlineTeacher(task, average, min_score=MIN_SCORE, soft=False)
    take = TrainStep(
        task,
        model,
        optimizer,
        blend,
        weight_decay=0.0,
        clip_norm=0.0,
        online=teacher,
    )
    parts = {"human": batch(*HUMAN), "pseudo": batch(*pseudo)}
    numbers = take_steps(strategy, take, parts, steps)
    kernels = [float(m.trainable_variables[0].numpy()[0, 0]) for m in (model, average)]
    return *kernels, numbers


def test_some_of_what_it_says_is_dropped_and_some_is_not():
    # x is 1.31, -0.58, -1.60 and -0.92; half of it is what the teacher says.
    assert STORED[2].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("strategy", [one_replica, two_replicas])
def test_a_step_is_that_of_a_student_whose_labels_were_stored(strategy):
    # The labels that came along are not looked at.
    asked = run_step(strategy(), PSEUDO, online=True, steps=3)
    stored = run_step(strategy(), STORED, online=False, steps=3)
    np.testing.assert_allclose(asked[0], stored[0], rtol=1e-6)
    assert asked[2].keys() == stored[2].keys()
    for name, value in stored[2].items():
        np.testing.assert_allclose(asked[2][name], value, rtol=1e-5, err_msg=name)


def test_the_teacher_does_not_learn_from_what_it_says():
    _, kernel, _ = run_step(one_replica(), PSEUDO, online=True)
    assert kernel == TEACHER


RUN = {
    "detection": {},
    "human": {"records": "data/*.tfrecord"},
    "pseudo": {"records": "all/*.tfrecord", "images_per_step": 8, "online": True},
    "init": {"kind": "teacher", "checkpoint": "runs/teacher"},
    "optimization": {"ema_decay": 0.99},
    "training": {"steps": 30},
}


def test_a_teacher_to_start_from_and_an_average_are_all_it_takes():
    assert config.from_dict(RUN).pseudo.online


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("optimization", {"ema_decay": 0.0}, "`optimization.ema_decay` must be above"),
        ("init", {"kind": "random", "checkpoint": ""}, "`init.kind` must be teacher"),
        ("pseudo", {"thresholds": "t.json"}, "`pseudo.online` must be false with thr"),
        (
            "self_training",
            {"unlabeled_records": "all/*.tfrecord"},
            "`self_training.student_init` must be teacher",
        ),
    ],
)
def test_what_it_cannot_do_without_is_asked_for(part, change, message):
    settings = RUN | {part: RUN.get(part, {}) | change}
    with pytest.raises(config.ConfigError, match=message):
        config.from_dict(settings)


def test_a_live_teacher_looks_as_it_is_judged():
    layers = tf.keras.layers
    seen = layers.Input([1, 1, 3])
    normalized = layers.BatchNormalization()(layers.Flatten()(seen))
    average = tf.keras.Model(seen, {"y": layers.Dense(1)(normalized)})
    before = average.get_weights()
    pictures = batch(*PSEUDO)
    teacher = OnlineTeacher(ScoredTask(), average, min_score=-9.0, soft=False)
    said = teacher.label(pictures)
    alone = average(images.normalize(pictures.image), training=False)["y"]
    np.testing.assert_allclose(said.labels.scores, alone, rtol=1e-5)
    for weight, was in zip(average.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, was)
