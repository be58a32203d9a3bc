"""What a run does about a step with a number that is not finite.

The losses and gradients of a step are checked after it, when weights, averages and
statistics are already spoilt. So all of them are copied before each call into
TensorFlow. After a bad step they are restored and the good steps before it are repeated
with the same results, which leads to the state before the bad step. A step without
failure costs nothing; a call, one copy.
"""

import dataclasses
import zlib
from collections.abc import Callable

import tensorflow as tf
from absl import logging

from st_keras.config import Config
from st_keras.runtime import failure_log, failures
from st_keras.runtime import hosts as hosts_lib
from st_keras.runtime.checkpoints import Checkpoints
from st_keras.runtime.failure_log import ABORT, RECOVER, SKIP, FailureLog
from st_keras.runtime.snapshot import Snapshot
from st_keras.training.compiled_steps import TakeSteps


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failure:
    """A step whose numbers are not all finite; the run's state is that before it."""

    step: int  # From 0.
    values: dict[str, float]  # Of the step.
    config: Config  # With the seed that the draws of the step are from.
    recoveries: int  # Before it; they decide the seed.
    checkpoint: str  # The last one, or `none`.


class Rescue:
    """Goes back to before a bad step, records the failure, and goes on or stops."""

    def __init__(
        self,
        config: Config,
        workdir: str,
        *,
        strategy: tf.distribute.Strategy,
        saved: Checkpoints,
        optimizer,
        start: Callable[[Config, int], TakeSteps],
        write: Callable[[Failure], tuple[str, dict[str, list[str]]]],
    ):
        """Reads earlier failures; with `recover`, saves a checkpoint if there is none.

        Args:
          config: Of the run.
          workdir: Its folder.
          strategy: The one that the variables were made under.
          saved: The run's state, restored.
          optimizer: Its `iterations` is the number of steps taken.
          start: Returns what takes the next steps, given the config, with the seed of
            the draws, and the number of steps taken.
          write: Writes a failure; returns the folder, or "", and the step's images.
        """
        self._config = config
        self._policy = config.training.on_nonfinite
        self._strategy = strategy
        self._saved = saved
        self._optimizer = optimizer
        self._start = start
        self._write = write
        self._log = FailureLog(
            workdir,
            resume_step=self._steps_taken(),
            is_written=hosts_lib.of_strategy(strategy).is_chief,
        )
        self._begin = self._steps_taken()
        self._snapshot: Snapshot | None = None
        self.said = ""  # About the last failure and what was done about it.
        if self._policy == RECOVER and saved.latest == "none":
            saved.save()  # Or there would be nothing to go back to.

    @property
    def events(self) -> list[dict]:
        """Every failure that has shaped the present state of the run."""
        return self._log.events

    @property
    def counts(self) -> dict[str, float]:
        """Numbers to log beside a step's; none while nothing has failed."""
        return self._log.counts

    @property
    def config(self) -> Config:
        """The config with the seed that decides what the next steps draw."""
        recoveries = self._log.recoveries
        if not recoveries:
            return self._config
        seed = zlib.crc32(f"{self._config.seed} {recoveries}".encode()) % 2**31
        return dataclasses.replace(self._config, seed=seed)

    def start(self) -> TakeSteps:
        """Returns what takes steps from the current one, with the current draws."""
        return self._start(self.config, self._steps_taken())

    def remember(self) -> None:
        """Copies the state; called before steps are taken."""
        self._begin = self._steps_taken()
        if self._snapshot is None:
            self._snapshot = Snapshot(self._strategy, self._saved.variables)
        else:
            self._snapshot.retake()

    def after(self, bad: dict[str, float]) -> tuple[int, dict[str, float]]:
        """Decides how the run goes on after steps the last of which was bad.

        Args:
          bad: The numbers of the bad step.

        Returns:
          The number of steps taken: that of the bad step plus one if it was skipped, or
          that of the checkpoint the run has gone back to. And the mean numbers of the
          good steps before it in the same call, if any.

        Raises:
          NonFiniteError: The run must stop.
        """
        step, bad, values = self._rewind(self._steps_taken() - 1, bad)
        failure = Failure(
            step=step,
            values=bad,
            config=self.config,
            recoveries=self._log.recoveries,
            checkpoint=self._saved.latest,
        )
        folder, image_ids = self._write(failure)
        event = {
            "step": step,
            "policy": self._policy,
            "not_finite": {n: str(v) for n, v in failures.not_finite(bad).items()},
            "learning_rate": float(f"{bad['learning_rate']:.7g}"),
            "recoveries": self._log.recoveries,
            "images": image_ids,
            "black_box": folder,
        }
        what = failures.describe(bad, step=step, image_ids=image_ids)
        refusal = self._log.refusal(self._policy, step)
        if self._policy == ABORT or refusal:
            self._log.add(event | {"policy": ABORT})
            raise failures.NonFiniteError(
                f"{what} Last checkpoint: {failure.checkpoint}. {refusal} "
                f"{_cure(folder)}"
            )
        if self._policy == SKIP:
            self._optimizer.iterations.assign(step + 1)
            self._log.add(event)
            now = step + 1
        else:
            now = self._saved.restore()
            hosts = hosts_lib.of_strategy(self._strategy)
            hosts.check_same("The step to go back to", str(now))
            self._log.add(event | {"back_to": now})
        self.said = f"{what} {self._outcome(now)}"
        logging.warning("%s", self.said)
        return now, values

    def _rewind(self, step: int, bad: dict[str, float]):
        """Brings the run to where it was before a bad step.

        Returns:
          The number of the step, its numbers, and the mean numbers of the good ones.
        """
        while True:
            self._snapshot.restore()
            if step == self._begin:
                return step, bad, {}
            values, taken, last = self.start()(step - self._begin)
            if not failures.not_finite(last):
                return step, bad, values
            # The device does not repeat itself to the bit: now an earlier step is bad.
            step, bad = self._begin + taken - 1, last

    def _steps_taken(self) -> int:
        return int(self._optimizer.iterations.numpy())

    def _outcome(self, now: int) -> str:
        if self._policy == SKIP:
            skipped = int(self.counts["failures/skipped"])
            return f"Skipped, {skipped} of at most {failure_log.MOST_SKIPPED}."
        most = failure_log.MOST_RECOVERIES
        times = f"{self._log.recoveries} of {most} times"
        return f"Back to step {now} with other draws, {times}."


def _cure(folder: str) -> str:
    look = "Look for boxes without area in these images"
    if folder:
        look = f"`python tools/replay.py --debug {folder}` names layer and image"
    return (
        f"{look}; lower `optimization.learning_rate`, or set `optimization.clip_norm`."
    )
