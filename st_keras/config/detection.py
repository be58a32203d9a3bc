"""Settings of object detection."""

from st_keras.config.checks import (
    check,
    check_above_zero,
    check_choice,
    check_not_negative,
    check_share,
    settings,
)
from st_keras.config.task import TaskConfig


@settings
class BoxHeadConfig:
    """The class and box towers on every pyramid level."""

    num_convs: int = 4
    num_filters: int = 256
    # Depthwise-separable convolutions, for phones; in a NAS-FPN, too.
    separable: bool = False

    def __post_init__(self):
        check_not_negative(self, "num_convs")
        check_above_zero(self, "num_filters")


@settings
class PostprocessConfig:
    """From raw outputs to detections; part of the protocol of every AP."""

    min_score: float = 0.05  # Detections at or under it are not kept.
    nms_iou: float = 0.5  # Of two boxes of a class that overlap more, the weaker goes.
    max_detections: int = 100  # Per image. COCO counts no more than 100.
    # Soft-NMS: overlapping boxes are weakened and none is dropped, so `nms_iou` has no
    # effect. 0: not soft. The paper's SpineNets: 0.3; the formula is not published.
    soft_nms_sigma: float = 0.0
    # What sigma means. tensorflow: a factor of exp(-iou^2 / (2 sigma)); bodla, as
    # Soft-NMS was first proposed: exp(-iou^2 / sigma).
    soft_nms_form: str = "tensorflow"

    def __post_init__(self):
        check_share(self, "nms_iou")
        check("min_score", self.min_score, 0.0 <= self.min_score < 1.0, "in [0, 1)")
        check_not_negative(self, "soft_nms_sigma")
        check_choice(self, "soft_nms_form", ("tensorflow", "bodla"))
        check_above_zero(self, "max_detections")


@settings
class DetectionConfig(TaskConfig):
    """A RetinaNet and how it is trained (reference: section 3 of the authors' code)."""

    # Label in the records that class id 0 stands for. 0 adds a class `background`, as
    # in the authors' checkpoints with their 91 logits.
    label_of_class_0: int = 1
    min_level: int = 3  # Pyramid level l has a stride of 2^l pixels.
    max_level: int = 7
    # fpn, nas_fpn or none. Empty: none on a SpineNet, which joins scales itself, and
    # fpn on the others.
    neck: str = ""
    neck_filters: int = 256
    neck_repeats: int = 7  # Cells of a NAS-FPN.
    head: BoxHeadConfig = BoxHeadConfig()
    anchor_size: float = 4.0  # Smallest anchor of a level, in strides.
    anchor_scales: int = 3  # Per octave.
    aspect_ratios: tuple[float, ...] = (1.0, 2.0, 0.5)  # Width over height.
    positive_iou: float = 0.5  # Anchors at or above it learn the box they overlap.
    negative_iou: float = 0.5  # Under it: background. Between the two: ignored.
    focal_alpha: float = 0.25
    focal_gamma: float = 1.5
    huber_delta: float = 0.1  # In anchor sides.
    box_weight: float = 50.0  # Of the box term against the class term.
    postprocess: PostprocessConfig = PostprocessConfig()

    def __post_init__(self):
        super().__post_init__()
        if self.neck:
            check_choice(self, "neck", ("fpn", "nas_fpn", "none"))
        check(
            "label_of_class_0",
            self.label_of_class_0,
            self.label_of_class_0 in (0, 1),
            "0 or 1",
        )
        check_not_negative(self, "box_weight", "focal_gamma")
        check_above_zero(
            self,
            "neck_filters",
            "neck_repeats",
            "anchor_size",
            "anchor_scales",
            "huber_delta",
        )
        check_share(self, "positive_iou", "negative_iou", "focal_alpha")
        check(
            "negative_iou",
            self.negative_iou,
            self.negative_iou <= self.positive_iou,
            f"at most `positive_iou` ({self.positive_iou})",
        )
        check("min_level", self.min_level, 2 <= self.min_level <= 5, "from 2 to 5")
        check(
            "max_level",
            self.max_level,
            self.max_level >= self.min_level,
            f"at least `min_level` ({self.min_level})",
        )
        self.check_sides(2**self.max_level, "2^max_level")
        check(
            "aspect_ratios",
            self.aspect_ratios,
            all(r > 0 for r in self.aspect_ratios) and self.aspect_ratios,
            "numbers above 0",
        )
