"""ResNet: residual blocks on four scales, the last ones optionally dilated."""

import dataclasses

import tensorflow as tf

from st_keras.models.arguments import check_divides, check_style
from st_keras.models.layers import PADDINGS, Dropout, Norm, convolve

layers = tf.keras.layers

LEVELS = (2, 3, 4, 5)
_STEM_FILTERS = 64
_FILTERS = {2: 64, 3: 128, 4: 256, 5: 512}  # By level; a bottleneck widens fourfold.
_STRIDES = (8, 16, 32)


@dataclasses.dataclass(frozen=True)
class Depth:
    """The blocks of a ResNet with some number of layers."""

    kind: str  # `bottleneck`, or `basic`: two 3x3 convolutions.
    repeats: tuple[int, int, int, int]  # Blocks of levels 2 to 5.


DEPTHS = {
    18: Depth("basic", (2, 2, 2, 2)),
    34: Depth("basic", (3, 4, 6, 3)),
    50: Depth("bottleneck", (3, 4, 6, 3)),
    101: Depth("bottleneck", (3, 4, 23, 3)),
    152: Depth("bottleneck", (3, 8, 36, 3)),
    200: Depth("bottleneck", (3, 24, 36, 3)),
}


def resnet(
    depth: int,
    image_size_px: tuple[int, int],
    *,
    activation: str = "relu",
    norm: Norm | None = None,
    output_stride: int = 32,
    multigrid: tuple[int, ...] | None = None,
    flavor: str = "authors",
    drop_connect: float = 0.0,
) -> tf.keras.Model:
    """Returns a model from [B, H, W, 3] images to the features of its four stages.

    The activation follows the sum, the 3x3 convolution has the stride, and the first
    block of every stage projects its shortcut. No gamma starts at zero.

    Args:
      depth: 18, 34, 50, 101, 152 or 200 layers.
      image_size_px: Height and width, multiples of the output stride.
      activation: Name of a Keras activation.
      norm: BatchNorm; None: the authors'.
      output_stride: 8, 16 or 32 pixels per cell of the last stage. Under 32, the last
        stages keep their size and dilate their 3x3 convolutions by 2, then by 4.
      multigrid: Factors of the dilation, one per block of the last stage, as
        (1, 2, 4); None: none.
      flavor: `authors`; `tf_models` for checkpoints of tf-models-official, which pads
        strides unevenly; `keras` for files of tf.keras.applications, where the first
        1x1 convolution has the stride and the first pooling pads with zeros.
      drop_connect: Share of examples for which the branch of a block of the last stage
        is dropped while training; falls evenly to 2/5 of it in the first stage.

    Returns:
      Outputs `{"2": ..., "5": ...}` by stage, [B, H / s, W / s, C] each, where stage l
      has the stride s = 2^l, or the output stride if that is smaller.

    Raises:
      ValueError: There is no such depth, output stride or flavor, the image does not
        divide, or the multigrid does not fit.

    Source: He et al. 2015, arXiv:1512.03385, and the authors' resnet.py; dilation and
    multigrid: Chen et al. 2017, arXiv:1706.05587.
    """
    _check(depth, output_stride, multigrid, flavor)
    check_style(activation, drop_connect)
    check_divides(image_size_px, output_stride, "the output stride")
    builder = _Builder(DEPTHS[depth].kind, activation, norm or Norm(), flavor)
    images = layers.Input([*image_size_px, 3], name="images")
    x = builder.unit(images, _STEM_FILTERS, 7, "stem", stride=2)
    if flavor == "keras":
        x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    pool_padding = "valid" if flavor == "keras" else "same"
    x = layers.MaxPooling2D(3, 2, padding=pool_padding, name="stem_pool")(x)
    features = {}
    for level, repeats in zip(LEVELS, DEPTHS[depth].repeats, strict=True):
        is_strided = 4 < 2**level <= output_stride
        dilation = max(1, 2**level // output_stride)
        factors = multigrid if multigrid and level == 5 else (1,) * repeats
        for number, factor in enumerate(factors):
            x = builder.block(
                x,
                _FILTERS[level],
                f"level{level}_{number}",
                is_first=number == 0,
                stride=2 if is_strided and number == 0 else 1,
                dilation=dilation * factor,
                drop=drop_connect * level / 5,
            )
        features[str(level)] = x
    return tf.keras.Model(images, features, name="backbone")


class _Builder:
    def __init__(self, kind: str, activation: str, norm: Norm, flavor: str):
        self._is_bottleneck = kind == "bottleneck"
        self._activation = activation
        self._norm = norm
        self._padding = PADDINGS[flavor]
        self._strides_first = flavor == "keras"

    def block(self, x, filters, name, *, is_first, stride, dilation, drop):
        """Adds a branch of convolutions to the shortcut around it."""
        width = filters * 4 if self._is_bottleneck else filters
        first, second = (stride, 1) if self._strides_first else (1, stride)
        shortcut = x
        if is_first:
            shortcut = self.unit(
                x, width, 1, f"{name}_shortcut", stride=stride, activate=False
            )
        if self._is_bottleneck:
            x = self.unit(x, filters, 1, f"{name}_a", stride=first)
            x = self.unit(x, filters, 3, f"{name}_b", stride=second, dilation=dilation)
            x = self.unit(x, width, 1, f"{name}_c", activate=False)
        else:
            x = self.unit(x, filters, 3, f"{name}_a", stride=stride, dilation=dilation)
            x = self.unit(x, width, 3, f"{name}_b", dilation=dilation, activate=False)
        if drop:
            x = Dropout(drop, per_example=True, name=f"{name}_drop")(x)
        x = layers.Add(name=f"{name}_add")([x, shortcut])
        return self._activate(x, name)

    def unit(self, x, filters, size, name, *, stride=1, dilation=1, activate=True):
        x = convolve(
            x,
            filters,
            size,
            stride=stride,
            dilation=dilation,
            padding=self._padding,
            name=f"{name}_conv",
        )
        x = self._norm(x, f"{name}_norm")
        return self._activate(x, name) if activate else x

    def _activate(self, x, name):
        return layers.Activation(self._activation, name=f"{name}_act")(x)


def _check(depth, output_stride, multigrid, flavor) -> None:
    for name, value, choices in (
        ("depth", depth, DEPTHS),
        ("output_stride", output_stride, _STRIDES),
        ("flavor", flavor, PADDINGS),
    ):
        if value not in choices:
            wanted = ", ".join(str(choice) for choice in choices)
            raise ValueError(f"`{name}` must be one of {wanted}, got {value!r}.")
    if multigrid is None:
        return
    if output_stride == 32:
        raise ValueError(
            f"`multigrid` must be None at output stride 32, where nothing is dilated, "
            f"got {multigrid}."
        )
    blocks = DEPTHS[depth].repeats[-1]
    if len(multigrid) != blocks or min(multigrid) < 1:
        raise ValueError(
            f"`multigrid` must have a factor of 1 or more for each of the {blocks} "
            f"blocks of the last stage, got {multigrid}."
        )
