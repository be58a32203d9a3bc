"""One training step: human and pseudo examples go through the model together."""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

import tensorflow as tf

from st_keras.config import Config
from st_keras.models import randomness
from st_keras.models.conv_gradients import ConvGradients
from st_keras.models.rematerialization import Rematerialization
from st_keras.ops import images
from st_keras.self_training.blend import Blend
from st_keras.self_training.online import OnlineTeacher, build_online
from st_keras.tasks import Task
from st_keras.training import accumulation, optimization
from st_keras.training.joint import Joint
from st_keras.training.learner import Learner
from st_keras.types import Batch, Ratio

_MODEL_SEED = 3  # Separates the draws of the model from those of the data.
_JOINT_SEED = 5  # And those of joint training from the others.


def build_step(config: Config, learner: Learner) -> "TrainStep":
    """Returns the step of a run.

    Args:
      config: Of the run; its seed decides what the model drops.
      learner: Its pieces; they include an average if the config has `pseudo.online`.
    """
    # AdamW decays by itself; SGD gets the paper's L2 on kernels.
    is_coupled = config.optimization.optimizer == "sgd"
    is_compiled = config.runtime.compiles_steps
    modes = []
    if not is_compiled and not tf.config.list_logical_devices("GPU"):
        joint = [learner.joint.model] if learner.joint else []
        modes.append(ConvGradients([learner.model, *joint]).on)
    if config.training.rematerialize:  # The innermost, as it does the others again.
        modes.append(Rematerialization(learner.model, is_compiled=is_compiled).on)
    return TrainStep(
        learner.task,
        learner.model,
        learner.optimizer,
        learner.blend,
        weight_decay=config.optimization.weight_decay if is_coupled else 0.0,
        clip_norm=config.optimization.clip_norm,
        seed=config.seed,
        joint=learner.joint,
        online=build_online(config.pseudo, learner.task, learner.average),
        slices=config.training.accumulation_steps,
        modes=modes,
    )


def unclipped(config: Config) -> Config:
    """Returns the config without clipping, to inspect the raw gradients.

    Clipping a gradient of infinite norm turns all of it into nan.
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
        joint: Joint | None = None,
        online: OnlineTeacher | None = None,
        slices: int = 1,
        modes: Sequence[Callable[[], AbstractContextManager]] = (),
    ):
        """Makes the step.

        Args:
          task: Gives the losses.
          model: From normalised images to outputs.
          optimizer: Its variables exist.
          blend: Weighs the pseudo part; None: there is none, and the human loss passes
            unchanged.
          weight_decay: L2 on kernels, added to the gradient once, outside the blend;
            0 where the optimizer decays by itself.
          clip_norm: Bound of the norm of the gradient over all replicas; 0: none.
          seed: Of the run; what the model drops is a function of it and of the step.
          joint: A classification beside the task; None: none.
          online: Labels the pseudo part; None: it comes with its labels.
          slices: How many a replica takes its examples in, one after another.
          modes: Contexts that the models are called in, the outermost first.
        """
        self._task = task
        self._model = model
        self._optimizer = optimizer
        self._blend = blend
        self._joint = joint
        self._online = online
        self._weight_decay = weight_decay
        self._clip_norm = clip_norm
        self._seed = seed
        self._slices = slices
        self._modes = modes

    def __call__(self, parts: dict[str, Batch]) -> dict[str, tf.Tensor]:
        """Takes one step and returns named [] float32 numbers, equal in all replicas.

        Args:
          parts: This replica's examples: `human`, for a student also `pseudo`, and with
            joint training also `joint`.
        """
        variables = self._model.trainable_variables
        if self._joint:
            variables = variables + self._joint.head.trainable_variables
        learning_rate = optimization.current_learning_rate(self._optimizer)
        parts = self._finish(parts)
        if self._slices > 1:
            gradients, logs = self._accumulate(parts, variables)
        else:
            with tf.GradientTape() as tape:
                ratios = self._forward(parts)
                objective, logs = self._objective(ratios)
            gradients = tape.gradient(objective, variables)
        gradients = _sum_over_replicas(gradients)
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

    def _finish(self, parts: dict[str, Batch]) -> dict[str, Batch]:
        """Returns the parts ready to learn: images finished, online labels made."""
        finished = {}
        for part, batch in parts.items():
            task = self._joint.task if part == "joint" else self._task
            image = task.finish_images(batch.image, batch.changes)
            finished[part] = batch._replace(image=image, changes=())
        if self._online:
            finished["pseudo"] = self._online.label(finished["pseudo"])
        return finished

    def _accumulate(self, parts: dict[str, Batch], variables):
        def forward(number):
            some = accumulation.take_slice(parts, number, self._slices)
            return self._forward(some, number)

        return accumulation.gradients(
            forward,
            self._objective,
            counted={
                part: accumulation.counts(*self._learner(part), batch)
                for part, batch in parts.items()
            },
            variables=variables,
            slices=self._slices,
            # Without a blend, the weights of the losses do not depend on the losses.
            looks_first=self._blend is not None,
            model=self._model,
        )

    def _learner(self, part: str) -> tuple[Task, tf.keras.Model]:
        if part == "joint":
            return self._joint.task, self._joint.model
        return self._task, self._model

    def _forward(
        self, parts: dict[str, Batch], slice_number=None
    ) -> dict[str, dict[str, Ratio]]:
        own = {part: batch for part, batch in parts.items() if part != "joint"}
        seed = self._step_seed(slice_number)
        ratios = self._look(self._task, self._model, own, seed)
        if self._joint:
            seed = randomness.fold_in(seed, _JOINT_SEED)
            with self._joint.averages_kept():
                beside = {"joint": parts["joint"]}
                ratios |= self._look(self._joint.task, self._joint.model, beside, seed)
        return ratios

    def _look(
        self, task: Task, model: tf.keras.Model, parts: dict[str, Batch], seed
    ) -> dict[str, dict[str, Ratio]]:
        """Returns the losses of parts that go through a model together."""
        pixels = tf.concat([batch.image for batch in parts.values()], axis=0)
        features = images.normalize(pixels, model.compute_dtype)
        with ExitStack() as stack:
            stack.enter_context(randomness.seeded(seed))
            for mode in self._modes:
                stack.enter_context(mode())
            outputs = model(features, training=True)
        sizes = [batch.image.shape[0] for batch in parts.values()]
        split = {name: tf.split(value, sizes) for name, value in outputs.items()}
        return {
            part: task.losses(
                batch.labels, {name: values[i] for name, values in split.items()}
            )
            for i, (part, batch) in enumerate(parts.items())
        }

    def _step_seed(self, slice_number) -> tf.Tensor:
        """Returns a [2] int32 seed of its own for each step, replica and slice."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.constant([self._seed, _MODEL_SEED], tf.int32)
        for number in (self._optimizer.iterations, replica):
            seed = randomness.fold_in(seed, number)
        return seed if slice_number is None else randomness.fold_in(seed, slice_number)

    def _objective(self, ratios: dict[str, dict[str, Ratio]]):
        """Returns this replica's share of the loss, and the numbers of all replicas.

        The gradients of the shares are summed over replicas, so a share is the
        replica's total over the count of all: to divide in each replica and then
        average would let an image in a replica with few objects weigh more.
        """
        over_all = _sum_over_replicas(ratios)
        shares, means, logs = {}, {}, {}
        for part, terms in ratios.items():
            for name, term in terms.items():
                whole = over_all[part][name]
                logs[f"{part}/{name}"] = whole.mean()
                share = term._replace(count=whole.count).mean()
                shares[part] = shares.get(part, 0.0) + share
                means[part] = means.get(part, 0.0) + whole.mean()
            logs[f"{part}/loss"] = means[part]
        factors = {"human": 1.0}
        if self._blend is not None:
            factors["human"], factors["pseudo"] = self._blend.update(
                means["human"], means["pseudo"]
            )
            mean_human, mean_pseudo = self._blend.means()
            logs |= {
                "blend/mean_human": mean_human,
                "blend/mean_pseudo": mean_pseudo,
                "blend/ratio": self._blend.ratio(),
            }
        if self._joint:
            factors["joint"] = self._joint.weight
        logs["loss"] = sum(factor * means[part] for part, factor in factors.items())
        return sum(factor * shares[part] for part, factor in factors.items()), logs


def _sum_over_replicas(values):
    replica = tf.distribute.get_replica_context()
    # No gradient flows through this sum. Saying so spares TensorFlow a search, which
    # with several replicas would walk through the graphs of all.
    values = tf.nest.map_structure(tf.stop_gradient, values)
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, values)
