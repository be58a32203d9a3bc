"""RetinaNet: a backbone, a feature pyramid, and two towers shared by its levels."""

import tensorflow as tf

from st_keras.models.backbones.resnet import resnet
from st_keras.models.backbones.tiny import tiny

_RESNET_DEPTHS = {
    "resnet18": 18,
    "resnet34": 34,
    "resnet50": 50,
    "resnet101": 101,
    "resnet152": 152,
}


def retinanet(
    image_size_px: tuple[int, int],
    num_classes: int,
    *,
    backbone: str = "resnet50",
    min_level: int = 3,
    max_level: int = 7,
    fpn_filters: int = 256,
    head_convs: int = 4,
    head_filters: int = 256,
    anchors_per_cell: int = 9,
    activation: str = "relu",
    batch_norm_momentum: float = 0.997,
    batch_norm_epsilon: float = 1e-4,
    sync_batch_norm: bool = False,
) -> tf.keras.Model:
    """Returns a detector as a functional Keras model with static shapes.

    Feature pyramid and towers are those of tf-models-official. Each tower's
    convolutions are shared by the levels, its BatchNorm is not.

    Args:
      image_size_px: Height and width, multiples of `2**max_level`.
      num_classes: K logits per anchor; there is no background class.
      backbone: `tiny` or `resnet18` ... `resnet152`.
      min_level: Finest pyramid level, 2 to 5; level l has one cell every `2**l`
        pixels.
      max_level: Coarsest level.
      fpn_filters: Channels of the pyramid.
      head_convs: 3x3 convolutions per tower before the predictor.
      head_filters: Their channels.
      anchors_per_cell: Scales times aspect ratios.
      activation: Name of a Keras activation.
      batch_norm_momentum: Share of the old statistics that is kept per step.
      batch_norm_epsilon: Added to the variance.
      sync_batch_norm: Whether replicas share their statistics.

    Returns:
      Model from [B, H, W, 3] normalised images to `logits` [B, A, K] and `offsets`
      [B, A, 4], both float32, anchors ordered as `ops.anchors.make_anchors` has them.

    Raises:
      ValueError: A size does not divide, or the backbone is unknown.

    Source: Lin et al. 2017, arXiv:1708.02002.
    """
    _check(image_size_px, num_classes, min_level, max_level)
    from official.vision.modeling.decoders import fpn
    from official.vision.modeling.heads import dense_prediction_heads

    norm = {
        "activation": activation,
        "batch_norm_momentum": batch_norm_momentum,
        "batch_norm_epsilon": batch_norm_epsilon,
        "sync_batch_norm": sync_batch_norm,
    }
    garden_norm = {
        "activation": activation,
        "norm_momentum": batch_norm_momentum,
        "norm_epsilon": batch_norm_epsilon,
        "use_sync_bn": sync_batch_norm,
    }
    features = build_backbone(backbone, image_size_px, **norm)
    pyramid = fpn.FPN(
        input_specs={level: f.shape for level, f in features.output.items()},
        min_level=min_level,
        max_level=max_level,
        num_filters=fpn_filters,
        **garden_norm,
    )
    head = dense_prediction_heads.RetinaNetHead(
        min_level=min_level,
        max_level=max_level,
        num_classes=num_classes,
        num_anchors_per_location=anchors_per_cell,
        num_convs=head_convs,
        num_filters=head_filters,
        name="head",
        **garden_norm,
    )
    images = tf.keras.layers.Input([*image_size_px, 3], name="images")
    logits, offsets, _ = head(pyramid(features(images)))
    levels = [str(level) for level in range(min_level, max_level + 1)]
    outputs = {
        "logits": _flatten(logits, levels, num_classes, "logits"),
        "offsets": _flatten(offsets, levels, 4, "offsets"),
    }
    return tf.keras.Model(images, outputs, name=f"retinanet_{backbone}")


def build_backbone(name: str, image_size_px: tuple[int, int], **norm) -> tf.keras.Model:
    """Returns the feature extractor of that name; see the modules in `backbones/`.

    Raises:
      ValueError: There is none of that name.
    """
    if name == "tiny":
        return tiny(image_size_px, **norm)
    if name in _RESNET_DEPTHS:
        return resnet(_RESNET_DEPTHS[name], image_size_px, **norm)
    raise ValueError(
        f"`backbone` must be one of tiny, {', '.join(_RESNET_DEPTHS)}, got {name!r}."
    )


def _flatten(maps, levels, width: int, name: str) -> tf.Tensor:
    """Joins [B, h, w, anchors * width] maps to one [B, A, width] float32 tensor."""
    rows = [
        tf.keras.layers.Reshape([-1, width], name=f"{name}_{level}")(maps[level])
        for level in levels
    ]
    joined = tf.keras.layers.Concatenate(axis=1, name=f"{name}_joined")(rows)
    # The losses are float32 even where the model computes in bfloat16.
    return tf.keras.layers.Activation("linear", dtype="float32", name=name)(joined)


def _check(image_size_px, num_classes, min_level, max_level) -> None:
    height, width = image_size_px
    stride = 2**max_level
    if not height or not width or height % stride or width % stride:
        raise ValueError(
            f"`image_size_px` must be multiples of {stride} (2^max_level), got "
            f"{height} x {width}."
        )
    if num_classes < 1:
        raise ValueError(f"`num_classes` must be 1 or more, got {num_classes}.")
    # The backbones have features of levels 2 to 5.
    if not 2 <= min_level <= min(max_level, 5):
        raise ValueError(
            "`min_level` must be from 2 to 5 and at most `max_level`, got "
            f"{min_level} and {max_level}."
        )
