"""Everything a run needs to resume, saved as one unit on disk."""

import dataclasses
import hashlib
import os
import pathlib
import tempfile
from collections.abc import Callable

import tensorflow as tf
from absl import logging

from st_keras.data import path_globs
from st_keras.models.weights.bundle import numbered, read_list

FOLDER = "checkpoints"  # Of a run's folder.

# Errors of the machine, which leave the files as good as they are. TensorFlow has many
# for files that are not: some are an `OpError` and nothing more.
_NO_DAMAGES = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.PermissionDeniedError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
)


class _DamagedError(ValueError):
    """A checkpoint's files cannot be read, whatever the model."""


class Checkpoints:
    """Saves and restores model, optimizer, averages and blend of one run together.

    The optimizer counts the steps; the position in the data and every random choice
    follow from the step. A file gets its name only when it is complete.
    """

    def __init__(
        self,
        workdir: str,
        *,
        optimizer,
        keep: int,
        is_written: bool = True,
        **parts: tf.Module,
    ):
        """Opens the checkpoints that the run has saved so far.

        Args:
          workdir: Folder of the run.
          optimizer: Its `iterations` is the number of steps taken.
          keep: How many of the newest checkpoints to keep.
          is_written: Whether this host writes. Otherwise it still takes part in `save`,
            since no host alone knows the mean of a statistic.
          **parts: What else to save, by its name in the checkpoint.
        """
        self._checkpoint = tf.train.Checkpoint(optimizer=optimizer, **parts)
        self._folder = os.path.join(workdir, FOLDER)
        if read_list(self._folder) is None:  # With a torn list no manager starts.
            pathlib.Path(self._folder, "checkpoint").unlink(missing_ok=True)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint,
            # Absolute, as another host of a TPU slice may write it.
            os.path.abspath(self._folder),
            max_to_keep=keep,
            step_counter=optimizer.iterations,
        )
        self._optimizer = optimizer
        self._is_written = is_written
        self._saved = ""  # The newest, once there is one of this process.
        self._parts = list(parts.values())

    @property
    def variables(self) -> list[tf.Variable]:
        """All that is saved and restored, the optimizer's variables first."""
        return [
            *self._optimizer.variables(),
            *(variable for part in self._parts for variable in part.variables),
        ]

    def restore(self) -> int:
        """Restores the newest checkpoint that can be read and returns its step.

        Skips a damaged checkpoint with a warning. Without any, the step is 0.

        Raises:
          ValueError: All are damaged, or one belongs to another model.
        """
        damage = None
        for path in reversed(_listed(self._folder)):
            try:
                status = _read(self._checkpoint.restore, path)
            except _DamagedError as error:
                damage = error
                logging.warning("%s Trying the one before.", error)
                continue
            _check(status.assert_consumed, path)
            return int(self._optimizer.iterations.numpy())
        if damage:
            raise damage
        return 0

    def save(self) -> str:
        """Saves the state at the current step and returns the file prefix."""
        step = int(self._optimizer.iterations.numpy())
        if not self._is_written:
            with tempfile.TemporaryDirectory() as unused:
                self._checkpoint.write(os.path.join(unused, "ckpt"))
        else:
            self._manager.save(checkpoint_number=step)
        self._saved = os.path.join(self._folder, f"ckpt-{step}")
        return self._saved

    def save_to(self, workdir: str) -> str:
        """Saves the state once in the folder of another run; returns the prefix."""
        folder = os.path.join(workdir, FOLDER)
        manager = tf.train.CheckpointManager(
            self._checkpoint, os.path.abspath(folder), max_to_keep=1
        )
        saved = manager.save(checkpoint_number=self._optimizer.iterations)
        return os.path.join(folder, os.path.basename(saved))

    @property
    def latest(self) -> str:
        """Prefix of the newest checkpoint, or `none`; the same on all hosts."""
        if self._saved:
            return self._saved
        if before := self._manager.latest_checkpoint:
            return os.path.join(self._folder, os.path.basename(before))
        return "none"


def has_any(workdir: str) -> bool:
    """Whether a run has saved something to go on from, as `restore` sees it."""
    return bool(_listed(os.path.join(workdir, FOLDER)))


def _listed(folder: str) -> list[str]:
    """Returns the prefixes of a folder's checkpoints, the oldest first.

    Not the manager's own list: if the clock has been set back since the run began, that
    list lacks the checkpoints that seem older than the run. If the list on disk is
    lost, the files themselves count.
    """
    listed = read_list(folder)
    if listed and listed.all_model_checkpoint_paths:
        return list(listed.all_model_checkpoint_paths)
    return numbered(folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelFile:
    """Where a run's model weights are, and the digest that identifies them."""

    prefix: str
    averaged: bool  # Whether it has averaged weights; if so, those are used.
    digest: str  # 12 hex digits of the files' content.


def find_model(workdir_or_prefix: str) -> ModelFile:
    """Returns the newest model of a run's folder, or the one of a checkpoint prefix.

    Raises:
      ValueError: There is none.
    """
    path_globs.check_here(workdir_or_prefix)
    prefix = workdir_or_prefix
    if os.path.isdir(prefix):
        prefix = next(reversed(_listed(os.path.join(prefix, FOLDER))), "")
    if not prefix or not os.path.exists(f"{prefix}.index"):
        raise ValueError(
            f"`{workdir_or_prefix}` holds no checkpoint; name the workdir of a run "
            "that has saved one, or a prefix such as runs/t/checkpoints/ckpt-500."
        )
    names = [name for name, _ in tf.train.list_variables(prefix)]
    return ModelFile(
        prefix=prefix,
        averaged=any(name.startswith("averaged/") for name in names),
        digest=_digest(prefix),
    )


def load_model(model: tf.keras.Model, found: ModelFile) -> None:
    """Loads a run's weights into a model, the averaged ones if it has any.

    Raises:
      ValueError: The checkpoint is damaged or belongs to another model.
    """
    name = "averaged" if found.averaged else "model"
    checkpoint = tf.train.Checkpoint(**{name: model})
    status = _read(checkpoint.read, found.prefix)
    try:
        status.assert_existing_objects_matched()
    except AssertionError as error:
        raise ValueError(f"{found.prefix}: does not hold this model: {error}") from None
    status.expect_partial()


def _read(read: Callable, prefix: str):
    try:
        return read(os.path.abspath(prefix))
    except _NO_DAMAGES:
        raise
    except (tf.errors.OpError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0]
        # TensorFlow has no error of its own for a weight of another shape.
        if isinstance(error, ValueError) and "shape" in reason.lower():
            raise ValueError(f"{prefix}: holds another model: {reason}") from None
        raise _DamagedError(
            f"{prefix}: damaged, cannot be restored: {reason} If no other is left, "
            "delete the folder to start over."
        ) from None


def _check(assert_matched: Callable, prefix: str) -> None:
    try:
        assert_matched()
    except AssertionError as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{prefix}: holds another model: {reason}") from None


def _digest(prefix: str) -> str:
    digest = hashlib.sha256()
    path = pathlib.Path(prefix)
    for part in sorted(path.parent.glob(f"{path.name}.*")):
        digest.update(part.read_bytes())
    return digest.hexdigest()[:12]
