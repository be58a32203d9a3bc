"""Settings of augmentation; the same for every task."""

from st_keras.config.checks import (
    check,
    check_above_zero,
    check_choice,
    check_share,
    settings,
)

POLICIES = ("S1", "S2", "S3", "S4", "spinenet", "pascal")
OPERATIONS = (
    "none",
    *("autoaugment_v0", "autoaugment_v1", "autoaugment_v2", "autoaugment_v3"),
    "autoaugment_segmentation",
    "randaugment",
)


@settings
class AugmentConfig:
    """How a training image is changed. The default is the paper's Augment-S1."""

    # Names the jitter and the operations; data/augment/policies.py has the table.
    policy: str = "S1"
    # Jitter: size of the image relative to the network's input, drawn uniformly between
    # the two. Empty: the policy's.
    scale_min: float | None = None
    scale_max: float | None = None
    operations: str | None = None  # Empty: the policy's.
    layers: int = 2  # Of RandAugment: operations per picture.
    magnitude: float = 10.0  # Of RandAugment, from 0 to 10.
    flip_probability: float = 0.5  # Left to right. 0 for text, digits, arrows.
    color_strength: float = 0.0  # Brightness, contrast, saturation each 1 +- this.
    # A box is dropped if cropping or painting over leaves less than this share of it
    # visible: below about a quarter, what is left rarely shows which class it was.
    min_visible_share: float = 0.25
    # Contrast and Solarize are exactly the authors', mistakes included, and lengths are
    # in pixels of any picture; else lengths grow with it and equal theirs at 640 px.
    authors_quirks: bool = False
    # Where pixels are changed. host: there, before batching. device: in the training
    # step, for accelerators with few host cores: the host only decodes and shrinks, and
    # the random draws stay the same.
    where: str = "host"

    def __post_init__(self):
        check_choice(self, "policy", POLICIES)
        check_choice(self, "where", ("host", "device"))
        if self.operations is not None:
            check_choice(self, "operations", OPERATIONS)
        for name in ("scale_min", "scale_max"):
            if getattr(self, name) is not None:
                check_above_zero(self, name)
        if self.scale_min is not None and self.scale_max is not None:
            check(
                "scale_max",
                self.scale_max,
                self.scale_max >= self.scale_min,
                f"at least `scale_min` ({self.scale_min})",
            )
        check("layers", self.layers, 1 <= self.layers <= 8, "from 1 to 8")
        check("magnitude", self.magnitude, 0 <= self.magnitude <= 10, "from 0 to 10")
        check_share(self, "flip_probability", "min_visible_share")
        check(
            "color_strength",
            self.color_strength,
            0 <= self.color_strength < 1,
            "in [0, 1)",
        )
