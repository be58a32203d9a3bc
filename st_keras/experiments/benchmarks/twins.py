"""The same model twice, ours and that of tf-models-official, with the same weights."""

import dataclasses
import os
import tempfile
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from st_keras.config import (
    Config,
    DetectionConfig,
    EvaluationConfig,
    OptimizationConfig,
    RecordsConfig,
    RuntimeConfig,
    SegmentationConfig,
    TrainingConfig,
    ViewsConfig,
)
from st_keras.models import weights
from st_keras.ops import images
from st_keras.tasks import Task, build_task

# Candidates for suppression in a picture: pairs of an anchor and a class above the
# minimum score. Random weights give none, or all.
CANDIDATES = 1000
_SPREAD = 1.5  # Standard deviation of the logits.
_MIN_SCORE = 0.05  # The default of both sides.
_NORM = {"batch_norm_momentum": 0.99, "batch_norm_epsilon": 1e-3}  # Theirs.
_SPINENET = {"activation": "swish", "anchor_size": 3.0, "drop_connect": 0.2}  # Theirs.


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What both sides are built for."""

    backbone: str  # resnetN, which gets an FPN, or spinenet_N.
    size_px: tuple[int, int]  # Height and width of the network's input.
    batch_size: int
    num_classes: int  # K logits; of a detector, class 0 is the background.
    records: str = "none"  # Glob for training, evaluation and labelling.
    precision: str = "float32"  # As `runtime.precision`.


class Twins(NamedTuple):
    """Both sides of a comparison."""

    config: Config
    task: Task
    model: tf.keras.Model
    peer_task: Any  # Of tf-models-official.
    peer_model: tf.keras.Model


def detectors(sizes: Sizes) -> Twins:
    """Returns two RetinaNets."""
    return _twins(detection_config(sizes), *peer_detector(sizes))


def segmenters(sizes: Sizes) -> Twins:
    """Returns two DeepLabv3+ at output stride 16, with one view per picture."""
    return _twins(_segmentation_config(sizes), *_peer_segmenter(sizes))


def detection_config(sizes: Sizes) -> Config:
    """Returns the config of our RetinaNet."""
    like_theirs = _SPINENET if sizes.backbone.startswith("spinenet") else {}
    detection = DetectionConfig(
        image_size_px=sizes.size_px,
        class_names=_names(sizes),
        label_of_class_0=0,
        backbone=sizes.backbone,
        flavor="tf_models",
        **like_theirs,
        **_NORM,
    )
    return _config(sizes, detection=detection)


def build(config: Config) -> tuple[Task, tf.keras.Model]:
    """Returns our task and model."""
    tf.keras.mixed_precision.set_global_policy(config.runtime.precision)
    task = build_task(config, purpose="labeling")
    return task, task.build_model(sync_batch_norm=False)


def peer_detector(sizes: Sizes) -> tuple[Any, tf.keras.Model]:
    """Returns the task and the model of tf-models-official."""
    from official.vision.configs import retinanet as configs
    from official.vision.tasks import retinanet

    if sizes.backbone.startswith("spinenet"):
        config = configs.retinanet_spinenet_coco().task
        config.model.backbone.spinenet.model_id = _number(sizes)
    else:
        config = configs.retinanet_resnetfpn_coco().task
        config.model.backbone.resnet.model_id = int(_number(sizes))
    _set_sizes(config, sizes)
    task = retinanet.RetinaNetTask(config)
    model = task.build_model()
    # Their head has no weights before it is called.
    model(tf.keras.Input([*sizes.size_px, 3]), training=True)
    return task, model


def give_candidates(twins: Twins, pictures: tf.Tensor) -> None:
    """Gives both detectors scores like a trained one's: few above the minimum.

    The classifier's kernel is redrawn, so that logits differ from place to place, and
    its bias is set so that the given pictures have `CANDIDATES` each.

    Args:
      twins: Detectors.
      pictures: [B, H, W, 3] uint8, of the network's size.
    """
    classifier = twins.peer_model.head._classifier
    random = np.random.default_rng(0)
    kernel = random.normal(size=classifier.kernel.shape).astype(np.float32)
    classifier.kernel.assign(kernel)
    classifier.bias.assign(tf.zeros_like(classifier.bias))
    _copy(twins, "head")
    features = images.normalize(pictures, twins.model.compute_dtype)
    logits = twins.model(features, training=False)["logits"].numpy()
    scale = _SPREAD / logits.std()
    share = min(CANDIDATES / logits[0].size, 1.0)
    rest = np.quantile(scale * logits, 1.0 - share)
    wanted = np.log(_MIN_SCORE / (1.0 - _MIN_SCORE))
    classifier.kernel.assign(kernel * scale)
    classifier.bias.assign(tf.fill(classifier.bias.shape, np.float32(wanted - rest)))
    _copy(twins, "head")


def _segmentation_config(sizes: Sizes) -> Config:
    segmentation = SegmentationConfig(
        image_size_px=sizes.size_px,
        class_names=_names(sizes),
        backbone=sizes.backbone,
        flavor="tf_models",
        labeling_views=ViewsConfig(),
        **_NORM,
    )
    return _config(sizes, segmentation=segmentation)


def _peer_segmenter(sizes: Sizes) -> tuple[Any, tf.keras.Model]:
    from official.vision.configs import semantic_segmentation as configs
    from official.vision.tasks import semantic_segmentation

    config = configs.seg_deeplabv3plus_pascal().task
    backbone = config.model.backbone.dilated_resnet
    # Their config's stem is three small convolutions; ours is the ResNet's own one.
    backbone.model_id, backbone.stem_type = int(_number(sizes)), "v0"
    norm = config.model.norm_activation
    norm.activation, norm.norm_momentum = "relu", _NORM["batch_norm_momentum"]
    config.validation_data.output_size = list(sizes.size_px)
    # Truth at the network's size, not in a frame large enough for any picture.
    config.validation_data.resize_eval_groundtruth = True
    _set_sizes(config, sizes)
    task = semantic_segmentation.SemanticSegmentationTask(config)
    return task, task.build_model()


def _twins(config: Config, peer_task, peer_model: tf.keras.Model) -> Twins:
    twins = Twins(config, *build(config), peer_task, peer_model)
    _copy(twins, *peer_model.checkpoint_items)
    return twins


def _copy(twins: Twins, *parts: str) -> None:
    """Copies the weights of their model into ours, through one of their checkpoints."""
    items = {part: twins.peer_model.checkpoint_items[part] for part in parts}
    ours = [{"decoder": "neck"}.get(part, part) for part in parts]
    with tempfile.TemporaryDirectory() as folder:
        path = tf.train.Checkpoint(**items).write(os.path.join(folder, "ckpt"))
        weights.load_weights(twins.model, path, parts=ours, format="tf_models")


def _config(sizes: Sizes, **task) -> Config:
    return Config(
        **task,
        human=RecordsConfig(records=sizes.records, images_per_step=sizes.batch_size),
        evaluation=EvaluationConfig(images_per_step=sizes.batch_size),
        # Small, so that weights that never learn stay finite.
        optimization=OptimizationConfig(
            schedule="constant", learning_rate=1e-5, warmup_steps=0
        ),
        training=TrainingConfig(steps=1),
        runtime=RuntimeConfig(precision=sizes.precision),
    )


def _set_sizes(config, sizes: Sizes) -> None:
    """Changes the settings that all their tasks have."""
    tf.keras.mixed_precision.set_global_policy(sizes.precision)
    config.init_checkpoint = None
    config.model.num_classes = sizes.num_classes
    config.model.input_size = [*sizes.size_px, 3]
    config.model.norm_activation.use_sync_bn = False
    for data in (config.train_data, config.validation_data):
        data.input_path = sizes.records
        data.global_batch_size = sizes.batch_size
        data.dtype = "bfloat16" if "bfloat16" in sizes.precision else "float32"
        data.drop_remainder = True


def _names(sizes: Sizes) -> tuple[str, ...]:
    return tuple(f"class_{number}" for number in range(sizes.num_classes))


def _number(sizes: Sizes) -> str:
    return sizes.backbone.removeprefix("spinenet_").removeprefix("resnet")
