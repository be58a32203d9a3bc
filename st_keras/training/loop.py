"""THE loop: how a teacher or a student is trained, from top to bottom.

Where a run starts from is decided in `_Run.restore_or_begin`. What a step does is in
step.py, what it is fed in self_training/batches.py, how the losses are weighed in
self_training/blend.py.
"""

import contextlib
import math
import os
import pathlib
from collections.abc import Iterator

import tensorflow as tf
from absl import logging
from tqdm import tqdm

from st_keras import config as config_lib
from st_keras import writing
from st_keras.config import Config
from st_keras.data import drawing, pipeline, splits
from st_keras.models import moving_averages
from st_keras.runtime import (
    checkpoints,
    failures,
    preflight,
    warnings_of_run,
)
from st_keras.runtime import hosts as hosts_lib
from st_keras.runtime import strategy as strategies
from st_keras.runtime.inference import Predictor
from st_keras.runtime.run_clock import RunClock
from st_keras.runtime.run_log import RunLog, read_json, read_rows, write_json
from st_keras.self_training import lineage
from st_keras.self_training.batches import Batches, check_replicas
from st_keras.tasks import Task, build_task
from st_keras.training.compiled_steps import CompiledSteps
from st_keras.training.evaluate import evaluate_model
from st_keras.training.learner import build_learner
from st_keras.training.nonfinite import rescue
from st_keras.training.nonfinite.black_box import BlackBox

SUMMARY_FILE = "summary.json"
_PICTURES = 8
_EVALUATION = "evaluation/"  # Before the names of metrics in the log.


def train(
    config: Config, workdir: str, *, devices: list[str] | None = None, title: str = ""
) -> dict:
    """Trains one model to its last step, going on where a killed run stopped.

    Args:
      config: With a `pseudo` part a student, otherwise a teacher.
      workdir: Folder of the run; config, checkpoints, logs and summary go there.
      devices: For the mirrored strategy; None: all GPUs.
      title: Of the progress bar; empty: the role.

    Returns:
      The summary: role, steps, last losses, metrics of the evaluation set if there
      is one.

    Raises:
      ValueError: A setting, a record or a checkpoint cannot be used, or another process
        is at work in the folder.
      NonFiniteError: A loss or gradient is not finite, and `training.on_nonfinite` says
        to stop then, or has reached its limit.
      HostLostError: Another host has died.
    """
    hosts = hosts_lib.join(config.runtime.strategy)
    config = preflight.with_class_names(config, workdir)
    # Before anything is built together, which hosts with other models would wait for.
    free = config_lib.free_settings(config)
    hosts.check_same("The config", f"{config_lib.digest(config)} with {free}")
    preflight.check_workdir(config, workdir)
    data = data_of(config)
    preflight.check_data(workdir, data)
    finished = _read_summary(workdir)
    if finished:
        logging.info("%s: finished before, nothing to do", workdir)
        if hosts.is_chief:  # What may change counts for whoever uses the model.
            preflight.save_config(config, workdir)
        return finished
    pictures = check_pictures(config)
    run = _Run(config, workdir, hosts, devices)
    with _claimed(workdir, hosts):
        if hosts.is_chief:  # All checks have passed: the folder is this run's.
            preflight.save_config(config, workdir, data)
        run.restore_or_begin()
        with hosts.explaining("training"):
            run.to_the_end(pictures, title or config.role.capitalize())
        return run.finish(pictures)


class _Run:
    """A run between its first step and its last."""

    def __init__(
        self,
        config: Config,
        workdir: str,
        hosts: hosts_lib.Hosts,
        devices: list[str] | None,
    ):
        """Builds all that a run needs, with the first weights."""
        self._config = config
        self._workdir = workdir
        self._hosts = hosts
        self._clock = RunClock(workdir)
        # -------------------------------------------------------- Devices and task
        strategies.configure(config.runtime)
        self._strategy = strategies.build_strategy(config.runtime, devices)
        strategies.set_seed(config.seed)
        self._replicas = self._strategy.num_replicas_in_sync
        check_replicas(config, self._replicas)
        on_tpu = config.runtime.strategy == "tpu"
        self._task = build_task(config, xla=on_tpu)
        self._batches = Batches(config, self._task)
        if text := warnings_of_run.batch_norm_warning(
            self._batches.fewest_at_once,
            self._replicas,
            is_synchronized=config.runtime.sync_batch_norm,
            slices=config.training.accumulation_steps,
        ):
            logging.warning(text)
        for records in filter(None, (config.human.records, config.evaluation.records)):
            preflight.check_labeled(self._task, records)
        # ----------------------------------------------------- Model and optimizer
        with self._strategy.scope():
            self._learner = build_learner(
                config,
                self._batches.tasks,
                replicas=self._replicas,
                init=None if checkpoints.has_any(workdir) else config.init,
            )
        self._judged = Predictor(self._task, self._learner.judged)
        self._metrics: dict = {}  # Of the last evaluation.
        self._values: dict[str, float] = {}  # Of the last steps.

    def restore_or_begin(self) -> None:
        """Starts from the first of these that exists.

        1. A checkpoint of this run: everything goes on from it.
        2. `init`: weights of a published model or another run, loaded when the model
           was built; step 0. A run that goes on no longer needs its file.
        3. Random weights.
        """
        config, hosts, learner = self._config, self._hosts, self._learner
        self._saved = checkpoints.Checkpoints(
            self._workdir,
            keep=config.training.keep_checkpoints,
            is_written=hosts.is_chief,
            **learner.state,
        )
        self._step = self._saved.restore()
        is_owed = self._is_owed()
        hosts.check_same("The step to go on from", f"{self._step} {is_owed}")
        logging.info(
            "%s starts at step %d of %d",
            config.role,
            self._step,
            config.training.steps,
        )
        self._steps = CompiledSteps(self._strategy, learner, self._batches)
        self._guard = rescue.Rescue(
            config,
            self._workdir,
            strategy=self._strategy,
            saved=self._saved,
            optimizer=learner.optimizer,
            start=self._steps.start,
            write=BlackBox(
                config, self._workdir, self._strategy, learner, self._saved
            ).write,
        )
        self._take_steps = self._guard.start()
        self._log = RunLog(
            self._workdir, resume_step=self._step, is_written=hosts.is_chief
        )
        self._pseudo_watch = warnings_of_run.PseudoLossWatch(
            normalize=bool(config.pseudo and config.pseudo.normalize),
            rows=read_rows(self._workdir),
        )
        if self._step == 0:
            self._show_pictures()
        if is_owed:
            self._judge()

    def to_the_end(self, pictures: dict[str, dict], title: str) -> None:
        """THE loop."""
        with tqdm(
            total=self._config.training.steps,
            initial=self._step,
            desc=title,
            unit="step",
            disable=not self._hosts.is_chief,
        ) as bar:
            for name, found in pictures.items():
                bar.write(
                    f"{name}: {found['pictures']} pictures, {found['ids_sha256']}"
                )
            while self._step < self._config.training.steps:
                if self._take_some(bar):
                    self._write_what_is_due()

    def _take_some(self, bar: tqdm) -> bool:
        """Takes steps until something is due; returns False if it had to go back."""
        count = _steps_to_next_event(self._config, self._step)
        self._guard.remember()
        self._values, taken, last = self._take_steps(count)
        self._step += taken
        # A bad step ends the call early, so it is the last one taken.
        if failures.not_finite(last):
            now, self._values = self._guard.after(last)
            self._take_steps = self._guard.start()
            bar.write(f"{self._config.role}: {self._guard.said}")
            is_back, self._step = now < self._step, now
            bar.n = now
            if is_back:
                self._log.drop_after(now)
                return False
        self._values |= self._guard.counts
        self._log.numbers(self._step, self._values)
        if text := self._pseudo_watch.add(self._step, self._values):
            logging.warning(text)
        bar.update(self._step - bar.n)
        if "loss" in self._values:
            bar.set_postfix(loss=f"{self._values['loss']:.3f}")
        return True

    def _write_what_is_due(self) -> None:
        training, step = self._config.training, self._step
        if _is_due(step, training.pictures_every_steps):
            self._show_pictures()
        is_judged = self._is_judged(step)
        is_saved = step == training.steps or _is_due(
            step, training.checkpoint_every_steps
        )
        if self._replicas > 1 and (is_judged or is_saved):
            moving_averages.agree(self._learner.models)
        # First what cannot be recomputed: an evaluation may run out of memory.
        if is_saved:
            self._saved.save()
            if self._hosts.is_chief:
                self._clock.save(self._replicas)
        if is_judged:
            self._judge()

    def _show_pictures(self) -> None:
        # After a recovery, the draws are others.
        batches = self._steps.batches(self._guard.config)
        _log_pictures(self._log, batches, self._step)

    def _is_judged(self, step: int) -> bool:
        evaluation = self._config.evaluation
        is_last = step == self._config.training.steps
        return bool(evaluation.records) and (
            is_last or _is_due(step, evaluation.every_steps)
        )

    def _is_owed(self) -> bool:
        """Whether a kill came between a checkpoint and the evaluation after it."""
        return self._is_judged(self._step) and not any(
            name.startswith(_EVALUATION)
            for row in read_rows(self._workdir)
            for name in row
            if row["step"] == self._step
        )

    def _judge(self) -> None:
        self._metrics = _evaluate(self._config, self._task, self._judged)
        self._log.numbers(self._step, _flat(self._metrics))

    def finish(self, pictures: dict[str, dict]) -> dict:
        """Writes the summary and returns it."""
        if self._config.evaluation.records and not self._metrics:
            # Killed just before the summary.
            self._metrics = _evaluate(self._config, self._task, self._judged)
        values, seen = self._values, sum(self._batches.parts.values())
        summary = {
            "role": self._config.role,
            "steps": self._step,
            "images_seen": self._step * seen,
            "parameters": _count(self._learner.model.trainable_variables),
            "pictures": pictures,
            "checkpoint": self._saved.latest,
            "losses": values if "loss" in values else self._log.last("loss"),
            "metrics": self._metrics,
            "failures": self._guard.events,
            "seconds": round(self._clock.seconds, 1),
            "device_seconds": round(self._clock.device_seconds(self._replicas), 1),
            "devices": self._replicas,
        }
        if self._hosts.is_chief:
            write_json(os.path.join(self._workdir, SUMMARY_FILE), summary)
        self._hosts.meet("the summary is written")
        return summary


@contextlib.contextmanager
def _claimed(workdir: str, hosts: hosts_lib.Hosts) -> Iterator[None]:
    """Keeps a second process out of the folder: each would write over the other."""
    if not hosts.is_chief:  # Only the chief writes.
        yield
        return
    with writing.claimed(os.path.join(workdir, ".lock"), f"`{workdir}`"):
        yield


def data_of(config: Config) -> preflight.Data:
    """Returns what a run begins with, learns from and is judged on.

    None of it may change.
    """
    sets = lineage.learned_from(config)
    sets["evaluation"] = (config.evaluation.records, config.evaluation.ids)
    thresholds = config.pseudo.thresholds if config.pseudo else ""
    files = {"pseudo.thresholds": thresholds, "init.checkpoint": config.init.checkpoint}
    return preflight.Data(sets=sets, files=files)


def check_pictures(config: Config) -> dict[str, dict]:
    """Refuses a picture both learned from and judged by; returns what the sets hold."""
    sets = dict(data_of(config).sets)
    lineage.check_runs_before({"evaluation": sets["evaluation"]}, config)
    # Joint training may use the same pictures as another part that is learned from.
    found = preflight.check_disjoint({n: s for n, s in sets.items() if n != "joint"})
    return found | preflight.check_joint(config, sets, ["evaluation"])


def _count(variables: list[tf.Variable]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _read_summary(workdir: str) -> dict:
    try:
        return read_json(pathlib.Path(workdir, SUMMARY_FILE))
    except FileNotFoundError:
        return {}


def _steps_to_next_event(config: Config, step: int) -> int:
    """Returns how many steps to take before something is due.

    Calls end at the same steps however often a run was interrupted, so its log does
    not depend on that.
    """
    events = [
        config.training.steps_per_loop,
        config.training.checkpoint_every_steps,
        config.evaluation.every_steps,
        config.training.pictures_every_steps,
    ]
    to_event = [every - step % every for every in events if every]
    return min([config.training.steps - step, *to_event])


def _is_due(step: int, every: int) -> bool:
    return step > 0 and bool(every) and step % every == 0


def _evaluate(config: Config, task: Task, predictor: Predictor) -> dict:
    evaluation = config.evaluation
    ids = splits.chosen(evaluation.ids)
    source = pipeline.open_source(evaluation.records, ids, config.human.cache_mb)
    return evaluate_model(
        task,
        predictor,
        source,
        batch_size=evaluation.images_per_step,
    )


def _flat(metrics: dict) -> dict[str, float]:
    return {
        f"{_EVALUATION}{name}": value
        for name, value in metrics.items()
        if isinstance(value, float)
    }


def _log_pictures(log: RunLog, batches: Batches, step: int) -> None:
    """Shows what the coming step trains on: the augmented pictures and their labels."""
    if not log.is_written:
        return
    first = next(iter(batches.from_step(step, replicas=1, replicas_here=range(1))))
    for part, batch in first.items():
        task = batches.tasks[part]
        batch = tf.nest.map_structure(lambda t: t[:_PICTURES], batch)
        image = task.finish_images(batch.image, batch.changes)
        batch = batch._replace(image=image, changes=())
        batch = tf.nest.map_structure(lambda t: t.numpy(), batch)
        log.pictures(step, part, drawing.draw_batch(batch, task.class_names))
