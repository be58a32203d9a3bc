"""What the models of all tasks are built with."""

from st_keras import models
from st_keras.config import TaskConfig


def backbone_arguments(config: TaskConfig, *, sync_batch_norm: bool) -> dict:
    """Returns the arguments that every function of `models` takes.

    Args:
      config: Of the task.
      sync_batch_norm: Whether statistics are of all replicas together.
    """
    return {
        "backbone": config.backbone,
        "flavor": config.flavor,
        "activation": config.activation,
        "drop_connect": config.drop_connect,
        "norm": models.Norm(
            momentum=config.batch_norm_momentum,
            epsilon=config.batch_norm_epsilon,
            synchronized=sync_batch_norm,
        ),
    }
