"""THE loop: how a teacher or a student is trained, from top to bottom.

The decisions in it are numbered where they are made. What a step does is in step.py,
what it is fed in self_training/batches.py, how the losses are weighed in
self_training/blend.py.
"""

import json
import math
import os
import pathlib

import tensorflow as tf
from absl import logging
from tqdm import tqdm

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.data import dataset_info, drawing, pipeline, splits
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
from st_keras.runtime.run_log import RunLog, read_rows, write_json
from st_keras.self_training import selection
from st_keras.self_training.batches import Batches
from st_keras.tasks import Task, build_task, with_class_names
from st_keras.training import rescue
from st_keras.training.black_box import BlackBox
from st_keras.training.compiled_steps import CompiledSteps
from st_keras.training.evaluate import evaluate_model
from st_keras.training.learner import build_learner

SUMMARY_FILE = "summary.json"
_PICTURES = 8


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
      ValueError: A setting, a record or a checkpoint cannot be used.
      NonFiniteError: A loss is not a number any more, and `training.on_nonfinite` says
        to stop then, or has gone on too often.
      HostLostError: Another host has died.
    """
    hosts = hosts_lib.join(config.runtime.strategy)
    # ---------------------------------------------------------------- Check first
    info = dataset_info.load(config.human.records)
    config = with_class_names(config, info)
    preflight.check_workdir(config, workdir)
    sets = _picture_sets(config)
    learned = sets
    if config.joint:  # Its pictures may be those of another part.
        learned = sets | {"joint": (config.joint.records, config.joint.ids)}
    preflight.check_data(workdir, learned)
    finished = _read_summary(workdir)
    if finished:
        logging.info("%s: finished before, nothing to do", workdir)
        return finished
    pictures = preflight.check_disjoint(sets)
    pictures |= preflight.check_joint(config, sets, ["evaluation"])
    clock = RunClock(workdir)

    # ------------------------------------------------------------ Devices and task
    strategy = strategies.build_strategy(config.runtime, devices)
    strategies.set_seed(config.seed)
    replicas = strategy.num_replicas_in_sync
    on_tpu = config.runtime.strategy == "tpu"
    task = build_task(config, xla=on_tpu)
    batches = Batches(config, task)
    batches.check_replicas(replicas, config.training.accumulation_steps)
    if text := warnings_of_run.batch_norm(
        batches.fewest_at_once,
        replicas,
        is_synchronized=config.runtime.sync_batch_norm,
    ):
        logging.warning(text)
    if config.evaluation.records:
        preflight.check_classes(task, config.evaluation.records)

    # --------------------------------------------------------- Model and optimizer
    with strategy.scope():
        learner = build_learner(
            config,
            batches.tasks,
            replicas=replicas,
            init=None if checkpoints.has_any(workdir) else config.init,
        )

    hosts.check_same("The config", config_lib.digest(config))
    if hosts.is_chief:  # All is well: the folder is this run's.
        preflight.save_config(config, workdir, learned)

    # ----------------------------------------------- Where to start, in this order
    # 1. A checkpoint of this run: everything goes on from it.
    # 2. `init`: weights of a published model or another run, loaded above; step 0. Its
    #    file need not be there any more when the run goes on.
    # 3. Random weights.
    saved = checkpoints.Checkpoints(
        workdir,
        keep=config.training.keep_checkpoints,
        is_written=hosts.is_chief,
        **learner.state,
    )
    step = saved.restore()
    hosts.check_same("The step to go on from", str(step))
    logging.info("%s starts at step %d of %d", config.role, step, config.training.steps)

    guard = rescue.Rescue(
        config,
        workdir,
        strategy=strategy,
        saved=saved,
        optimizer=learner.optimizer,
        start=CompiledSteps(strategy, learner, batches).start,
        write=BlackBox(config, workdir, strategy, learner, saved).write,
    )
    take_steps = guard.start()

    # ------------------------------------------------------------------------ Loop
    log = RunLog(workdir, resume_step=step, is_written=hosts.is_chief)
    if step == 0:
        _log_pictures(log, batches, step)
    judged = Predictor(task, learner.judged)
    hard = warnings_of_run.PseudoLoss(
        normalize=bool(config.pseudo and config.pseudo.normalize),
        rows=read_rows(workdir),
    )
    metrics: dict = {}
    values: dict[str, float] = {}
    bar = tqdm(
        total=config.training.steps,
        initial=step,
        desc=title or config.role.capitalize(),
        unit="step",
        disable=not hosts.is_chief,
    )
    with bar, hosts.explaining("training"):
        for name, found in pictures.items():
            bar.write(f"{name}: {found['pictures']} pictures, {found['ids_sha256']}")
        while step < config.training.steps:
            count = _steps_to_next_event(config, step)
            guard.remember()
            values, taken, last = take_steps(count)
            step += taken
            # A bad step ends the call early, so it is the last one taken.
            if failures.not_finite(last):
                now, values = guard.after(last)
                take_steps = guard.start()
                bar.write(f"{config.role}: {guard.said}")
                is_back, step = now < step, now
                bar.n = step
                if is_back:
                    log.drop_after(step)
                    continue
            values |= guard.counts
            log.numbers(step, values)
            if text := hard.add(step, values):
                logging.warning(text)
            bar.update(step - bar.n)
            if "loss" in values:
                bar.set_postfix(loss=f"{values['loss']:.3f}")
            if _is_due(step, config.training.pictures_every_steps):
                _log_pictures(log, batches, step)
            is_last = step == config.training.steps
            is_judged = config.evaluation.records and (
                is_last or _is_due(step, config.evaluation.every_steps)
            )
            is_saved = is_last or _is_due(step, config.training.checkpoint_every_steps)
            if replicas > 1 and (is_judged or is_saved):
                moving_averages.agree(learner.models)
            if is_judged:
                metrics = _evaluate(config, task, judged)
                log.numbers(step, _flat(metrics))
            # The last thing of a round: what it has written is then never redone.
            if is_saved:
                saved.save()
                if hosts.is_chief:
                    clock.save()

    # --------------------------------------------------------------------- The end
    if config.evaluation.records and not metrics:  # Killed just before the summary.
        metrics = _evaluate(config, task, judged)
    summary = {
        "role": config.role,
        "steps": step,
        "images_seen": step * sum(batches.parts.values()),
        "parameters": _count(learner.model.trainable_variables),
        "pictures": pictures,
        "checkpoint": saved.latest,
        "losses": values if "loss" in values else log.last("loss"),
        "metrics": metrics,
        "failures": guard.events,
        "seconds": round(clock.seconds, 1),
        "devices": replicas,
    }
    if hosts.is_chief:
        write_json(os.path.join(workdir, SUMMARY_FILE), summary)
    hosts.meet("the summary is written")
    return summary


def _picture_sets(config: Config) -> dict[str, preflight.PictureSet]:
    sets = {
        "human": (config.human.records, config.human.ids),
        "evaluation": (config.evaluation.records, config.evaluation.ids),
    }
    if config.pseudo:
        ids = selection.image_ids(config.pseudo) if config.pseudo.records else None
        sets["pseudo"] = (config.pseudo.records, ids)
    return sets


def _count(variables: list[tf.Variable]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _read_summary(workdir: str) -> dict:
    try:
        return json.loads(pathlib.Path(workdir, SUMMARY_FILE).read_text())
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
    return bool(every) and step % every == 0


def _evaluate(config: Config, task: Task, predictor: Predictor) -> dict:
    evaluation = config.evaluation
    ids = splits.read_ids(evaluation.ids) if evaluation.ids else None
    source = pipeline.open_source(evaluation.records, ids, config.human.cache_mb)
    return evaluate_model(
        task,
        predictor,
        source,
        batch_size=evaluation.images_per_step,
    )


def _flat(metrics: dict) -> dict[str, float]:
    return {
        f"evaluation/{name}": value
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
