"""How much arithmetic a model takes to look at one image."""

import functools
import json

import tensorflow as tf

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.tasks import build_task


def of_model(model: tf.keras.Model) -> int:
    """Returns the multiply-adds of the forward pass for one image of its input size.

    They are half the operations that TensorFlow's profiler counts, as the authors
    count them.

    Raises:
      RuntimeError: The profiler cannot count this model.
    """
    # Loaded here: it takes a second.
    from official.core import train_utils

    operations = train_utils.try_count_flops(model)
    if not operations:
        raise RuntimeError(f"{model.name}: TensorFlow's profiler does not count it.")
    return operations // 2


def of_config(config: Config) -> int:
    """Returns the same for the model that a config describes.

    Args:
      config: With the names of the classes, as a run's config.yaml has them.
    """
    settings = config_lib.to_dict(config)
    described = {name: settings[name] for name in (config.task_name, "human")}
    return _of_description(json.dumps(described | {"training": settings["training"]}))


@functools.lru_cache
def _of_description(description: str) -> int:
    task = build_task(config_lib.from_dict(json.loads(description)))
    policy = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy("float32")
    try:
        return of_model(task.build_model(sync_batch_norm=False))
    finally:
        tf.keras.mixed_precision.set_global_policy(policy)
