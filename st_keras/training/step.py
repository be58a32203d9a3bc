"""One training step: one forward pass over human and pseudo examples together."""

import dataclasses

import tensorflow as tf

from st_keras.config import Config
from st_keras.models import randomness
from st_keras.ops import images
from st_keras.self_training.blend import Blend
from st_keras.tasks import Task
from st_keras.training import optimization
from st_keras.types import Batch, Ratio

_MODEL_SEED = 3  # Tells the draws of the model from those of the data.


def build_blend(config: Config) -> Blend | None:
    """Returns what weighs the parts of a student; None for a teacher.

    Within a strategy's scope, as it has variables.
    """
    if not config.pseudo:
        return None
    return Blend(
        weight=config.pseudo.weight,
        normalize=config.pseudo.normalize,
        decay=config.pseudo.decay,
        max_ratio=config.pseudo.max_ratio,
    )


def build_step(
    config: Config, task: Task, model: tf.keras.Model, optimizer, blend: Blend | None
) -> "TrainStep":
    """Returns the step of a run.

    Args:
      config: Of the run; its seed is that of what the model drops.
      task: Gives the losses.
      model: Of the task.
      optimizer: Its variables exist.
      blend: Of `build_blend`.
    """
    # AdamW decays by itself; SGD gets the paper's L2 on kernels.
    is_coupled = config.optimization.optimizer == "sgd"
    return TrainStep(
        task,
        model,
        optimizer,
        blend,
        weight_decay=config.optimization.weight_decay if is_coupled else 0.0,
        clip_norm=config.optimization.clip_norm,
        seed=config.seed,
    )


def unclipped(config: Config) -> Config:
    """Returns the config of a step whose gradients are looked at as they come.

    A clipped gradient of infinite norm is nothing but nan.
    """
    plain = dataclasses.replace(config.optimization, clip_norm=0.0)
    return dataclasses.replace(config, optimization=plain)


class TrainStep:
    """What happens in each replica at each step."""

    def __init__(
        self,
        task: Task,
        model: tf.keras.Model,
        optimizer,
        blend: Blend | None,
        *,
        weight_decay: float,
        clip_norm: float,
        seed: int = 0,
    ):
        """Makes the step.

        Args:
          task: Gives the losses.
          model: From normalised images to outputs.
          optimizer: Its variables exist.
          blend: Weighs the pseudo part; None for a teacher.
          weight_decay: L2 on kernels, added to the gradient once, outside the blend;
            0 where the optimizer decays by itself.
          clip_norm: Bound of the norm of the gradient over all replicas; 0: none.
          seed: Of the run; what the model drops is a function of it and of the step.
        """
        self._task = task
        self._model = model
        self._optimizer = optimizer
        self._blend = blend
        self._weight_decay = weight_decay
        self._clip_norm = clip_norm
        self._seed = seed

    def __call__(self, parts: dict[str, Batch]) -> dict[str, tf.Tensor]:
        """Takes one step and returns named [] float32 numbers, equal in all replicas.

        Args:
          parts: This replica's `human` and, for a student, `pseudo` examples.
        """
        variables = self._model.trainable_variables
        learning_rate = optimization.current_learning_rate(self._optimizer)
        with tf.GradientTape() as tape:
            ratios = self._forward(parts)
            objective, logs = self._objective(ratios)
        gradients = _sum_over_replicas(tape.gradient(objective, variables))
        if self._weight_decay:
            gradients = [
                g + self._weight_decay * v if optimization.is_kernel(v) else g
                for g, v in zip(gradients, variables, strict=True)
            ]
        norm = tf.linalg.global_norm(gradients)
        if self._clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm, norm)
        self._optimizer.apply_gradients(
            zip(gradients, variables, strict=True),
            experimental_aggregate_gradients=False,
        )
        return logs | {"gradient_norm": norm, "learning_rate": learning_rate}

    @property
    def steps_taken(self) -> tf.Variable:
        """Counts the steps of the run, over its restarts."""
        return self._optimizer.iterations

    def _forward(self, parts: dict[str, Batch]) -> dict[str, dict[str, Ratio]]:
        finished = [
            self._task.finish_images(b.image, b.changes) for b in parts.values()
        ]
        pixels = tf.concat(finished, axis=0)
        features = images.normalize(pixels, self._model.compute_dtype)
        with randomness.seeded(self._step_seed()):
            outputs = self._model(features, training=True)
        sizes = [part.shape[0] for part in finished]
        split = {name: tf.split(value, sizes) for name, value in outputs.items()}
        return {
            part: self._task.losses(
                batch.labels, {name: values[i] for name, values in split.items()}
            )
            for i, (part, batch) in enumerate(parts.items())
        }

    def _step_seed(self) -> tf.Tensor:
        """Returns a [2] int32 seed of its own for each step and replica."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.constant([self._seed, _MODEL_SEED], tf.int32)
        for number in (self._optimizer.iterations, replica):
            seed = randomness.fold_in(seed, number)
        return seed

    def _objective(self, ratios: dict[str, dict[str, Ratio]]):
        """Returns this replica's share of the loss, and the numbers of all replicas.

        Replicas add up their shares' gradients, so a share is the replica's total over
        the count of all: dividing in each replica and averaging then would let an
        image in a replica with few objects weigh more.
        """
        over_all = _sum_over_replicas(ratios)
        shares, means, logs = {}, {}, {}
        for part, terms in ratios.items():
            for name, term in terms.items():
                count = tf.maximum(over_all[part][name].count, 1.0)
                mean = over_all[part][name].total / count
                logs[f"{part}/{name}"] = mean
                shares[part] = shares.get(part, 0.0) + term.total / count
                means[part] = means.get(part, 0.0) + mean
            logs[f"{part}/loss"] = means[part]
        if self._blend is None:
            return shares["human"], logs | {"loss": means["human"]}
        human_factor, pseudo_factor = self._blend.update(
            means["human"], means["pseudo"]
        )
        mean_human, mean_pseudo = self._blend.means()
        logs |= {
            "loss": human_factor * means["human"] + pseudo_factor * means["pseudo"],
            "blend/mean_human": mean_human,
            "blend/mean_pseudo": mean_pseudo,
            "blend/ratio": self._blend.ratio(),
        }
        objective = human_factor * shares["human"] + pseudo_factor * shares["pseudo"]
        return objective, logs


def _sum_over_replicas(values):
    replica = tf.distribute.get_replica_context()
    # Nothing is differentiated through this sum, and TensorFlow need not look for what
    # could be: with several replicas it would walk through the graphs of all.
    values = tf.nest.map_structure(tf.stop_gradient, values)
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, values)
