"""What a model is for: the only place that knows boxes from label maps."""

import dataclasses

from st_keras.config import Config
from st_keras.tasks.detection import DetectionTask
from st_keras.tasks.task import Task

__all__ = ["Task", "build_task", "with_class_names", "with_image_size"]


def build_task(
    config: Config, *, xla: bool = False, min_score: float | None = None
) -> Task:
    """Returns the task a config describes.

    Args:
      config: With its class names filled in.
      xla: Whether predictions must compile with XLA, as on a TPU.
      min_score: Replaces the config's score under which predictions are not kept.
    """
    detection = config.detection
    if min_score is not None:
        postprocess = dataclasses.replace(detection.postprocess, min_score=min_score)
        detection = dataclasses.replace(detection, postprocess=postprocess)
    return DetectionTask(detection, xla=xla)


def with_image_size(config: Config, image_size_px: tuple[int, int]) -> Config:
    """Returns the config with another size of the network's input.

    A model's weights do not depend on it.

    Raises:
      ValueError: The model cannot have this size.
    """
    detection = dataclasses.replace(config.detection, image_size_px=image_size_px)
    return dataclasses.replace(config, detection=detection)


def with_class_names(config: Config, names: tuple[str, ...]) -> Config:
    """Returns the config with the classes that its human records speak of.

    The list of classes has one source, the records; a config may only confirm it.

    Args:
      config: With the classes to confirm, or with none.
      names: Of the labels from 1 on. Where class id 0 is label 0, as in the authors'
        checkpoints, `background` comes before them.

    Raises:
      ValueError: The config names other classes, or there are none.
    """
    stated = config.detection.class_names
    if not names:
        raise ValueError(
            f"`human.records` {config.human.records!r} has no classes: it was made "
            "from pictures without labels."
        )
    if config.detection.label_of_class_0 == 0:
        names = ("background", *names)
    if stated and stated != names:
        raise ValueError(
            f"`detection.class_names` is {', '.join(stated)} but `human.records` has "
            f"{', '.join(names)}."
        )
    detection = dataclasses.replace(config.detection, class_names=names)
    return dataclasses.replace(config, detection=detection)
