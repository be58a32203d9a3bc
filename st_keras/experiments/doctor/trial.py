"""A few real steps of the real model, in a temporary folder."""

import contextlib
import dataclasses
import math
import pathlib
import sys
import tempfile
import time

import tensorflow as tf

from st_keras.config import Config, EvaluationConfig
from st_keras.data import decode, pipeline
from st_keras.experiments.roles import teacher_config
from st_keras.runtime import run_log
from st_keras.runtime.checkpoints import find_model
from st_keras.runtime.inference import Predictor
from st_keras.runtime.peak_memory import peak_memory_bytes
from st_keras.runtime.restored import restore_run
from st_keras.tasks import Task
from st_keras.training.loop import train

_CALLS = 4  # Of training, into TensorFlow; the first one traces.
_BATCHES = 3  # To label; again, the first one traces.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """What the steps measured."""

    steps: int
    images_per_step: int
    steps_per_second: float  # After the first call.
    seconds_before: float  # Of building, tracing, saving: all but the steps.
    loss_first: float  # Mean of the first call.
    loss_last: float
    parameters: int
    checkpoint_bytes: int
    peak_memory_bytes: int  # Of the whole process.
    pictures_per_second: float = 0.0  # Of labelling; 0: not tried.

    @property
    def images_per_second(self) -> float:
        return self.steps_per_second * self.images_per_step


def try_steps(config: Config, steps: int, pictures: pipeline.Source | None) -> Trial:
    """Trains for some steps, then labels some pictures with that model.

    Args:
      config: Of any run; a student whose pseudo labels do not exist yet is tried as a
        teacher with steps of the same size.
      steps: At least 2; the first calls are not timed.
      pictures: To label; None: none.

    Raises:
      ValueError: A setting, a record or a checkpoint cannot be used.
      NonFiniteError: A loss is not a number.
    """
    alone = trial_config(config, steps)
    with tempfile.TemporaryDirectory(prefix="st_keras_doctor_") as workdir:
        # What training prints is not part of the page.
        with contextlib.redirect_stdout(sys.stderr):
            summary = train(alone, workdir, title="Trial")
        steps_per_second = _steps_per_second(workdir)
        losses = [row["loss"] for row in run_log.read_rows(workdir)]
        # That of the last step alone: `on_nonfinite: recover` saves one at step 0, too.
        last = pathlib.Path(find_model(workdir).prefix)
        files = last.parent.glob(f"{last.name}.*")
        trial = Trial(
            steps=steps,
            images_per_step=summary["images_seen"] // steps,
            steps_per_second=steps_per_second,
            seconds_before=max(0.0, summary["seconds"] - steps / steps_per_second),
            loss_first=losses[0],
            loss_last=losses[-1],
            parameters=summary["parameters"],
            checkpoint_bytes=sum(file.stat().st_size for file in files),
            peak_memory_bytes=0,
        )
        speed = 0.0
        if pictures is not None:
            speed = _label(workdir, config, pictures)
    return dataclasses.replace(
        trial, pictures_per_second=speed, peak_memory_bytes=peak_memory_bytes()
    )


def trial_config(config: Config, steps: int) -> Config:
    """Returns the run whose first steps are tried.

    The learning rate is that of the first steps of the whole run: it warms up the same
    way and does not fall, as it would in a schedule of a few steps.
    """
    if config.pseudo and config.self_training:
        # With as many pictures as the student has, whatever its teacher's batch is.
        settings = dataclasses.replace(config.self_training, teacher_images_per_step=0)
        config = teacher_config(dataclasses.replace(config, self_training=settings))
    elif config.pseudo and not config.pseudo.records:
        config = dataclasses.replace(config, pseudo=None)
    training = dataclasses.replace(
        config.training,
        steps=steps,
        steps_per_loop=max(1, steps // _CALLS),
        checkpoint_every_steps=steps,
        pictures_every_steps=0,
    )
    optimization = dataclasses.replace(
        config.optimization, schedule="constant", step_boundaries=()
    )
    images = config.evaluation.images_per_step
    return dataclasses.replace(
        config,
        training=training,
        optimization=optimization,
        evaluation=EvaluationConfig(images_per_step=images),
        self_training=None,
        expect=None,
    )


def _steps_per_second(workdir: str) -> float:
    """Returns the speed after the first call, from the times of TensorBoard events."""
    times: dict[int, float] = {}
    for file in sorted(pathlib.Path(workdir, "tensorboard").iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(file)):
            if event.summary.value:
                times.setdefault(event.step, event.wall_time)
    _, first, *_, last = sorted(times)  # Pictures come at step 0, before any call.
    return (last - first) / (times[last] - times[first])


def _label(workdir: str, config: Config, pictures: pipeline.Source) -> float:
    """Returns how many pictures per second are labelled."""
    floor = config.self_training.score_floor if config.self_training else None
    run = restore_run(
        workdir,
        purpose="labeling",
        min_score=floor,
        strategy=config.runtime.strategy,
        tpu=config.runtime.tpu,
    )
    batch_size = run.config.evaluation.images_per_step
    serialized = pipeline.serialized_records(pictures)
    views = _views(run.task, next(iter(serialized)))
    # The pictures of a batch arrive together: time runs from the end of the first
    # batch, which traces, to the end of the last.
    per_batch = math.ceil(batch_size / views)
    count = _BATCHES * per_batch
    found = Predictor(run.task, run.model).over_serialized(
        serialized.repeat().take(count), count=count, batch_size=batch_size
    )
    times = [time.perf_counter() for _ in found]
    return (count - per_batch) / (times[-1] - times[per_batch - 1])


def _views(task: Task, serialized: tf.Tensor) -> int:
    """Returns the number of views of a picture."""
    image = decode.decode_image(decode.decode_encoded(serialized))
    return int(task.views(image).scale_yx.shape[0])
