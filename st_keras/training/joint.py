"""A classification that is learned in the same step, by the same backbone."""

import contextlib

import tensorflow as tf

from st_keras.config import JointConfig
from st_keras.models import moving_averages
from st_keras.tasks import Task


class Joint:
    """A classifier that shares the backbone of a model, with a head of its own.

        loss = blend of human and pseudo + weight * classification

    Its pictures have a forward pass of their own, since they have a size of their own.
    There BatchNorm normalises by the statistics of these pictures alone. The averages
    that it keeps for inference stay those of the model's own pictures: the classifier
    is not used for inference, and a detector must run as it was trained.

    Source: Zoph et al. 2020, arXiv:2006.06882, table 7, which does not say what
    BatchNorm does.
    """

    def __init__(
        self,
        task: Task,
        classifier: tf.keras.Model,
        *,
        weight: float,
    ):
        """Wraps a classifier; call it in the strategy's scope that it was built in.

        Args:
          task: Of the classification.
          classifier: Its parts are "backbone", shared, and "head".
          weight: Of its loss.
        """
        self.task = task
        self.model = classifier
        self.head = classifier.get_layer("head")
        self.weight = weight

    def averages_kept(self) -> contextlib.AbstractContextManager[None]:
        """Restores the averages of the shared backbone on exit; used in a replica."""
        return moving_averages.kept([self.model.get_layer("backbone")])


def build_joint(
    config: JointConfig | None,
    tasks: dict[str, Task],
    model: tf.keras.Model,
    *,
    sync_batch_norm: bool,
) -> Joint | None:
    """Returns what a config's `joint` part adds to a model; None without one.

    Args:
      config: That part.
      tasks: By part of the batch.
      model: Built, and given its first weights.
      sync_batch_norm: As it was for the model.
    """
    if config is None:
        return None
    task = tasks["joint"]
    classifier = task.build_model_on(model, sync_batch_norm=sync_batch_norm)
    return Joint(task, classifier, weight=config.weight)
