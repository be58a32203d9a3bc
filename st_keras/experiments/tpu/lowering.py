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
from st_keras.self_training.batches import preparation
from st_keras.tasks import Task, build_joint_task, build_task, with_class_names
from st_keras.training.learner import build_learner
from st_keras.training.step import build_step

STEPS = ("train", "evaluation", "labeling")

# Replicas of which the model is built as a part: on one, layers keep less.
_MANY = 2
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
    of the weights (`optimization.ema_decay`) is moved by a separate step, which is not
    included; with `pseudo.online` its forward pass is.

    Args:
      config: Of any run; it is compiled as one for a TPU.
      step: One of `STEPS`.
      images: Per replica: by part, such as `human`, for training; otherwise one number.

    Raises:
      ValueError: `joint.records` are there and have no classes of pictures.
    """
    if not config.section.class_names:
        config = with_class_names(config, described(config.human.records))
    runtime = dataclasses.replace(config.runtime, strategy="tpu", tpu="local")
    config = dataclasses.replace(config, runtime=runtime)
    strategies.configure(runtime)
    tf.keras.backend.clear_session()
    purpose = "labeling" if step == "labeling" else "evaluation"
    task = build_task(config, xla=True, purpose=purpose)
    if step == "train":
        run, specs, variables = _train_step(config, task, images)
    else:
        run, specs, variables = _look(config, task, sum(images.values()))
    return Lowered(
        hlo=_hlo(run, specs),
        parameters=sum(v.shape.num_elements() for v in variables),
    )


def described(records: str) -> DatasetInfo:
    """Returns the info of records; without any, a stand-in.

    The stand-in has as many classes as the data sets of the paper.
    """
    try:
        return dataset_info.load(records)
    except (ValueError, OSError):
        return _stand_in()


def _train_step(config: Config, task: Task, images: Mapping[str, int]):
    settings = {part: getattr(config, part) for part in images}
    infos = {part: described(own.records) for part, own in settings.items()}
    tasks = dict.fromkeys(images, task)
    if config.joint:
        tasks["joint"] = build_joint_task(config, infos["joint"])
    learner = build_learner(config, tasks, replicas=_MANY, init=None)
    # Thresholds may come from a file that is not there; no shape depends on them.
    floor = config.pseudo.min_score if config.pseudo else 0.0
    specs = {}
    for part, count in images.items():
        prepare = preparation(
            part,
            settings[part],
            tasks[part],
            infos[part],
            min_scores=(floor,) * len(task.class_names) if part == "pseudo" else None,
        )
        specs[part] = _specs(_with_a_seed(prepare), "", count)
    heads = learner.joint.head.trainable_variables if learner.joint else []
    variables = learner.model.trainable_variables + heads
    return build_step(config, learner), specs, variables


def _with_a_seed(prepare):
    return lambda serialized: prepare(serialized, tf.zeros([2], tf.int32))[0]


def _look(config: Config, task: Task, images: int):
    model = task.build_model(sync_batch_norm=config.runtime.sync_batch_norm)
    height, width = model.input_shape[1:3]
    picture = tf.zeros([height, width, 3], tf.uint8)
    views = _specs(task.whole_view, picture, images)
    return Predictor(task, model).forward, views, model.trainable_variables


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
