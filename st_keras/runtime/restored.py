"""A finished or running run, opened again for its model."""

import dataclasses
import functools
import pathlib

import numpy as np
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.data.images import encode_png
from st_keras.data.records import Record
from st_keras.runtime import checkpoints
from st_keras.runtime import strategy as strategies
from st_keras.runtime.checkpoints import ModelFile
from st_keras.runtime.inference import Predictor
from st_keras.runtime.preflight import CONFIG_FILE
from st_keras.tasks import Task, build_task, with_image_size, with_min_score
from st_keras.types import Labels


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestoredRun:
    """The model of a run with what is known of it."""

    config: Config
    task: Task
    model: tf.keras.Model
    file: ModelFile

    def predict(self, image: np.ndarray) -> Labels:
        """Returns what the model sees in a picture, as evaluation would see it.

        The first call takes seconds, to trace the model.

        Args:
          image: [H, W, 3] uint8, upright, red, green, blue; of any size.

        Returns:
          NumPy labels of the task's kind, in pixels of `image`, without padding: such
          as `Boxes`, best score first, or a `LabelMap`.

        Raises:
          ValueError: `image` has another shape or another type.
        """
        pixels = np.asarray(image)
        is_rgb = pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size > 0
        if not is_rgb or pixels.dtype != np.uint8:
            raise ValueError(
                "`image` must be [H, W, 3] uint8, one picture with values from 0 to "
                f"255, got {pixels.dtype} of shape {pixels.shape}."
            )
        picture = Record(
            image_id="",
            encoded=encode_png(pixels, effort=0),
            format="png",
            filename="",
            height_px=pixels.shape[0],
            width_px=pixels.shape[1],
        )
        ((_, labels),) = self._predictor.over_pictures([picture], batch_size=1)
        return labels

    @functools.cached_property
    def _predictor(self) -> Predictor:
        """Kept, since each one traces the model."""
        return Predictor(self.task, self.model)


def restore_run(
    checkpoint: str,
    *,
    purpose: str = "evaluation",
    min_score: float | None = None,
    image_size_px: tuple[int, int] | None = None,
    strategy: str = "one_device",
    tpu: str = "",
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
    runtime = dataclasses.replace(
        config.runtime,
        strategy=strategy,
        tpu=tpu,
        # It is about steps of training, and several hosts could not compile them.
        jit_compile=config.runtime.jit_compile and strategy != "multi_worker",
    )
    config = dataclasses.replace(config, runtime=runtime)
    if deterministic:
        strategies.configure_determinism(runtime)
    spread = strategies.build_strategy(runtime)
    on_tpu = strategy == "tpu"
    if min_score is not None:
        config = with_min_score(config, min_score)
    task = build_task(config, xla=on_tpu, purpose=purpose)
    with strategies.precision(runtime.precision), spread.scope():
        model = task.build_model(sync_batch_norm=False)
        checkpoints.load_model(model, found)
    return RestoredRun(config=config, task=task, model=model, file=found)


def config_file(file: ModelFile) -> pathlib.Path:
    """Returns where the config of the run is that a checkpoint belongs to, if any."""
    return pathlib.Path(file.prefix).parent.parent / CONFIG_FILE


def config_of(file: ModelFile) -> Config:
    """Returns the config of the run that a checkpoint belongs to.

    Raises:
      ValueError: There is none beside it.
    """
    path = config_file(file)
    if not path.exists():
        raise ValueError(
            f"{path}: missing; a checkpoint is opened with the config of its run."
        )
    return config_lib.load(str(path))
