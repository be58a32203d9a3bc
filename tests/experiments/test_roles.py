"""What a teacher, a student and a control have of the config they are made of."""

import dataclasses

import pytest

from st_keras import config as config_lib
from st_keras.experiments import roles


def test_a_teacher_sees_as_many_pictures_a_step_as_its_student(student_config):
    teacher = roles.teacher_config(student_config)
    assert teacher.pseudo is None
    assert teacher.human.images_per_step == 4 + 2
    assert teacher.training.steps == student_config.training.steps


def test_a_teacher_may_have_a_batch_of_its_own(student_config):
    settings = dataclasses.replace(
        student_config.self_training, teacher_images_per_step=5
    )
    config = dataclasses.replace(student_config, self_training=settings)
    assert roles.teacher_config(config).human.images_per_step == 5


def test_a_student_may_start_from_its_teacher(student_config):
    config = student_config
    settings = dataclasses.replace(config.self_training, student_init="teacher")
    config = dataclasses.replace(config, self_training=settings)
    made = roles.student_config(config, "w/labels_1", "w/teacher")
    assert (made.init.kind, made.init.checkpoint) == ("teacher", "w/teacher")
    assert made.pseudo.records == "w/labels_1/*.tfrecord"


def test_a_longer_run_stretches_its_schedule(student_config):
    optimization = dataclasses.replace(
        student_config.optimization, schedule="step", step_boundaries=(6, 9)
    )
    config = dataclasses.replace(student_config, optimization=optimization)
    assert roles.with_steps(config, 36).optimization.step_boundaries == (18, 27)


@pytest.mark.parametrize("teacher_joint", [True, False])
def test_a_teacher_has_the_joint_part_or_not_and_the_control_has_it(
    joint_yaml, teacher_joint
):
    config = config_lib.load(
        joint_yaml, [f"self_training.teacher_joint={str(teacher_joint).lower()}"]
    )
    teacher = roles.teacher_config(config)
    assert teacher.joint == (config.joint if teacher_joint else None)
    assert roles.student_config(config, "w/labels_1", "w/t").joint == config.joint
    control = roles.control_config(config, 24)
    assert (control.joint, control.pseudo) == (config.joint, None)
    assert control.training.steps == 24


def test_a_live_teacher_is_shown_the_pictures_and_not_stored_labels(student_yaml):
    online = ["pseudo.online=true", "self_training.student_init=teacher"]
    config = config_lib.load(student_yaml, online)
    student = roles.student_config(config, "", "w/teacher")
    settings = config.self_training
    assert student.pseudo.records == settings.unlabeled_records
    assert student.pseudo.ids == settings.unlabeled_ids
    assert (student.init.kind, student.init.checkpoint) == ("teacher", "w/teacher")
