"""SpineNet: blocks in a searched order of scales, connected across scales."""

import dataclasses

import tensorflow as tf

from st_keras.models.arguments import check_divides, check_style
from st_keras.models.backbones.scale_permuted import Block, walk
from st_keras.models.layers import PADDINGS, Dropout, Norm, Upsample, convolve

layers = tf.keras.layers

_FILTERS = {2: 64, 3: 128, 4: 256, 5: 256, 6: 256, 7: 256}  # By level, at scale 1.
_STEM_FILTERS = 64  # Not scaled.
STEM_BLOCKS = 2
_STRIDE = 128  # Of the coarsest level.


# Features 0 and 1 are the two groups of the stem; the first block makes feature 2.
BLOCKS = (
    Block(2, "bottleneck", (0, 1)),
    Block(4, "residual", (0, 1)),
    Block(3, "bottleneck", (2, 3)),
    Block(4, "bottleneck", (2, 4)),
    Block(6, "residual", (3, 5)),
    Block(4, "bottleneck", (3, 5)),
    Block(5, "residual", (6, 7)),
    Block(7, "residual", (6, 8)),
    Block(5, "bottleneck", (8, 9)),
    Block(5, "bottleneck", (8, 10)),
    Block(4, "bottleneck", (5, 10), is_output=True),
    Block(3, "bottleneck", (4, 10), is_output=True),
    Block(5, "bottleneck", (7, 12), is_output=True),
    Block(7, "bottleneck", (5, 14), is_output=True),
    Block(6, "bottleneck", (12, 14), is_output=True),
)


@dataclasses.dataclass(frozen=True)
class Scaling:
    """How the sizes of SpineNet differ."""

    endpoint_filters: int
    filter_scale: float
    resample_alpha: float  # Share of the channels that are resampled.
    repeats: int  # Of each block.
    drop_connect: float = 0.2  # Of the last block; the first ones drop less.


SCALINGS = {
    "49s": Scaling(128, 0.65, 0.5, 1),
    "49": Scaling(256, 1.0, 0.5, 1),
    "96": Scaling(256, 1.0, 0.5, 2),
    "143": Scaling(256, 1.0, 1.0, 3, drop_connect=0.16),
    "190": Scaling(512, 1.3, 1.0, 4),
}


def spinenet(
    model_id: str,
    image_size_px: tuple[int, int],
    *,
    activation: str = "swish",
    norm: Norm | None = None,
    drop_connect: float | None = None,
    flavor: str = "authors",
) -> tf.keras.Model:
    """Returns a model from [B, H, W, 3] images to features of levels 3 to 7.

    Args:
      model_id: 49s, 49, 96, 143 or 190.
      image_size_px: Height and width, multiples of 128.
      activation: Name of a Keras activation.
      norm: BatchNorm; None: the authors'.
      drop_connect: Share of examples for which the last block's branch is dropped
        while training; None: the size's own.
      flavor: `authors`, or `tf_models` for checkpoints of tf-models-official: it pads
        strides unevenly and pools repeatedly where the authors pool once.

    Returns:
      Outputs `{"3": ..., "7": ...}`, [B, H / 2^l, W / 2^l, C] each.

    Raises:
      ValueError: No such size or flavor, or the image does not divide.

    Source: Du et al. 2020, arXiv:1912.05027, and the authors' spinenet.py in
    tensorflow/tpu. The copy in tf-models-official builds a smaller network when it is
    not told the image size, and such models cannot be loaded from a `.keras` file.
    """
    if model_id not in SCALINGS:
        raise ValueError(
            f"`model_id` must be one of {', '.join(SCALINGS)}, got {model_id!r}."
        )
    if flavor not in ("authors", "tf_models"):
        raise ValueError(f"`flavor` must be authors or tf_models, got {flavor!r}.")
    check_style(activation, drop_connect)
    check_divides(image_size_px, _STRIDE)
    scaling = SCALINGS[model_id]
    if drop_connect is not None:
        scaling = dataclasses.replace(scaling, drop_connect=drop_connect)
    return _Builder(scaling, activation, norm or Norm(), flavor).build(image_size_px)


class _Builder:
    def __init__(self, scaling: Scaling, activation: str, norm: Norm, flavor: str):
        self._scaling = scaling
        self._activation = activation
        self._norm = norm
        self._pools_once = flavor == "authors"
        self._padding = PADDINGS[flavor]

    def build(self, image_size_px) -> tf.keras.Model:
        images = layers.Input([*image_size_px, 3], name="images")
        outputs = walk(
            BLOCKS,
            self._stem(images),
            resample=self._resample,
            transform=self._transform,
            activation=self._activation,
        )
        endpoints = {
            str(level): self._unit(
                outputs[level], self._scaling.endpoint_filters, 1, f"endpoint{level}"
            )
            for level in sorted(outputs)
        }
        return tf.keras.Model(images, endpoints, name="backbone")

    def _stem(self, images) -> list[tf.Tensor]:
        x = self._unit(images, _STEM_FILTERS, 7, "stem", stride=2)
        x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
        features = []
        for index in range(STEM_BLOCKS):
            x = self._group(x, self._filters(2), "bottleneck", 0.0, f"stem{index}")
            features.append(x)
        return features

    def _group(self, x, filters: int, kind: str, drop: float, name: str):
        """Applies the repeats of one block."""
        for repeat in range(self._scaling.repeats):
            unit = f"{name}_{repeat}"
            shortcut = x
            width = filters * (4 if kind == "bottleneck" else 1)
            if x.shape[-1] != width:
                shortcut = self._unit(x, width, 1, f"{unit}_shortcut", activate=False)
            if kind == "bottleneck":
                x = self._unit(x, filters, 1, f"{unit}_a")
                x = self._unit(x, filters, 3, f"{unit}_b")
                x = self._unit(x, width, 1, f"{unit}_c", activate=False)
            else:
                x = self._unit(x, filters, 3, f"{unit}_a")
                x = self._unit(x, filters, 3, f"{unit}_b", activate=False)
            if drop:
                x = Dropout(drop, per_example=True, name=f"{unit}_drop")(x)
            x = layers.Add(name=f"{unit}_add")([x, shortcut])
            x = self._activate(x, unit)
        return x

    def _transform(self, x, block: Block, depth: float, name: str):
        drop = self._scaling.drop_connect * depth
        return self._group(x, self._filters(block.level), block.kind, drop, name)

    def _resample(self, x, parent: int, block: Block, name: str):
        """Brings a feature to the level and the channels of a block."""
        is_stem = parent < STEM_BLOCKS
        kind = "bottleneck" if is_stem else BLOCKS[parent - STEM_BLOCKS].kind
        level = 2 if is_stem else BLOCKS[parent - STEM_BLOCKS].level
        narrow = x.shape[-1] // (4 if kind == "bottleneck" else 1)
        narrow = int(narrow * self._scaling.resample_alpha)
        x = self._unit(x, narrow, 1, f"{name}_squeeze")
        if level < block.level:
            x = self._unit(x, narrow, 3, f"{name}_stride", stride=2)
            x = self._pool(x, block.level - level - 1, name)
        elif level > block.level:
            x = Upsample(2 ** (level - block.level), name=f"{name}_up")(x)
        width = self._filters(block.level) * (4 if block.kind == "bottleneck" else 1)
        return self._unit(x, width, 1, f"{name}_widen", activate=False)

    def _pool(self, x, halvings: int, name: str):
        if self._pools_once and halvings:
            size = 3 if halvings == 1 else 5
            stride = 2**halvings
            return layers.MaxPooling2D(
                size, stride, padding="same", name=f"{name}_pool"
            )(x)
        for number in range(halvings):
            x = layers.MaxPooling2D(3, 2, padding="same", name=f"{name}_pool{number}")(
                x
            )
        return x

    def _unit(self, x, filters, size, name, *, stride=1, activate=True):
        x = convolve(
            x, filters, size, stride=stride, padding=self._padding, name=f"{name}_conv"
        )
        x = self._norm(x, f"{name}_norm")
        return self._activate(x, name) if activate else x

    def _activate(self, x, name):
        return layers.Activation(self._activation, name=f"{name}_act")(x)

    def _filters(self, level: int) -> int:
        return int(_FILTERS[level] * self._scaling.filter_scale)
