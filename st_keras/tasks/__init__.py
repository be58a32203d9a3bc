"""What a model is trained for: the only place that knows kinds of labels."""

import dataclasses

from st_keras.config import (
    ClassificationConfig,
    Config,
    DetectionConfig,
    SegmentationConfig,
    TaskConfig,
)
from st_keras.data.augment.policies import Policy
from st_keras.data.dataset_info import DatasetInfo
from st_keras.tasks.augmentation import cropping
from st_keras.tasks.classification import ClassificationTask
from st_keras.tasks.detection import DetectionTask
from st_keras.tasks.segmentation import SegmentationTask
from st_keras.tasks.simclr import SimClrTask
from st_keras.tasks.task import Task

__all__ = [
    "Task",
    "build_joint_task",
    "build_task",
    "joint_task_of",
    "policies_of",
    "task_of_records",
    "with_class_names",
    "with_image_size",
    "with_min_score",
]

PURPOSES = ("evaluation", "labeling")
_TASKS = {
    "detection": DetectionTask,
    "segmentation": SegmentationTask,
    "classification": ClassificationTask,
    "simclr": SimClrTask,
}
_SECTIONS = {  # Of those that label pictures.
    "detection": DetectionConfig,
    "segmentation": SegmentationConfig,
    "classification": ClassificationConfig,
}


def build_task(
    config: Config,
    *,
    xla: bool = False,
    purpose: str = "evaluation",
) -> Task:
    """Returns the task a config describes.

    Args:
      config: With its class names filled in.
      xla: Whether predictions must compile with XLA, as on a TPU.
      purpose: What predictions are for; `labeling` may view a picture more thoroughly
        than `evaluation`.

    Raises:
      ValueError: The config contradicts itself, or there is no such purpose.
    """
    if purpose not in PURPOSES:
        raise ValueError(
            f"`purpose` must be one of {', '.join(PURPOSES)}, got {purpose!r}."
        )
    kind = _TASKS[config.task_name]
    return kind(kind.for_purpose(config.section, purpose), xla=xla)


def build_joint_task(config: Config, info: DatasetInfo) -> ClassificationTask:
    """Returns the classification that a config's `joint` part adds to its task.

    Args:
      config: With a `joint` part.
      info: Of the records that this part names.

    Raises:
      ValueError: These records have no classes of whole pictures.
    """
    if not info.image_class_names:
        raise ValueError(
            f"`joint.records` {config.joint.records!r} has no classes of pictures; "
            "make them with `tools/make_records.py --source class_folders`."
        )
    return joint_task_of(config, info.image_class_names)


def joint_task_of(config: Config, class_names: tuple[str, ...]) -> ClassificationTask:
    """Returns the same with names of classes of the caller, two or more."""
    settings = config.joint.classifier(config.section)
    return ClassificationTask(dataclasses.replace(settings, class_names=class_names))


def task_of_records(info: DatasetInfo) -> Task:
    """Returns a task for reading and judging labels without a model.

    Args:
      info: Of records with labels of one kind, such as pseudo labels.

    Raises:
      ValueError: The records have no labels, or those of several kinds.
    """
    named = {
        name: names
        for name in _SECTIONS
        if (names := getattr(info, _TASKS[name].names_field))
    }
    if len(named) != 1:
        raise ValueError(
            f"The records have labels for {' and '.join(named) or 'no task'}; it takes "
            "those of exactly one."
        )
    ((name, class_names),) = named.items()
    return _TASKS[name](_SECTIONS[name](class_names=class_names))


def policies_of(config: Config) -> dict[str, Policy]:
    """Returns the augmentation policies of the config's task, by name."""
    policies = _TASKS[config.task_name].policies
    crop = getattr(config.section, "crop", None)
    return policies if crop is None else cropping(policies, crop)


def with_image_size(config: Config, image_size_px: tuple[int, int]) -> Config:
    """Returns the config with another size of the network's input.

    A model's weights do not depend on it.

    Raises:
      ValueError: The model cannot have this size.
    """
    return _with_section(
        config, dataclasses.replace(config.section, image_size_px=image_size_px)
    )


def with_min_score(config: Config, min_score: float) -> Config:
    """Returns the config with another score at or under which no box is predicted.

    Pixels and whole pictures always get their best class.

    Raises:
      ConfigError: The score is out of range.
    """
    if config.detection is None:
        return config
    postprocess = dataclasses.replace(config.detection.postprocess, min_score=min_score)
    return _with_section(
        config, dataclasses.replace(config.detection, postprocess=postprocess)
    )


def with_class_names(config: Config, info: DatasetInfo) -> Config:
    """Returns the config with the classes that its human records name.

    The list of classes has one source, the records; a config may only confirm it.

    Args:
      config: With the classes to confirm, or with none.
      info: Of the human records.

    Raises:
      ValueError: The config names other classes, or the records have no labels of the
        task's kind.
    """
    kind = _TASKS[config.task_name]
    if not kind.names_field:
        return config
    in_records = getattr(info, kind.names_field)
    if not in_records:
        raise ValueError(
            f"`human.records` {config.human.records!r} has no classes for "
            f"{config.task_name}: it was made from pictures without such labels."
        )
    names = kind.by_class_id(config.section, in_records)
    stated = config.section.class_names
    if stated and stated != names:
        raise ValueError(
            f"`{config.task_name}.class_names` is {', '.join(stated)} but "
            f"`human.records` has {', '.join(names)}."
        )
    return _with_section(config, dataclasses.replace(config.section, class_names=names))


def _with_section(config: Config, section: TaskConfig) -> Config:
    return dataclasses.replace(config, **{config.task_name: section})
