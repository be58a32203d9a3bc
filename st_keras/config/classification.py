"""Settings of whole-picture classification, for training backbones."""

from st_keras.config.checks import check, check_above_zero, check_share, settings
from st_keras.config.task import TaskConfig

_POLICIES = ("S1", "S4")  # The others differ only in jitter, which a crop replaces.
_STRIDES = {"spinenet": 128, "efficientnet": 1}  # Others have 32.


@settings
class CropConfig:
    """Which random part of a picture training sees (arXiv:1409.4842, section 6)."""

    area_min: float = 0.08  # Of the picture's area. Larger where details decide.
    area_max: float = 1.0
    aspect_min: float = 3 / 4  # Width over height.
    aspect_max: float = 4 / 3

    def __post_init__(self):
        check_above_zero(self, "area_min", "aspect_min")
        check_share(self, "area_max")
        for side in ("area", "aspect"):
            low, high = getattr(self, f"{side}_min"), getattr(self, f"{side}_max")
            check(f"{side}_max", high, high >= low, f"at least `{side}_min` ({low})")


@settings
class ClassificationConfig(TaskConfig):
    """A classifier and how it is trained (reference: tf-models-official, ImageNet)."""

    image_size_px: tuple[int, int] = (224, 224)
    batch_norm_momentum: float = 0.9
    crop: CropConfig = CropConfig()
    label_smoothing: float = 0.1
    # Of the averaged features. Empty: the authors', none except on an EfficientNet.
    dropout: float | None = None
    # Share of the shorter side that inference sees, in the middle; 0 shows the whole
    # picture, with grey beside it.
    central_share: float = 0.875

    def __post_init__(self):
        super().__post_init__()
        check_share(self, "label_smoothing", "central_share")
        check(
            "dropout",
            self.dropout,
            self.dropout is None or 0.0 <= self.dropout < 1.0,
            "in [0, 1)",
        )
        check_cropped(self)


def check_cropped(config: TaskConfig) -> None:
    """Checks the size and the augmentation of pictures that `crop` cuts."""
    family = config.backbone.split("_")[0]
    config.check_sides(_STRIDES.get(family, 32), f"the coarsest cell of {family}")
    augment = config.augment
    check(
        "augment.policy",
        repr(augment.policy),
        augment.policy in _POLICIES,
        f"one of {', '.join(_POLICIES)} for pictures that `crop` cuts",
    )
    for name in ("scale_min", "scale_max"):
        value = getattr(augment, name)
        check(
            f"augment.{name}", value, value is None, "empty: `crop` says what is seen"
        )
