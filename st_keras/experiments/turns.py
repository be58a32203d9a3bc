"""One turn of self-training: a model labels pictures, a student learns from them."""

import dataclasses

from st_keras.config import Config
from st_keras.experiments.data_checks import held_out_pictures, unlabeled_pictures
from st_keras.experiments.roles import student_config
from st_keras.experiments.stages import Stages


@dataclasses.dataclass(frozen=True, kw_only=True)
class Turn:
    """The names of the stages of one turn; an empty one is left out."""

    model: str  # Labels the pictures; made before.
    labels: str  # Of the pictures without labels by people.
    held_out: str  # By the model too, of pictures with labels by people ...
    thresholds: str  # ... from which these are chosen.
    student: str

    def made(self) -> list[str]:
        """Returns the stages that the turn makes, the student last."""
        names = [self.labels, self.held_out, self.thresholds, self.student]
        return [name for name in names if name]


def label(turn: Turn, config: Config, stages: Stages) -> None:
    """Makes the labels of a turn, and the thresholds if it has any.

    Args:
      turn: Its model is trained.
      config: The student's, with a `self_training` part.
      stages: Of the experiment.
    """
    settings = config.self_training
    if turn.labels:
        stages.label(turn.labels, turn.model, settings, unlabeled_pictures(settings))
    if turn.thresholds:
        stages.label(turn.held_out, turn.model, settings, held_out_pictures(config))
        stages.calibrate(turn.thresholds, turn.held_out, turn.model, config)


def student_of(turn: Turn, config: Config, stages: Stages) -> Config:
    """Returns the config of a turn's student, whose labels need not be there yet.

    Args:
      turn: Of the student.
      config: As for `label`.
      stages: Of the experiment.
    """
    return student_config(
        config,
        labels=turn.labels and stages.path(turn.labels),
        teacher=stages.path(turn.model),
        thresholds=turn.thresholds and stages.thresholds_file(turn.thresholds),
    )
