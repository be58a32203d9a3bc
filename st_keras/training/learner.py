"""What a run learns with: a model, and all that changes beside it."""

import dataclasses
from typing import Any

import tensorflow as tf

from st_keras.config import Config, InitConfig
from st_keras.runtime import initialization
from st_keras.self_training.blend import Blend
from st_keras.tasks import Task
from st_keras.training import optimization
from st_keras.training.averaging import AveragedModel
from st_keras.training.joint import Joint, build_joint


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learner:
    """The pieces of one run that a step works with."""

    task: Task
    model: tf.keras.Model  # Of the task.
    optimizer: Any  # Its variables exist.
    blend: Blend | None = None  # Weighs the parts of a student; None: a teacher.
    averaged: AveragedModel | None = None
    joint: Joint | None = None  # A classification beside the task.

    @property
    def average(self) -> tf.keras.Model | None:
        """The model with the averaged weights, if they are averaged."""
        return self.averaged.model if self.averaged else None

    @property
    def models(self) -> list[tf.keras.Model]:
        """The model and its average, or only the model."""
        return [self.model, self.average] if self.average else [self.model]

    @property
    def judged(self) -> tf.keras.Model:
        """The model whose weights are the run's result."""
        return self.average or self.model

    @property
    def state(self) -> dict[str, Any]:
        """All that a checkpoint stores, by its name there."""
        pieces = {
            "optimizer": self.optimizer,
            "model": self.model,
            "blend": self.blend,
            "averaged": self.average,
            "joint": self.joint and self.joint.head,
        }
        return {name: piece for name, piece in pieces.items() if piece is not None}


def build_learner(
    config: Config, tasks: dict[str, Task], *, replicas: int, init: InitConfig | None
) -> Learner:
    """Returns the pieces of a run, with variables; call it in a strategy's scope.

    Args:
      config: Of the run.
      tasks: By part of the batch; that of `human` is the run's.
      replicas: Of the strategy.
      init: Where the first weights are from; None: they are going to be restored.
    """
    task = tasks["human"]
    sync = config.runtime.sync_batch_norm and replicas > 1
    model = task.build_model(sync_batch_norm=sync)
    optimizer = optimization.build_optimizer(
        config.scaled_optimization, config.training.steps
    )
    blend = build_blend(config)
    if init:  # Before the average, which starts at these weights.
        initialization.initialize(model, init, config.section)
    averaged = None
    if config.optimization.ema_decay:
        twin = task.build_model(sync_batch_norm=sync)
        averaged = AveragedModel(model, twin, config.optimization.ema_decay)
    joint = build_joint(config.joint, tasks, model, sync_batch_norm=sync)
    heads = joint.head.trainable_variables if joint else []
    optimization.create_slots(optimizer, model.trainable_variables + heads)
    return Learner(
        task=task,
        model=model,
        optimizer=optimizer,
        blend=blend,
        averaged=averaged,
        joint=joint,
    )


def build_blend(config: Config) -> Blend | None:
    """Returns what weighs the parts of a student; None for a teacher.

    Call it in a strategy's scope, as it has variables.
    """
    if not config.pseudo:
        return None
    return Blend(
        weight=config.pseudo.weight,
        normalize=config.pseudo.normalize,
        decay=config.pseudo.decay,
        max_ratio=config.pseudo.max_ratio,
    )
