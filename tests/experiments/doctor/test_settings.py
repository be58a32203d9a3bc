"""Each pair of settings that makes no sense together, and nothing else, is found."""

import pytest

from st_keras.experiments.doctor import checkup
from tests.experiments.doctor.ward import picture

SGD = {"optimizer": "sgd", "warmup_steps": 500}


@pytest.mark.parametrize(
    ("override", "what"),
    [
        (
            "optimization.warmup_steps=2000",
            "problem: `optimization.warmup_steps` is 2,000, but `training.steps` is",
        ),
        (
            "training.checkpoint_every_steps=2001",
            "warning: `training.checkpoint_every_steps` is 2,001",
        ),
        ("evaluation.every_steps=5000", "warning: `evaluation.every_steps` is 5,000"),
        (
            "human.images_per_step=7",  # And two pseudo-labelled ones: 9 for a teacher.
            "problem: human: a step takes 9 pictures, but there are 8",
        ),
        (
            "pseudo.images_per_step=4",
            "",  # As many as there are.
        ),
        ("pseudo.decay=0.9986", "warning: `pseudo.decay` of 0.9986 remembers"),
        ("pseudo.decay=0.9984", ""),  # 625 of 2000 steps.
        ("training.steps=501", ""),
        (
            "runtime.precision=mixed_bfloat16",
            "warning: `runtime.precision` is mixed_bfloat16 on a CPU, where",
        ),
        # Of 2000 updates: 0.999^2000 = 14 %, 0.998^2000 = 2 %.
        (
            "detection.batch_norm_momentum=0.999",
            "warning: `detection.batch_norm_momentum` is 0.999: after 2,000 updates "
            "the averages of BatchNorm, by which a model is judged and labels, still "
            "hold 14% of",
        ),
        ("detection.batch_norm_momentum=0.998", ""),
        ("detection.image_size_px=[160, 160]", ""),  # 1.6 times as large.
        (
            "detection.image_size_px=[224, 224]",
            "warning: `detection.image_size_px` is 224 x 224, but the median picture",
        ),
    ],
)
def test_a_setting_that_contradicts_another_is_found(ward, override, what):
    found = ward.found(override)
    assert len(found) == bool(what), found
    assert all(text.startswith(what) for text in found)


@pytest.mark.parametrize("self_trained", [True, False])
def test_parts_that_slices_cannot_share_are_a_problem(ward, self_trained):
    # With its teacher's eight, the trial would pass.
    odd = ["human.images_per_step=5", "pseudo.images_per_step=3"]
    assert ward.found(*odd) == []
    if not self_trained:
        ward.write("labels", [picture(f"train_{i}", 0, i) for i in (8, 9, 10)])
        odd.append(f"pseudo.records={ward.glob('labels')}")
    alone = {} if self_trained else {"self_training": None}
    config = ward.config(*odd, "training.accumulation_steps=2", **alone)
    _, found = checkup.examine(config, steps=0)
    problems = [f for f in found if f.kind == "problem"]
    assert [f.what.partition(" but")[0] for f in problems] == [
        "`human.images_per_step` is 5"
    ]
    assert problems[0].fix == "Use a multiple of 2, such as 6."


def test_a_step_larger_than_the_pictures_to_label_is_a_problem(ward):
    (found,) = ward.found("pseudo.images_per_step=5", "human.images_per_step=1")
    assert found.startswith("problem: unlabeled: a step takes 5 pictures, but there")


def test_a_teacher_alone_takes_the_pictures_of_its_own_step(ward):
    alone = {"pseudo": None, "self_training": None}
    assert ward.found("human.images_per_step=8", **alone) == []
    (found,) = ward.found("human.images_per_step=9", **alone)
    assert found.startswith("problem: human: a step takes 9 pictures")


def test_a_teacher_may_have_a_step_of_its_own(ward):
    own = "self_training.teacher_images_per_step"
    assert ward.found("human.images_per_step=7", f"{own}=7") == []
    (found,) = ward.found(f"{own}=9")
    assert found.startswith("problem: human: a step takes 9 pictures")
    (found,) = ward.found(f"{own}=2")
    assert found.startswith("warning: BatchNorm takes its statistics from 2 images")


def test_the_setting_that_makes_a_step_too_large_is_named(ward):
    def fixes(*overrides):
        _, found = checkup.examine(ward.config(*overrides), steps=0)
        return [f.fix for f in found if f.what.startswith("human: a step takes")]

    own = "self_training.teacher_images_per_step"
    assert fixes(f"{own}=9") == [f"Lower `{own}`."]
    assert fixes(f"{own}=2", "human.images_per_step=9") == [
        "Lower `human.images_per_step`."
    ]
    (together,) = fixes("human.images_per_step=7")
    assert "or `pseudo.images_per_step`, which the teacher takes together" in together


def test_a_short_teacher_must_be_through_its_warm_up(ward):
    assert ward.found("self_training.teacher_steps=501") == []
    (found,) = ward.found("self_training.teacher_steps=500")
    assert found.startswith(
        "problem: `optimization.warmup_steps` is 500, but `self_training.teacher_steps`"
    )


def test_a_rate_that_falls_after_the_last_step_is_a_warning(ward):
    def found(*boundaries):
        steps = f"optimization.step_boundaries={list(boundaries)}"
        return ward.found("optimization.schedule=step", steps)

    assert found(1000, 1999) == []
    (late,) = found(1000, 2000)
    assert late.startswith(
        "warning: `optimization.step_boundaries` has 2,000, but `training.steps` is"
    )
    # The fix keeps their ratio: 0.97 * 2000 is 1940.
    config = ward.config(
        "optimization.schedule=step", "optimization.step_boundaries=[3000, 4000]"
    )
    _, (late,) = checkup.examine(config, steps=0)
    assert late.fix == "Set it to [1455, 1940], or train for longer."
    assert found(1455, 1940) == []


def test_batch_norm_on_few_pictures_is_a_warning(ward):
    assert not ward.found("human.images_per_step=2", "pseudo.images_per_step=2")
    (found,) = ward.found("human.images_per_step=2", "pseudo.images_per_step=1")
    assert found.startswith("warning: BatchNorm takes its statistics from 3 images")


@pytest.mark.parametrize(
    ("rate", "is_far"),
    # The rule gives 0.32 * 6 / 256 = 0.0075 for six pictures a step.
    [(0.03, False), (0.0301, True), (0.001876, False), (0.001874, True)],
)
def test_a_learning_rate_far_from_the_rule_is_a_warning(ward, rate, is_far):
    slow = {"learning_rate": rate, "warmup_learning_rate": 0.0}
    found = ward.found(optimization=SGD | slow)
    assert len(found) == is_far, found
    for text in found:
        assert text.startswith(f"warning: `optimization.learning_rate` is {rate:g}")


def test_a_warm_up_that_falls_is_a_warning(ward):
    adamw = {"optimizer": "adamw", "learning_rate": 0.001}
    (found,) = ward.found(optimization=adamw)  # From 0.0067, as SGD's.
    assert found.startswith("warning: `optimization.warmup_learning_rate` is 0.0067")
    assert not ward.found(optimization=adamw | {"warmup_learning_rate": 0.001})
    assert not ward.found(optimization=adamw | {"warmup_steps": 0})


def test_the_fix_of_a_long_memory_is_no_finding(ward):
    # What the page advises for 40 steps must satisfy the page.
    short = ["training.steps=40", "optimization.warmup_steps=4"]
    short.append("training.checkpoint_every_steps=10")
    assert len(ward.found(*short, "pseudo.decay=0.99")) == 1
    assert ward.found(*short, "pseudo.decay=0.75") == []
