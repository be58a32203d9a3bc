"""A teacher that labels the pictures of a step while its student learns."""

from collections.abc import Sequence

import tensorflow as tf

from st_keras.config import PseudoConfig
from st_keras.ops import images
from st_keras.self_training import selection
from st_keras.tasks import Task
from st_keras.types import Batch


class OnlineTeacher:
    """The moving average of the student, asked for labels at every step.

    Its labels are treated like stored ones: those under `min_score` are dropped, the
    rest is blended in. It sees the very pixels that the student learns from, so no box
    has to be moved. Its advantage over the student: its weights are a mean over many
    steps, and its layers drop nothing.

    Source: Tarvainen and Valpola 2017, arXiv:1703.01780, for the average as a teacher.
    """

    def __init__(
        self,
        task: Task,
        average: tf.keras.Model,
        *,
        min_score: float | Sequence[float],
        soft: bool,
    ):
        """Makes the teacher.

        Args:
          task: Of the student.
          average: Its averaged weights, which change after each step.
          min_score: As in `Task.pseudo_label`.
          soft: As in `Task.pseudo_label`.
        """
        self._task = task
        self._average = average
        self._min_score = min_score
        self._soft = soft

    def label(self, batch: Batch) -> Batch:
        """Returns the batch with the labels filled in; compiles with XLA.

        Args:
          batch: Pictures exactly as the student sees them, with no changes pending.
        """
        pixels = images.normalize(batch.image, self._average.compute_dtype)
        seen = self._task.online_labels(
            self._average(pixels, training=False), batch.labels
        )
        labels = self._task.pseudo_label(
            seen, min_score=self._min_score, soft=self._soft
        )
        # The student's loss must not train the teacher.
        return batch._replace(labels=tf.nest.map_structure(tf.stop_gradient, labels))


def build_online(
    config: PseudoConfig | None, task: Task, average: tf.keras.Model | None
) -> OnlineTeacher | None:
    """Returns the teacher that a config's `pseudo` part asks for, or None.

    Args:
      config: That part.
      task: Of the student.
      average: Its averaged weights; there when the config asks for a teacher.
    """
    if config is None or not config.online:
        return None
    min_score = selection.min_scores(config, task)
    return OnlineTeacher(task, average, min_score=min_score, soft=config.soft)
