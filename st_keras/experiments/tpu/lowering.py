"""Lowers the steps of a config to HLO, from shapes alone.

No record is read: a step depends on the number of classes and on the most boxes of a
picture, which come from the records' info, or from a stand-in where there is none.
"""

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from st_keras.config import Config
from st_keras.data import dataset_info
from st_keras.data.dataset_info import DatasetInfo
from st_keras.runtime import strategy as strategies
from st_keras.runtime.inference import Predictor
from st_keras.tasks import Task, build_task, with_class_names
from st_keras.training import optimization
from st_keras.training.learner import Learner, build_blend
from st_keras.training.step import build_step
from st_keras.types import Batch

STEPS = ("train", "evaluation", "labeling")

_BOXES = 100  # The authors pad to this many; no picture of COCO has more than 93.
_NO_SIZES = {"p0": 0.0, "p50": 0.0, "p100": 0.0}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lowered:
    """A step that can be compiled."""

    hlo: bytes  # A serialised HloModuleProto.
    parameters: int  # Trainable ones.


def lower(config: Config, step: str, images: Mapping[str, int]) -> Lowered:
    """Returns one replica's step, as it is without other replicas.

    Layers are those of a run on many, but here no other replica sends them sums. What a
    BatchNorm or a gradient sends takes no memory that grows with the batch. An average
    of the weights (`optimization.ema_decay`) is not included: it is a separate step.

    Args:
      config: Of any run; it is compiled as one for a TPU.
      step: One of `STEPS`.
      images: Per replica: by part, such as `human`, for training; otherwise one number.

    Raises:
      ValueError: The step has parts that cannot be lowered here yet.
    """
    if step == "train" and (config.joint or (config.pseudo and config.pseudo.online)):
        raise ValueError(
            "`joint` and `pseudo.online` are not compiled for TPUs yet; look at the "
            "rest of the step with `--set joint=null` or `--set pseudo.online=false`."
        )
    info = described(config)
    if not config.section.class_names:
        config = with_class_names(config, info)
    runtime = dataclasses.replace(config.runtime, strategy="tpu", tpu="local")
    config = dataclasses.replace(config, runtime=runtime)
    strategies.configure(runtime)
    tf.keras.backend.clear_session()
    purpose = "labeling" if step == "labeling" else "evaluation"
    task = build_task(config, xla=True, purpose=purpose)
    # The layer that a run on several replicas has: it keeps more than Keras' own.
    model = task.build_model(sync_batch_norm=config.runtime.sync_batch_norm)
    if step == "train":
        run, specs = _train_step(config, task, model, info, images)
    else:
        run, specs = _look(task, model, sum(images.values()))
    return Lowered(
        hlo=_hlo(run, specs),
        parameters=sum(v.shape.num_elements() for v in model.trainable_variables),
    )


def described(config: Config) -> DatasetInfo:
    """Returns the info of the human records; without any, a stand-in.

    The stand-in has as many classes as the data sets of the paper.
    """
    try:
        return dataset_info.load(config.human.records)
    except (ValueError, OSError):
        return _stand_in()


def _train_step(config, task: Task, model, info, images: Mapping[str, int]):
    optimizer = optimization.build_optimizer(config.optimization, config.training.steps)
    optimization.create_slots(optimizer, model.trainable_variables)
    blend = build_blend(config)
    learner = Learner(task=task, model=model, optimizer=optimizer, blend=blend)

    def prepare(serialized):
        prepared = task.prepare(serialized, tf.zeros([2], tf.int32), info)
        return Batch(prepared.image, prepared.labels, prepared.changes)

    specs = {part: _specs(prepare, "", count) for part, count in images.items()}
    return build_step(config, learner), specs


def _look(task: Task, model, images: int):
    height, width = model.input_shape[1:3]
    picture = tf.zeros([height, width, 3], tf.uint8)
    views = _specs(task.whole_view, picture, images)
    return Predictor(task, model).forward, views


def _specs(prepare, example, count: int):
    """Returns the shapes of a batch of prepared examples, without preparing any."""
    made = tf.data.Dataset.from_tensors(example).map(prepare)
    return made.batch(count, drop_remainder=True).element_spec


def _hlo(run, specs) -> bytes:
    compiled = tf.function(
        lambda *flat: run(tf.nest.pack_sequence_as(specs, flat)), jit_compile=True
    )
    # Only flat arguments may be shapes without values.
    lowered = compiled.experimental_get_compiler_ir(*tf.nest.flatten(specs))
    return lowered(stage="hlo_serialized")


def _stand_in() -> DatasetInfo:
    def names(count):
        return tuple(f"class_{i}" for i in range(count))

    return DatasetInfo(
        source="stand-in",
        class_names=names(90),  # COCO's ids.
        label_map_names=names(21),  # PASCAL VOC.
        image_class_names=names(1000),  # ImageNet.
        images=1,
        boxes=_BOXES,
        images_without_boxes=0,
        boxes_per_class={},
        boxes_per_image={**_NO_SIZES, "p100": float(_BOXES)},
        height_px=_NO_SIZES,
        width_px=_NO_SIZES,
        skipped={},
        content_sha256="",
        shards=(),
    )
