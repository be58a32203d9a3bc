"""What the ledger of an experiment promises."""

import dataclasses

from st_keras import config as config_lib
from st_keras.experiments import ledger
from st_keras.experiments.ledger import Cost, Ledger

FORWARD = 7_000  # Multiply-adds of a forward pass.


def test_a_step_takes_three_passes_over_its_human_and_pseudo_images(student_config):
    # 4 human and 2 pseudo images, 12 steps: 72 images, three passes each.
    cost = ledger.training(student_config, FORWARD)
    assert cost == Cost(images=72, steps=12, multiply_adds=3 * 72 * FORWARD)


def test_pictures_of_joint_training_take_passes_of_their_own(student_config):
    # 4 more in each of 12 steps, through a classifier of another size.
    joint = config_lib.JointConfig(records="c/*.tfrecord", images_per_step=4)
    config = dataclasses.replace(student_config, joint=joint)
    cost = ledger.training(config, FORWARD, 500)
    whole = 3 * 72 * FORWARD + 3 * 48 * 500
    assert cost == Cost(images=72 + 48, steps=12, multiply_adds=whole)
    assert ledger.steps_worth(cost, config, FORWARD, 500) == 12


def test_a_teacher_that_is_asked_in_the_step_takes_one_pass_more(student_config):
    # Over the 2 pseudo images of each of 12 steps.
    config = dataclasses.replace(
        student_config,
        pseudo=dataclasses.replace(student_config.pseudo, online=True),
        self_training=dataclasses.replace(
            student_config.self_training, student_init="teacher"
        ),
    )
    cost = ledger.training(config, FORWARD)
    whole = (3 * 72 + 24) * FORWARD
    assert cost == Cost(images=72 + 24, steps=12, multiply_adds=whole)


def test_a_student_in_slices_looks_at_every_image_once_more(student_config):
    training = dataclasses.replace(student_config.training, accumulation_steps=2)
    cost = ledger.training(
        dataclasses.replace(student_config, training=training), FORWARD
    )
    # 72 images, three passes each, and one more.
    assert (cost.images, cost.multiply_adds) == (2 * 72, 4 * 72 * FORWARD)


def test_pictures_of_joint_training_are_looked_at_once_more_too(student_config):
    joint = config_lib.JointConfig(records="c/*.tfrecord", images_per_step=4)

    def cost(**training):
        training = dataclasses.replace(student_config.training, **training)
        config = dataclasses.replace(student_config, training=training, joint=joint)
        return ledger.training(config, FORWARD, 500)

    # 72 images and 48 joint ones, three passes each, and one more.
    whole = 4 * 72 * FORWARD + 4 * 48 * 500
    assert cost(accumulation_steps=2) == Cost(
        images=2 * (72 + 48), steps=12, multiply_adds=whole
    )
    # The one more may also be for the gradient: not shown again, but computed again.
    assert cost(rematerialize=True) == Cost(
        images=72 + 48, steps=12, multiply_adds=whole
    )


def test_a_teacher_in_slices_costs_what_it_costs_in_one(teacher_config):
    training = dataclasses.replace(teacher_config.training, accumulation_steps=2)
    sliced = dataclasses.replace(teacher_config, training=training)
    assert ledger.training(sliced, FORWARD) == ledger.training(teacher_config, FORWARD)


def test_looking_takes_one_pass_and_no_step():
    assert ledger.inference(95, FORWARD) == Cost(images=95, multiply_adds=95 * FORWARD)


def test_costs_add_up_field_by_field():
    one = Cost(images=3, steps=1, multiply_adds=50, device_seconds=0.5)
    other = Cost(images=4, steps=0, multiply_adds=7, device_seconds=2.25)
    assert one + other == Cost(images=7, steps=1, multiply_adds=57, device_seconds=2.75)


def test_steps_that_cost_as_much_are_rounded_up(student_config, teacher_config):
    # A teacher's step has 6 images, so 18 passes. A student of 12 steps (216 passes)
    # after a labelling of 95 views is worth (216 + 95) / 18 = 17.3 steps.
    cost = ledger.training(student_config, FORWARD) + ledger.inference(95, FORWARD)
    assert ledger.steps_worth(cost, teacher_config, FORWARD) == 18
    # Without it, exactly 12.
    cost = ledger.training(student_config, FORWARD)
    assert ledger.steps_worth(cost, teacher_config, FORWARD) == 12


def test_a_larger_student_is_worth_more_steps_of_a_small_teacher(
    student_config, teacher_config
):
    cost = ledger.training(student_config, 3 * FORWARD)
    assert ledger.steps_worth(cost, teacher_config, FORWARD) == 36


def test_a_row_that_is_noted_again_is_replaced_and_others_stay(tmp_path):
    first = Ledger(tmp_path)
    first.note("teacher", Cost(images=5, steps=1, multiply_adds=10))
    first.note("labels_1", Cost(images=8, multiply_adds=16, device_seconds=1.26))
    second = Ledger(tmp_path)
    second.note("teacher", Cost(images=6, steps=2, multiply_adds=12))
    assert list(first.rows()) == ["teacher", "labels_1"]
    assert first.rows()["teacher"].images == 6
    assert first.rows()["labels_1"].device_seconds == 1.3


def test_an_experiment_without_a_ledger_has_no_rows(tmp_path):
    assert Ledger(tmp_path / "new").rows() == {}


def test_a_doubled_batch_doubles_the_cost(teacher_config):
    human = dataclasses.replace(teacher_config.human, images_per_step=12)
    double = dataclasses.replace(teacher_config, human=human)
    once = ledger.training(teacher_config, FORWARD)
    assert ledger.training(double, FORWARD).multiply_adds == 2 * once.multiply_adds
