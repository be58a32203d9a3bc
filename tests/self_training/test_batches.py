"""What is promised of the examples of a run's steps, however often one asks."""

import dataclasses

import numpy as np
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.data import dataset_info
from st_keras.self_training.batches import Batches
from st_keras.tasks import build_task, with_class_names


def built(student_yaml, monkeypatch):
    """Returns a teacher's batches, and a list that grows with every trace."""
    config = config_lib.load(student_yaml, ["pseudo=null", "self_training=null"])
    config = with_class_names(config, dataset_info.load(config.human.records))
    task, traces = build_task(config), []
    prepare = task.prepare

    def counted(*args, **more):
        traces.append(args)
        return prepare(*args, **more)

    monkeypatch.setattr(task, "prepare", counted)
    return Batches(config, task), traces


def first(batches, step):
    stream = batches.from_step(step, replicas=1, replicas_here=range(1))
    return next(iter(stream))["human"]


def test_examples_are_traced_once_for_all_streams(student_yaml, monkeypatch):
    batches, traces = built(student_yaml, monkeypatch)
    first(batches, 0)
    batches.examples(1)
    first(batches, 2)
    assert len(traces) == 1


def test_a_stream_from_a_later_step_gives_what_the_first_gives_there(
    student_yaml, monkeypatch
):
    batches, _ = built(student_yaml, monkeypatch)
    whole = batches.from_step(0, replicas=1, replicas_here=range(1))
    # 9 pictures in batches of 4: step 2 has the last of epoch 1 and three of epoch 2.
    expected = list(whole.take(3))[2]["human"]
    again = first(batches, 2)
    tf.nest.map_structure(np.testing.assert_array_equal, again, expected)
    assert np.ptp(again.image) > 0


def test_the_pseudo_part_alone_is_told_from_which_score_a_label_is_there(
    student_yaml, monkeypatch
):
    config = config_lib.load(student_yaml, ["pseudo.min_score=0.375"])
    pseudo = dataclasses.replace(config.pseudo, records=config.evaluation.records)
    config = dataclasses.replace(config, pseudo=pseudo, self_training=None)
    config = with_class_names(config, dataset_info.load(config.human.records))
    task, told = build_task(config), []
    prepare = task.prepare

    def listening(*args, min_score):
        told.append(min_score)
        return prepare(*args, min_score=min_score)

    monkeypatch.setattr(task, "prepare", listening)
    batches = Batches(config, task)
    next(iter(batches.from_step(0, replicas=1, replicas_here=range(1))))
    assert told == [None, (0.375,) * len(config.detection.class_names)]


def test_the_human_pictures_are_those_that_are_chosen(student_yaml, monkeypatch):
    batches, _ = built(student_yaml, monkeypatch)
    seen = {i for step in range(3) for i in batches.image_ids(step)["human"]}
    assert seen == {f"train_{number:06d}" for number in range(9)}
