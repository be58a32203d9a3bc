"""The models of the paper by name, with the settings of the authors' configs."""

import dataclasses
import difflib
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from st_keras.models.classifier import classifier
from st_keras.models.deeplab import deeplab_v3_plus
from st_keras.models.layers import Norm
from st_keras.models.nas_fpn_segmenter import nas_fpn_segmenter
from st_keras.models.retinanet import retinanet
from st_keras.ops.anchors import make_anchors

_COCO_LOGITS = 91  # COCO's ids run to 90; logit 0 is never used.
_PASCAL_LOGITS = 21  # 20 classes and background.
_IMAGENET_LOGITS = 1000
_BACKGROUND = 1  # ResNets and SpineNets have this class before those of ImageNet.

_EPSILON = Norm(epsilon=1e-3)  # Of the self-training configs.
_DEEPLAB_NORM = Norm(momentum=0.9997, epsilon=1e-3)
# Side in pixels that an EfficientNet was made for.
_EFFICIENTNET_PX = {
    **{"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380, "b5": 456, "b6": 528},
    **{"b7": 600, "l2": 800},
}


@dataclasses.dataclass(frozen=True)
class Preset:
    """A function of this package and its arguments."""

    function: Callable[..., tf.keras.Model]
    side_px: int  # Height and width of the input.
    num_classes: int
    settings: Mapping[str, object]
    anchor_size: float | None = None  # Of a detector's smallest anchor, in strides.

    @property
    def backbone(self) -> str:
        """A key of `models.BACKBONES`."""
        return self.settings["backbone"]


def _detector(backbone, side_px, *, anchor_size=4.0, **settings) -> Preset:
    return Preset(
        retinanet,
        side_px,
        _COCO_LOGITS,
        {"backbone": backbone, **settings},
        anchor_size,
    )


def _spinenet(size, side_px, *, anchor_size=3.0, **settings) -> Preset:
    return _detector(
        f"spinenet_{size}",
        side_px,
        anchor_size=anchor_size,
        activation="swish",
        **settings,
    )


def _segmenter(backbone: str) -> Preset:
    return Preset(
        nas_fpn_segmenter, 512, _PASCAL_LOGITS, {"backbone": backbone, "norm": _EPSILON}
    )


def _deeplab(backbone: str) -> Preset:
    settings = {"backbone": backbone, "activation": "swish", "norm": _DEEPLAB_NORM}
    return Preset(deeplab_v3_plus, 512, _PASCAL_LOGITS, settings)


def _classifier(backbone, side_px, **settings) -> Preset:
    has_background = not backbone.startswith("efficientnet")
    num_classes = _IMAGENET_LOGITS + _BACKGROUND * has_background
    return Preset(classifier, side_px, num_classes, {"backbone": backbone, **settings})


_CLASSIFIER_NORM = Norm(momentum=0.9, epsilon=1e-5)

PRESETS = {
    "retinanet_resnet50_fpn": _detector("resnet50", 640),
    "retinanet_resnet101_fpn": _detector("resnet101", 1024),
    "retinanet_resnet152_fpn": _detector("resnet152", 1280),
    "retinanet_resnet50_nas_fpn": _detector(
        "resnet50", 640, neck="nas_fpn", neck_repeats=7
    ),
    "retinanet_efficientnet_b7_fpn": _detector("efficientnet_b7", 640),
    "retinanet_spinenet_mobile_49": _spinenet(
        "mobile_49", 384, head_filters=48, separable=True
    ),
    "retinanet_spinenet_49s": _spinenet("49s", 640, head_filters=128),
    "retinanet_spinenet_49": _spinenet("49", 640),
    "retinanet_spinenet_96": _spinenet("96", 1024),
    "retinanet_spinenet_143": _spinenet("143", 1280, anchor_size=4.0, norm=_EPSILON),
    "retinanet_spinenet_190": _spinenet(
        "190", 1280, anchor_size=4.0, norm=_EPSILON, head_filters=512, head_convs=7
    ),
    "nas_fpn_segmenter_efficientnet_b0": _segmenter("efficientnet_b0"),
    "nas_fpn_segmenter_efficientnet_b7": _segmenter("efficientnet_b7"),
    "nas_fpn_segmenter_efficientnet_l2": _segmenter("efficientnet_l2"),
    "deeplab_v3_plus_resnet50": _deeplab("resnet50"),
    "deeplab_v3_plus_resnet101": _deeplab("resnet101"),
    "classifier_resnet50": _classifier("resnet50", 224, norm=_CLASSIFIER_NORM),
    # The authors' has 224 px, which the strides of its coarsest levels do not divide.
    "classifier_spinenet_49": _classifier(
        "spinenet_49", 256, activation="swish", norm=_CLASSIFIER_NORM
    ),
    **{
        f"classifier_efficientnet_{size}": _classifier(f"efficientnet_{size}", side)
        for size, side in _EFFICIENTNET_PX.items()
    },
}


def build(
    name: str,
    *,
    image_size_px: tuple[int, int] | None = None,
    num_classes: int | None = None,
    **changes: object,
) -> tf.keras.Model:
    """Returns a model of the paper, with random weights.

    Args:
      name: A key of `models.PRESETS`, as `retinanet_spinenet_143`.
      image_size_px: Height and width; None: those of the authors' config.
      num_classes: None: those of COCO, PASCAL VOC or ImageNet, as the authors count.
      **changes: Other arguments of the preset's function.

    Raises:
      ValueError: There is no such preset, or a size does not fit it.
    """
    preset = _find(name)
    return preset.function(
        _size(preset, image_size_px),
        preset.num_classes if num_classes is None else num_classes,
        **{**preset.settings, **changes},
    )


def anchors_of(
    name: str, *, image_size_px: tuple[int, int] | None = None
) -> np.ndarray:
    """Returns the anchors of a detector of `build`, in the order of its outputs.

    `ops.box_coding.decode_boxes` applies the model's `offsets` to them.

    Args:
      name: A key of `models.PRESETS`, of a detector.
      image_size_px: As for `build`.

    Returns:
      [A, 4] float32 (y0, x0, y1, x1), pixels of the network's input.

    Raises:
      ValueError: There is no such preset, it has no anchors, or a size does not fit it.
    """
    preset = _find(name)
    if preset.anchor_size is None:
        detectors = (key for key, other in PRESETS.items() if other.anchor_size)
        raise ValueError(
            f"`name` must be a detector, got {name!r}, which has no anchors. There are "
            f"{', '.join(detectors)}."
        )
    return make_anchors(_size(preset, image_size_px), anchor_size=preset.anchor_size)


def _find(name: str) -> Preset:
    if name not in PRESETS:
        near = difflib.get_close_matches(name, PRESETS, n=1)
        hint = (
            f"Did you mean {near[0]}?" if near else f"There are {', '.join(PRESETS)}."
        )
        raise ValueError(f"`name` must be a preset, got {name!r}. {hint}")
    return PRESETS[name]


def _size(preset: Preset, image_size_px: tuple[int, int] | None) -> tuple[int, int]:
    square = (preset.side_px, preset.side_px)
    return square if image_size_px is None else image_size_px
