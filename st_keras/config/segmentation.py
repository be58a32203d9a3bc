"""Settings of semantic segmentation."""

from st_keras.config.checks import (
    check,
    check_above_zero,
    check_choice,
    check_not_negative,
    check_share,
    settings,
)
from st_keras.config.task import TaskConfig

DECODERS = ("deeplab_v3_plus", "nas_fpn")
_NAS_FPN_STRIDE = 128  # Of its coarsest level.
_TINY_STRIDE = 32


@settings
class DeepLabConfig:
    """A DeepLabv3+: settings of tf-models-official for PASCAL VOC."""

    output_stride: int = 16  # Pixels per cell of the last feature; 32 on `tiny`.
    aspp_rates: tuple[int, ...] = ()  # Empty: 6, 12, 18 at output stride 16.
    aspp_filters: int = 256
    low_level_filters: int = 48  # That the feature at stride 4 is reduced to.
    decoder_filters: int = 256
    decoder_convs: int = 2
    dropout: float = 0.5  # After the atrous spatial pyramid pooling.

    def __post_init__(self):
        stride = self.output_stride
        check("output_stride", stride, stride in (8, 16, 32), "8, 16 or 32")
        check_above_zero(self, "aspp_filters", "low_level_filters", "decoder_filters")
        check_not_negative(self, "decoder_convs")
        check("dropout", self.dropout, 0.0 <= self.dropout < 1.0, "in [0, 1)")
        check(
            "aspp_rates",
            self.aspp_rates,
            all(rate >= 1 for rate in self.aspp_rates),
            "1 or more each",
        )


@settings
class NasFpnConfig:
    """The paper's segmenter: the sum of all levels of a NAS-FPN."""

    filters: int = 256
    repeats: int = 7  # Cells.
    separable: bool = True  # Depthwise-separable convolutions in the cells.
    head_convs: int = 3

    def __post_init__(self):
        check_above_zero(self, "filters", "repeats")
        check_not_negative(self, "head_convs")


@settings
class ViewsConfig:
    """How inference views a picture; part of the protocol of every mIoU.

    A scale of 1 shows the whole picture, as large as fits into the network's input. A
    picture scaled beyond the input is cut into tiles. The probabilities of all views
    are averaged at the picture's own size.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False  # Each view also mirrored.
    overlap: float = 0.25  # Least overlap of neighbouring tiles, as a share of a side.

    def __post_init__(self):
        check(
            "scales",
            list(self.scales),
            bool(self.scales) and all(scale > 0 for scale in self.scales),
            "numbers above 0",
        )
        check(
            "scales",
            list(self.scales),
            len(set(self.scales)) == len(self.scales),
            "different from each other",
        )
        check("overlap", self.overlap, 0.0 <= self.overlap <= 0.75, "in [0, 0.75]")


@settings
class SegmentationConfig(TaskConfig):
    """A segmenter and how it is trained (reference: the authors' PASCAL configs)."""

    image_size_px: tuple[int, int] = (512, 512)
    batch_norm_epsilon: float = 1e-3
    decoder: str = "deeplab_v3_plus"  # Or nas_fpn; its settings are in the part below.
    deeplab: DeepLabConfig = DeepLabConfig()
    nas_fpn: NasFpnConfig = NasFpnConfig()
    # Resolution of the loss; the network has one cell for 4 x 4 pixels. labels: the
    # logits are upsampled. logits: the labels are subsampled, as in the authors'
    # configs, which is faster and coarser.
    loss_at: str = "labels"
    # A cell lies on its first pixel, not its middle, in loss and inference: for weights
    # of the authors, whose TensorFlow 1 upsampled that way.
    legacy_alignment: bool = False
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()  # By class id; empty: equal.
    top_share: float = 1.0  # Only this share of an image's pixels counts, the hardest.
    evaluation_views: ViewsConfig = ViewsConfig()
    # The paper's scales, second-hand; whether it also mirrored is not published.
    labeling_views: ViewsConfig = ViewsConfig(
        scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75), flip=True
    )

    def __post_init__(self):
        super().__post_init__()
        check_choice(self, "decoder", DECODERS)
        check_choice(self, "loss_at", ("labels", "logits"))
        check_share(self, "label_smoothing")
        check("top_share", self.top_share, 0.0 < self.top_share <= 1.0, "in (0, 1]")
        check(
            "class_weights",
            self.class_weights,
            all(weight >= 0 for weight in self.class_weights),
            "0 or more each",
        )
        if self.class_names and self.class_weights:
            check(
                "class_weights",
                self.class_weights,
                len(self.class_weights) == len(self.class_names),
                f"one for each of {len(self.class_names)} classes",
            )
        if self.decoder == "nas_fpn":
            self.check_sides(_NAS_FPN_STRIDE, "the coarsest level of a NAS-FPN")
        elif self.backbone == "tiny":
            self.check_sides(_TINY_STRIDE, "the coarsest feature of `tiny`")
        else:
            self.check_sides(self.deeplab.output_stride, "`deeplab.output_stride`")
