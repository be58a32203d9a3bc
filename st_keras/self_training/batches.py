"""What a training step is fed: a fixed number of examples of each part."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from st_keras.config import Config, JointConfig, PseudoConfig, RecordsConfig
from st_keras.data import dataset_info, pipeline, splits
from st_keras.data.untuned import PREFETCH
from st_keras.runtime import preflight
from st_keras.self_training import selection
from st_keras.tasks import Task, build_joint_task
from st_keras.types import Batch

# Numbers the random streams of a seed.
_STREAMS = {"human": 0, "pseudo": 1, "joint": 2}


class Examples(NamedTuple):
    """One part of a step's examples, with where they come from."""

    batch: Batch  # As fed to the step, of all replicas; the first one's rows first.
    image_ids: list[str]  # Of each row.
    serialized: list[bytes]  # The record of each row.
    info: dataset_info.DatasetInfo  # Of all the records.


def check_replicas(config: Config, replicas: int) -> None:
    """Refuses numbers of images that the replicas and their slices cannot share.

    Args:
      config: Of the run.
      replicas: Of the whole job, as far as they are known.

    Raises:
      ValueError: Names the part and the next larger number that is divisible.
    """
    slices = config.training.accumulation_steps
    shares = replicas * slices
    each = f" of {slices} slices each" if slices > 1 else ""
    for part in _STREAMS:
        settings = getattr(config, part)
        images = settings.images_per_step if settings else 0
        if images % shares:
            raise ValueError(
                f"`{part}.images_per_step` is {images} but there are {replicas} "
                f"replicas{each}; use a multiple of {shares}, such as "
                f"{(images // shares + 1) * shares}."
            )


class Batches:
    """The examples of every step of one run, as a function of the step's number."""

    def __init__(self, config: Config, task: Task):
        """Opens the records.

        Raises:
          ValueError: Records or ids are missing, human and pseudo labels have different
            classes, or thresholds or excluded ids do not belong to the pseudo labels.
        """
        self._config = config
        self._prepare: dict[str, Callable] = {}  # By part, traced once for all streams.
        self.tasks = {"human": task}  # The task of each part.
        self._settings = {"human": config.human}
        ids = splits.chosen(config.human.ids)
        self._sources = {
            "human": pipeline.open_source(
                config.human.records, ids, config.human.cache_mb
            )
        }
        if config.pseudo:
            _check_classes(config, task)
            self.tasks["pseudo"] = task
            self._settings["pseudo"] = config.pseudo
            self._min_scores = selection.min_scores(config.pseudo, task)
            self._sources["pseudo"] = pipeline.open_source(
                config.pseudo.records,
                selection.image_ids(config.pseudo),
                config.pseudo.cache_mb,
            )
        if config.joint:
            info = dataset_info.load(config.joint.records)
            self.tasks["joint"] = build_joint_task(config, info)
            self._settings["joint"] = config.joint
            ids = splits.chosen(config.joint.ids)
            self._sources["joint"] = pipeline.open_source(
                config.joint.records, ids, config.joint.cache_mb
            )

    @property
    def seed(self) -> int:
        """The seed of all draws."""
        return self._config.seed

    @property
    def parts(self) -> dict[str, int]:
        """Images per step by part, over all replicas; human first."""
        return {part: s.images_per_step for part, s in self._settings.items()}

    @property
    def fewest_at_once(self) -> int:
        """The fewest images that go through the model together, over all replicas."""
        parts = self.parts
        beside = parts.pop("joint", None)
        own = sum(parts.values())
        return own if beside is None else min(own, beside)

    def from_step(
        self, step: int, *, replicas: int, replicas_here: range
    ) -> tf.data.Dataset:
        """Returns the batches that one process feeds its replicas, in turn.

        Args:
          step: Steps already taken.
          replicas: Of the whole job.
          replicas_here: The replicas that this process feeds.

        Returns:
          Elements `{"human": Batch, "pseudo": Batch, "joint": Batch}`, each for one
          replica; no `pseudo` for a teacher, and `joint` where the config has it.
        """
        streams = {
            part: self._stream(part, step, replicas, replicas_here)
            for part in self._settings
        }
        return tf.data.Dataset.zip(streams).prefetch(PREFETCH)

    def image_ids(self, step: int) -> dict[str, list[str]]:
        """Returns the ids of the images that step number `step` trains on."""
        return {part: e.image_ids for part, e in self.examples(step).items()}

    def examples(self, step: int) -> dict[str, Examples]:
        """Returns all that step number `step` trains on, of all replicas, by part."""
        found = {}
        for part, settings in self._settings.items():
            stream = self._stream(part, step, 1, range(1), with_records=True)
            batch, image_ids, serialized = next(iter(stream))
            found[part] = Examples(
                batch=batch,
                image_ids=[image_id.decode() for image_id in image_ids.numpy()],
                serialized=serialized.numpy().tolist(),
                info=dataset_info.load(settings.records),
            )
        return found

    def _stream(self, part, step, replicas, replicas_here, with_records=False):
        settings = self._settings[part]
        images = settings.images_per_step
        prepare = self._prepare_of(part)

        def with_its_record(serialized, seed):
            batch, image_id = prepare(serialized, seed)
            return batch, image_id, serialized

        def alone(serialized, seed):
            return prepare(serialized, seed)[0]

        return pipeline.training_stream(
            self._sources[part],
            with_its_record if with_records else alone,
            seed=(self._config.seed, _STREAMS[part]),
            start=step * images,
            batch_size=images // replicas,
            shuffle_buffer=settings.shuffle_buffer,
            replicas=replicas,
            replicas_here=replicas_here,
        )

    def _prepare_of(self, part) -> Callable:
        if part not in self._prepare:
            settings = self._settings[part]
            prepare = preparation(
                part,
                settings,
                self.tasks[part],
                dataset_info.load(settings.records),
                min_scores=self._min_scores if part == "pseudo" else None,
            )
            self._prepare[part] = tf.function(prepare, autograph=False)
        return self._prepare[part]


def preparation(
    part: str,
    settings: RecordsConfig | PseudoConfig | JointConfig,
    task: Task,
    info: dataset_info.DatasetInfo,
    *,
    min_scores: Sequence[float] | None = None,
) -> Callable[[tf.Tensor, tf.Tensor], tuple[Batch, tf.Tensor]]:
    """Returns the function from a record and a seed to an example and its id.

    Args:
      part: Of the batch.
      settings: Of this part.
      task: Of this part.
      info: Of its records.
      min_scores: For a pseudo part, one for each class id.
    """
    is_online = part == "pseudo" and settings.online

    def prepare(serialized, seed):
        if is_online:  # The step makes the labels; none are read.
            prepared = task.prepare_unlabeled(serialized, seed)
        else:
            prepared = task.prepare(serialized, seed, info, min_score=min_scores)
        labels = prepared.labels
        if part == "pseudo" and not is_online:
            labels = task.pseudo_label(labels, min_score=min_scores, soft=settings.soft)
        batch = Batch(prepared.image, labels, prepared.changes)
        return batch, prepared.image_id

    return prepare


def _check_classes(config: Config, task: Task) -> None:
    if not config.pseudo.records:
        raise ValueError(
            "`pseudo.records` is not set: label images with tools/pseudo_label.py and "
            "name its output, use tools/self_train.py, or train a teacher with "
            "`--set pseudo=null`."
        )
    if config.pseudo.online:
        return  # These pictures need no labels.
    preflight.check_classes(task, config.pseudo.records)
