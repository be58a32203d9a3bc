"""Replays a step that was not finite, eagerly, to find where it began.

The state before the step and its batch come from the folder that the run has left; the
step is the run's own, on as many replicas, all on the CPU. Only the optimizer is
replaced: nothing is learned. A batch that the run took in slices is taken whole.
"""

import contextlib
import dataclasses
import os
import pathlib

import numpy as np
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.runtime import checkpoints, preflight
from st_keras.runtime import strategy as strategies
from st_keras.self_training.batches import Batches
from st_keras.tasks import Task, build_task
from st_keras.training.learner import build_learner
from st_keras.training.nonfinite import black_box
from st_keras.training.nonfinite.probes import Probes, Seen
from st_keras.training.step import build_step, unclipped
from st_keras.types import Batch


@dataclasses.dataclass(kw_only=True)
class Terms:
    """The losses of one part in one replica, and what they were made of."""

    part: str
    task: Task  # Of the part; that of `joint` is a classification.
    replica: int
    labels: object
    outputs: dict
    totals: dict[str, float]  # By name, not divided by their counts.
    # Of the loss, with respect to the model's outputs.
    gradients: Seen = dataclasses.field(default_factory=Seen)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replayed:
    """All that was observed of a step."""

    facts: dict  # As the run has written them.
    is_same: bool  # Whether the weights are those of the run.
    slices: int  # In which the run took its batch; here it is whole.
    parts: dict[str, Batch]  # Of all replicas, NumPy.
    values: dict[str, float]  # Named numbers of the step.
    weights: dict[str, Seen]
    gradients: dict[str, Seen]  # By variable, before clipping.
    probes: Probes
    terms: list[Terms]

    def image_ids(self, part: str, replica: int) -> list[str]:
        """Returns the ids of a replica's images."""
        ids = self.facts["images"][part]
        count = len(ids) // self.facts["replicas"]
        return ids[replica * count : (replica + 1) * count]

    def images_of(self, rows: np.ndarray, replica: int) -> list[str]:
        """Returns the images that a model's rows belong to, as `part: id`.

        Args:
          rows: [B] bool, True for those asked for; the parts follow one another.
          replica: Whose rows.

        Returns:
          Nothing if the rows do not fit the images, or may be of either forward pass.
        """
        # Joint examples go through the layers on their own.
        own = [part for part in self.parts if part != "joint"]
        beside = [part for part in self.parts if part == "joint"]
        together = [
            [
                f"{part}: {image_id}"
                for part in parts
                for image_id in self.image_ids(part, replica)
            ]
            for parts in (own, beside)
        ]
        fitting = [ids for ids in together if ids and not len(rows) % len(ids)]
        if len(fitting) != 1:
            return []
        (ids,) = fitting
        views = len(rows) // len(ids)  # Of one image, next to each other.
        found = np.flatnonzero(rows.reshape([len(ids), views]).any(axis=1))
        return [ids[i] for i in found]


def replay(folder: str) -> Replayed:
    """Replays the step of a folder and returns what was observed.

    Args:
      folder: `debug/step_N` of a run.

    Raises:
      ValueError: The folder is not one, or is of another version.
    """
    facts = black_box.read_facts(folder)
    config = _config_of(folder, facts)
    slices = config.training.accumulation_steps
    replicas = facts["replicas"]
    runtime = dataclasses.replace(
        config.runtime,
        strategy="mirrored" if replicas > 1 else "one_device",
        tpu="",
        jit_compile=False,
    )
    # A watched layer must be called only once, and the losses of a part with it.
    training = dataclasses.replace(
        config.training, rematerialize=False, accumulation_steps=1
    )
    config = dataclasses.replace(config, runtime=runtime, training=training)
    devices = [f"CPU:{number}" for number in range(replicas)]
    strategies.configure(runtime)
    strategy = strategies.build_strategy(runtime, devices)
    task = build_task(config)
    batches = Batches(config, task)
    probes, terms = Probes(), []
    with strategy.scope():
        learner = build_learner(config, batches.tasks, replicas=replicas, init=None)
    _restore(folder, learner.state)
    parts = _read_batch(folder, batches)
    model, joint = learner.model, learner.joint
    watched = black_box.GradientWatch(learner.optimizer, _seen)
    order = list(batches.parts)
    watched_task = _WatchedTask(task, probes, terms, order)
    if joint:
        joint.task = _WatchedTask(joint.task, probes, terms, order)
    step = build_step(
        unclipped(config),
        dataclasses.replace(learner, task=watched_task, optimizer=watched),
    )

    def share(context):
        def cut(value):
            size = len(value) // replicas
            first = context.replica_id_in_sync_group * size
            return tf.constant(value[first : first + size])

        return tf.nest.map_structure(cut, parts)

    given = strategy.experimental_distribute_values_from_function(share)
    is_same = black_box.weights_digest(model) == facts["weights_sha256"]
    models = [model, joint.head] if joint else [model]
    weights = {v.name: _seen(v) for m in models for v in m.trainable_variables}
    with contextlib.ExitStack() as stack:
        for one in models:
            stack.enter_context(probes.on(one))
        numbers = strategy.run(step, args=(given,))
    values = {
        name: float(strategy.experimental_local_results(value)[0])
        for name, value in numbers.items()
    }
    return Replayed(
        facts=facts,
        is_same=is_same,
        slices=slices,
        parts=parts,
        values=values,
        weights=weights,
        gradients=watched.seen,
        probes=probes,
        terms=terms,
    )


def use_cpus(replicas: int) -> None:
    """Gives the process one CPU device for each replica and nothing else.

    Call it before anything else in TensorFlow.
    """
    tf.config.set_visible_devices([], "GPU")
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
    )


def _config_of(folder: str, facts: dict) -> Config:
    """Returns the config of the run, with the folder's records in place of its own."""
    config = config_lib.load(str(pathlib.Path(folder, preflight.CONFIG_FILE)))
    changes: dict[str, object] = {"seed": facts["seed"]}
    for part in facts["images"]:
        settings = getattr(config, part)
        # These name files of the whole run, which need not be there.
        empty = [n for n in ("ids", "thresholds", "exclude") if hasattr(settings, n)]
        changes[part] = dataclasses.replace(
            settings,
            records=str(pathlib.Path(folder, part, "*.tfrecord")),
            **dict.fromkeys(empty, ""),
        )
    return dataclasses.replace(config, **changes)


def _restore(folder: str, state: dict) -> None:
    found = checkpoints.find_model(folder)
    status = tf.train.Checkpoint(**state).read(os.path.abspath(found.prefix))
    try:
        status.assert_existing_objects_matched()
    except AssertionError as error:
        raise ValueError(f"{folder}: holds another model: {error}") from None
    status.expect_partial()


def _read_batch(folder: str, batches: Batches) -> dict[str, Batch]:
    stream = batches.from_step(0, replicas=1, replicas_here=range(1))
    spec = stream.element_spec
    with np.load(
        pathlib.Path(folder, black_box.BATCH_FILE), allow_pickle=False
    ) as file:
        leaves = [file[name] for name in black_box.named(spec)]
    return tf.nest.pack_sequence_as(spec, leaves)


class _WatchedTask:
    """Takes the place of the task in a step."""

    def __init__(
        self, task: Task, probes: Probes, terms: list[Terms], parts: list[str]
    ):
        self._task = task
        self._parts = parts
        self._probes = probes
        self._terms = terms

    def __getattr__(self, name: str):
        return getattr(self._task, name)

    def losses(self, labels, outputs):
        replica = int(tf.distribute.get_replica_context().replica_id_in_sync_group or 0)
        # A step asks for the losses of its parts in their order.
        done = sum(terms.replica == replica for terms in self._terms)
        seen = Terms(
            part=self._parts[done],
            task=self._task,
            replica=replica,
            labels=labels,
            outputs=outputs,
            totals={},
        )
        outputs = self._probes.watch(outputs, Seen(), seen.gradients)
        ratios = self._task.losses(labels, outputs)
        seen.totals = {name: float(ratio.total) for name, ratio in ratios.items()}
        self._terms.append(seen)
        return ratios


def _seen(tensor) -> Seen:
    seen = Seen()
    seen.add(tf.convert_to_tensor(tensor))
    return seen
