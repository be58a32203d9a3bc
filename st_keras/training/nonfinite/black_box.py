"""Keeps a step with a number that is not finite, so that it can be replayed elsewhere.

`debug/step_N` is itself the folder of a run: config.yaml and a checkpoint of the state
before the step, so that every tool opens it. Beside them are the step's records, a
folder for each part; batch.npz, the augmented batch; and black_box.json, the facts.
"""

import dataclasses
import hashlib
import json
import math
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from absl import logging

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.data import dataset_info
from st_keras.data.records import IMAGES_FILE
from st_keras.runtime import hosts as hosts_lib
from st_keras.runtime import preflight, run_log
from st_keras.runtime import strategy as strategies
from st_keras.runtime.checkpoints import Checkpoints
from st_keras.runtime.snapshot import Snapshot
from st_keras.self_training.batches import Batches, Examples
from st_keras.training.learner import Learner
from st_keras.training.nonfinite.rescue import Failure
from st_keras.training.step import build_step, unclipped

FOLDER = "debug"
FACTS_FILE, BATCH_FILE = "black_box.json", "batch.npz"
_MOST = 3  # Folders per run, as each holds a whole checkpoint.
_SHARD = "records-00000-of-00001.tfrecord"


class BlackBox:
    """Writes the folders of one run."""

    def __init__(
        self,
        config: Config,
        workdir: str,
        strategy: tf.distribute.Strategy,
        learner: Learner,
        saved: Checkpoints,
    ):
        """Takes the pieces of the run; `config` is what was written to its folder."""
        self._config = config
        self._folder = pathlib.Path(workdir, FOLDER)
        self._strategy = strategy
        self._learner = learner
        self._saved = saved

    def write(self, failure: Failure) -> tuple[str, dict[str, list[str]]]:
        """Writes the folder of a failure, replacing one of the same step.

        Args:
          failure: The failed step; the run's state must be that before it.

        Returns:
          The folder, or "" if the run already has enough or the folder could not be
          written, which is logged; and the ids of the step's images by part.
        """
        batches = Batches(failure.config, self._learner.task)
        examples = batches.examples(failure.step)
        image_ids = {part: found.image_ids for part, found in examples.items()}
        folder = self._folder / f"step_{failure.step}"
        others = set(self._folder.glob("step_*")) - {folder}
        is_full = len([other for other in others if other.suffix != ".tmp"]) >= _MOST
        hosts = hosts_lib.of_strategy(self._strategy)
        # The chief decides: the others need not see its disk.
        if hosts.gather(b"full" * is_full, "room for the step")[0]:
            return "", image_ids
        # What the hosts do together comes first, then the files of each of them: if one
        # fails alone, as on a full disk, the others must not be left waiting.
        facts = self._facts(failure, batches) | {"images": image_ids}
        temporary = _empty(folder.with_suffix(".tmp"), is_kept=hosts.is_chief)
        try:
            self._saved.save_to(str(temporary))
            if hosts.is_chief:
                self._fill(temporary, facts, examples)
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(temporary, folder)
        except (OSError, tf.errors.OpError) as error:
            # Such as a full disk: no reason to end a run that may go on.
            logging.warning("%s: the step could not be kept: %s", folder, error)
            return "", image_ids
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return str(folder), image_ids

    def _fill(
        self, temporary: pathlib.Path, facts: dict, examples: dict[str, Examples]
    ) -> None:
        """Writes all but the checkpoint into a folder."""
        config_lib.save(self._config, str(temporary / preflight.CONFIG_FILE))
        for part, found in examples.items():
            note = f"step {facts['step']}, {part}"
            digests = dataset_info.picture_digests(getattr(self._config, part).records)
            _write_records(temporary / part, found, digests, note)
        batch = {part: found.batch for part, found in examples.items()}
        np.savez(
            temporary / BATCH_FILE,
            **{name: value.numpy() for name, value in named(batch).items()},
        )
        run_log.write_json(temporary / FACTS_FILE, facts)

    def _facts(self, failure: Failure, batches: Batches) -> dict:
        norms, again = self._gradient_norms(failure, batches)
        return {
            "step": failure.step,
            "values": _readable(failure.values),
            "values_when_taken_again": _readable(again),
            "gradient_norms": _readable(norms),
            "learning_rate": failure.values["learning_rate"],
            "seed": failure.config.seed,
            "recoveries": failure.recoveries,
            "replicas": self._strategy.num_replicas_in_sync,
            "weights_sha256": weights_digest(self._learner.model),
            "last_checkpoint": failure.checkpoint,
            "tensorflow": tf.__version__,
        }

    def _gradient_norms(self, failure: Failure, batches: Batches):
        """Takes the step once more without learning from it.

        Returns:
          The norm of the gradient of each variable, over all replicas, and the numbers
          of the step.
        """
        before = Snapshot(self._strategy, self._saved.variables)
        watched = GradientWatch(
            self._learner.optimizer, lambda g: tf.norm(tf.cast(g, tf.float32))
        )
        step = build_step(
            unclipped(failure.config),
            dataclasses.replace(self._learner, optimizer=watched),
        )
        replicas = self._strategy.num_replicas_in_sync
        fed = strategies.feed(
            self._strategy,
            lambda here: batches.from_step(
                failure.step, replicas=replicas, replicas_here=here
            ),
        )

        def take(parts):
            numbers = step(parts)
            return numbers, watched.seen

        # As the run compiles its steps.
        jit_compile = failure.config.runtime.requests_xla
        compiled = tf.function(take, jit_compile=jit_compile or None, autograph=False)

        @tf.function  # Without it, compiled replicas wait for one another.
        def on_replicas(parts):
            return self._strategy.run(compiled, args=(parts,))

        per_replica = on_replicas(next(fed))
        numbers, norms = tf.nest.map_structure(
            lambda value: float(self._strategy.experimental_local_results(value)[0]),
            per_replica,
        )
        before.restore()
        return norms, numbers


def _empty(folder: pathlib.Path, *, is_kept: bool) -> pathlib.Path:
    """Returns an empty folder; another than asked for if it is not kept or not made."""
    if is_kept:
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            return folder
        except OSError as error:
            logging.warning("%s: cannot be made: %s", folder, error)
    return pathlib.Path(tempfile.mkdtemp())


class GradientWatch:
    """Takes the place of the optimizer in a step, and changes no weight."""

    def __init__(self, optimizer, summarise: Callable[[tf.Tensor], object]):
        """Takes what counts the steps, and what is to be kept of a gradient."""
        self.iterations = optimizer.iterations
        self.learning_rate = optimizer.learning_rate
        self._summarise = summarise
        # By variable, of the step just taken; equal on all replicas.
        self.seen: dict[str, object] = {}

    def apply_gradients(self, pairs, experimental_aggregate_gradients):
        del experimental_aggregate_gradients
        self.seen = {v.name: self._summarise(gradient) for gradient, v in pairs}


def weights_digest(model: tf.keras.Model) -> str:
    """Returns 64 hex digits of all trainable variables' values, in their order."""
    digest = hashlib.sha256()
    for variable in model.trainable_variables:
        digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()


def named(nest, prefix: str = "") -> dict[str, object]:
    """Returns the leaves of dicts and tuples by their path, as `human/image`.

    The leaves are in the order of `tf.nest`.
    """
    if isinstance(nest, dict):
        items = sorted(nest.items())
    elif hasattr(nest, "_fields"):
        items = zip(nest._fields, nest, strict=True)
    elif isinstance(nest, tuple | list):
        items = enumerate(nest)
    else:
        return {prefix: nest}
    leaves = {}
    for name, value in items:
        leaves |= named(value, f"{prefix}/{name}" if prefix else str(name))
    return leaves


def read_facts(folder: str) -> dict:
    """Returns the facts of a folder.

    Raises:
      ValueError: It is not the folder of a failure.
    """
    path = pathlib.Path(folder, FACTS_FILE)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{path}: missing; `--debug` must be a folder such as runs/x/{FOLDER}/"
            "step_41200, which a run leaves where a loss was not finite."
        ) from None


def _readable(values: dict[str, float]) -> dict[str, float | str]:
    """Returns values for JSON, which has no numbers that are not finite."""
    return {n: v if math.isfinite(v) else str(v) for n, v in values.items()}


def _write_records(
    folder: pathlib.Path, found: Examples, digests: Mapping[str, str], source: str
) -> None:
    """Writes records as a data set of its own, so that tools can show it."""
    folder.mkdir()
    lines = []
    with tf.io.TFRecordWriter(str(folder / _SHARD)) as writer:
        for image_id, record in zip(found.image_ids, found.serialized, strict=True):
            writer.write(record)
            lines.append(f"{image_id}\t{digests[image_id]}\n")
    (folder / IMAGES_FILE).write_text("".join(lines), encoding="utf-8")
    # Counts of boxes stay those of all records: the padding of a batch follows them.
    few = {"images": len(lines), "shards": (_SHARD,), "source": source}
    dataset_info.save(dataclasses.replace(found.info, **few), folder)
