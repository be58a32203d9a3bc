"""Settings that every task has: the backbone, the input and its augmentation."""

from st_keras.config.augment import AugmentConfig
from st_keras.config.checks import (
    check,
    check_above_zero,
    check_choice,
    check_share,
    settings,
)

BACKBONES = (
    "tiny",
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnet200"),
    *("spinenet_49s", "spinenet_49", "spinenet_96", "spinenet_143", "spinenet_190"),
    "spinenet_mobile_49",
    *("efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3"),
    *("efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7"),
    "efficientnet_l2",
)


@settings
class TaskConfig:
    """What a model sees, and what it is built on."""

    # Empty: taken from dataset.json beside `human.records` when training starts.
    class_names: tuple[str, ...] = ()
    image_size_px: tuple[int, int] = (640, 640)  # Height, width of the network's input.
    backbone: str = "resnet50"
    # Whose weights the backbone is for: authors; tf_models (ResNet, SpineNet) or keras
    # (ResNet), which pad or stride differently.
    flavor: str = "authors"
    batch_norm_momentum: float = 0.997
    batch_norm_epsilon: float = 1e-4
    activation: str = "relu"
    # Share of examples for which the last residual branch is dropped while training;
    # earlier ones drop less. Empty: what the authors set for the backbone.
    drop_connect: float | None = None
    augment: AugmentConfig = AugmentConfig()

    def __post_init__(self):
        check_choice(self, "backbone", BACKBONES)
        check_choice(self, "flavor", ("authors", "tf_models", "keras"))
        check_choice(self, "activation", ("relu", "relu6", "swish", "gelu"))
        check_above_zero(self, "batch_norm_epsilon")
        check_share(self, "batch_norm_momentum")
        check(
            "drop_connect",
            self.drop_connect,
            self.drop_connect is None or 0.0 <= self.drop_connect < 1.0,
            "in [0, 1)",
        )

    def check_sides(self, stride: int, why: str) -> None:
        """Raises ValueError unless the image's sides are multiples of a stride."""
        for side in self.image_size_px:
            check(
                "image_size_px",
                list(self.image_size_px),
                side > 0 and side % stride == 0,
                f"multiples of {stride} ({why})",
            )
