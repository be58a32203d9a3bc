"""The configs of a teacher, a student and a control, made of the student's."""

import dataclasses

from st_keras.config import Config, InitConfig
from st_keras.data import dataset_info
from st_keras.experiments.data_checks import unlabeled_pictures


def teacher_config(config: Config) -> Config:
    """Returns the teacher of a student's config: human labels only.

    Its batch is as large as the student's human and pseudo parts together, so that a
    step costs the same in every run, unless `teacher_images_per_step` says otherwise.
    `self_training.teacher_joint` says whether it also learns the student's
    classification.
    """
    together = config.human.images_per_step + config.pseudo.images_per_step
    images = config.self_training.teacher_images_per_step or together
    human = dataclasses.replace(config.human, images_per_step=images)
    steps = config.self_training.teacher_steps or config.training.steps
    alone = dataclasses.replace(
        config,
        human=human,
        pseudo=None,
        joint=config.joint if config.self_training.teacher_joint else None,
        self_training=None,
        expect=None,
    )
    return with_steps(alone, steps)


def control_config(config: Config, total_steps: int) -> Config:
    """Returns the control of a student's config: all that the student has, no teacher.

    Args:
      config: The student's.
      total_steps: Of the teacher and all students together.
    """
    longer = with_steps(teacher_config(config), total_steps)
    return dataclasses.replace(longer, joint=config.joint)


def student_config(
    config: Config, labels: str, teacher: str, thresholds: str = ""
) -> Config:
    """Returns the student's config with its pseudo labels and first weights set.

    Args:
      config: The student's.
      labels: Folder of the pseudo labels; ignored if the teacher is `online`.
      teacher: Workdir of the model that made them.
      thresholds: File of its thresholds; empty: `pseudo.min_score` for all classes.
    """
    records, ids = dataset_info.shards_of(labels), ""
    if config.pseudo.online:
        records, ids = unlabeled_pictures(config.self_training)
    pseudo = dataclasses.replace(
        config.pseudo, records=records, ids=ids, thresholds=thresholds
    )
    init = config.init
    if config.self_training.student_init == "teacher":
        init = InitConfig(kind="teacher", checkpoint=teacher)
    return dataclasses.replace(config, pseudo=pseudo, self_training=None, init=init)


def with_steps(config: Config, steps: int) -> Config:
    """Returns the config for another number of steps.

    `step_boundaries` are scaled to match; the warm-up is as long as before.
    """
    factor = steps / config.training.steps
    boundaries = tuple(
        round(step * factor) for step in config.optimization.step_boundaries
    )
    return dataclasses.replace(
        config,
        training=dataclasses.replace(config.training, steps=steps),
        optimization=dataclasses.replace(
            config.optimization, step_boundaries=boundaries
        ),
    )
