"""A finished or running run, opened again for its model."""

import dataclasses
import pathlib

import tensorflow as tf

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.runtime import checkpoints
from st_keras.runtime import strategy as strategies
from st_keras.runtime.checkpoints import ModelFile
from st_keras.runtime.preflight import CONFIG_FILE
from st_keras.tasks import Task, build_task, with_image_size, with_min_score


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoredRun:
    """The model of a run with what is known of it."""

    config: Config
    task: Task
    model: tf.keras.Model
    file: ModelFile


def restore_run(
    checkpoint: str,
    *,
    purpose: str = "evaluation",
    min_score: float | None = None,
    image_size_px: tuple[int, int] | None = None,
    strategy: str = "one_device",
    tpu: str = "",
    devices: list[str] | None = None,
    deterministic: bool = False,
) -> RestoredRun:
    """Builds a run's task and model and loads its weights.

    The model computes in its run's precision; that of the process does not change.

    Args:
      checkpoint: Workdir of the run, or a checkpoint prefix inside it.
      purpose: What predictions are for; see `tasks.build_task`.
      min_score: Replaces the score at or under which boxes are dropped.
      image_size_px: Replaces height and width of the network's input.
      strategy: Which devices to use, as `runtime.strategy`; they need not be those of
        the training.
      tpu: As `runtime.tpu`.
      devices: For `mirrored`; None: all GPUs.
      deterministic: Whether to make the whole process as deterministic as the run was,
        so that a GPU gives the same numbers again. Random ops without a seed are then
        errors.

    Raises:
      ValueError: There is no checkpoint or no config beside it, the model cannot have
        this size, or the devices are missing.
    """
    found = checkpoints.find_model(checkpoint)
    config = config_of(found)
    if image_size_px is not None:
        config = with_image_size(config, image_size_px)
    runtime = dataclasses.replace(config.runtime, strategy=strategy, tpu=tpu)
    config = dataclasses.replace(config, runtime=runtime)
    if deterministic:
        strategies.configure_determinism(runtime)
    spread = strategies.build_strategy(runtime, devices)
    on_tpu = strategy == "tpu"
    if min_score is not None:
        config = with_min_score(config, min_score)
    task = build_task(config, xla=on_tpu, purpose=purpose)
    with strategies.precision(runtime.precision), spread.scope():
        model = task.build_model(sync_batch_norm=False)
        checkpoints.load_model(model, found)
    return RestoredRun(config=config, task=task, model=model, file=found)


def config_of(file: ModelFile) -> Config:
    """Returns the config of the run that a checkpoint belongs to.

    Raises:
      ValueError: There is none beside it.
    """
    path = pathlib.Path(file.prefix).parent.parent / CONFIG_FILE
    if not path.exists():
        raise ValueError(
            f"{path}: missing; a checkpoint is opened with the config of its run."
        )
    return config_lib.load(str(path))
