"""Counts the multiply-adds that a model takes for one image."""

import functools
import json

import tensorflow as tf

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.data import dataset_info
from st_keras.runtime import strategy as strategies
from st_keras.tasks import (
    build_joint_task,
    build_task,
    joint_task_of,
    with_class_names,
)


def of_model(model: tf.keras.Model) -> int:
    """Returns the multiply-adds of the forward pass for one image of its input size.

    They are half the operations that TensorFlow's profiler counts, as the authors
    count them. tf-models-official's `try_count_flops` gives the same, but makes
    constants of the weights first: with EfficientNet-L2, over 18 GB.

    Raises:
      RuntimeError: The profiler cannot count this model.
    """
    # Tells the profiler what an einsum takes, such as that of `ops/bilinear.py`.
    from official.core import train_utils as _  # noqa: F401

    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder.float_operation()
    options = profiler.ProfileOptionBuilder(options).with_empty_output().build()
    image = tf.TensorSpec([1, *model.inputs[0].shape[1:]], model.inputs[0].dtype)
    forward = tf.function(lambda x: model(x, training=False), autograph=False)
    graph = forward.get_concrete_function(image).graph
    operations = profiler.profile(graph, options=options).total_float_ops
    if not operations:
        raise RuntimeError(f"{model.name}: TensorFlow's profiler does not count it.")
    return operations // 2


def of_config(config: Config) -> int:
    """Returns the same for the model that a config describes.

    Args:
      config: With the names of the classes, as a run's config.yaml has them.
    """
    return _of_description(_description(config, config.task_name))


def of_joint(config: Config) -> int:
    """Returns the same for the classifier of a config's joint training; 0 without.

    Args:
      config: With the names of the classes.

    Raises:
      ValueError: The records of the classification are not there.
    """
    if config.joint is None:
        return 0
    info = dataset_info.load(config.joint.records)
    names = build_joint_task(config, info).class_names
    return _of_joint(config, names)


def of_training(config: Config) -> tuple[int, int]:
    """Returns the multiply-adds of a config's model and of its joint classifier.

    The names of the classes come from its records. Where these are elsewhere, the
    config's names are used and a classifier of two classes is counted: the last layer
    is under a thousandth of ResNet-50, also with 1000 classes.

    Raises:
      ValueError: There are neither records nor names.
    """
    try:
        config = with_class_names(config, dataset_info.load(config.human.records))
    except ValueError:
        if not config.section.class_names:
            raise
    forward = of_config(config)
    try:
        return forward, of_joint(config)
    except ValueError:
        return forward, _of_joint(config, ("one", "other"))


def _of_joint(config: Config, class_names: tuple[str, ...]) -> int:
    description = _description(config, config.task_name, "joint")
    return _of_joint_description(description, class_names)


def _description(config: Config, *parts: str) -> str:
    """Returns the settings that define the model, as a key to count each only once."""
    settings = config_lib.to_dict(config)
    # Every config must have these, but no model depends on them.
    required = {"human": {"records": "any"}, "training": {"steps": 1}}
    of_model = {name: dict(settings[name]) for name in parts}
    for part in of_model.values():
        part.pop("augment", None)
    return json.dumps(required | of_model)


@functools.lru_cache
def _of_description(description: str) -> int:
    task = build_task(config_lib.from_dict(json.loads(description)))
    with strategies.precision("float32"):
        return of_model(task.build_model(sync_batch_norm=False))


@functools.lru_cache
def _of_joint_description(description: str, class_names: tuple[str, ...]) -> int:
    config = config_lib.from_dict(json.loads(description))
    beside = joint_task_of(config, class_names)
    with strategies.precision("float32"):
        model = build_task(config).build_model(sync_batch_norm=False)
        return of_model(beside.build_model_on(model, sync_batch_norm=False))
