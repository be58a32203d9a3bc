"""Settings of SimCLR: a backbone learns without labels (arXiv:2002.05709)."""

from st_keras.config.checks import check, check_above_zero, check_not_negative, settings
from st_keras.config.classification import CropConfig, check_cropped
from st_keras.config.task import TaskConfig


@settings
class SimClrConfig(TaskConfig):
    """How two views of a picture are drawn and told apart from all others.

    Class names and labels are not read. `augment` comes on top of crop and colours; by
    default it only flips.
    """

    image_size_px: tuple[int, int] = (224, 224)
    batch_norm_momentum: float = 0.9
    temperature: float = 0.1  # What similarities are divided by.
    projection_layers: int = 3  # After the backbone; dropped by runs starting from it.
    projection_dim: int = 128  # Outputs of the last layer.
    crop: CropConfig = CropConfig()
    # Of brightness, contrast, saturation (0.8 of it) and hue (0.2); 0: colours stay.
    color_strength: float = 1.0
    blur: bool = True  # Half of the views; small pictures have little to lose.

    def __post_init__(self):
        super().__post_init__()
        check_above_zero(self, "temperature", "projection_layers", "projection_dim")
        check_not_negative(self, "color_strength")
        check(
            "color_strength", self.color_strength, self.color_strength <= 1, "in [0, 1]"
        )
        check(
            "class_names",
            list(self.class_names),
            not self.class_names,
            "empty: SimCLR knows no classes",
        )
        check(
            "augment.where",
            repr(self.augment.where),
            self.augment.where == "host",
            "host for the views of SimCLR",
        )
        check_cropped(self)
