"""The pieces that backbones, necks and heads are made of."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from st_keras.models import randomness
from st_keras.models.synchronized import SynchronizedBatchNorm
from st_keras.ops import bilinear

layers = tf.keras.layers

# Of strided convolutions, by flavor of the checkpoints; see `convolve`.
PADDINGS = {"authors": "symmetric", "tf_models": "same", "keras": "symmetric"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Norm:
    """How a model normalises its activations.

    The defaults are those of the authors' detection code.
    """

    momentum: float = 0.997  # Share of the old statistics that is kept per step.
    epsilon: float = 1e-4  # Added to the variance.
    synchronized: bool = False  # Whether replicas share their statistics.

    def __call__(self, x: tf.Tensor, name: str) -> tf.Tensor:
        """Applies a BatchNormalization layer of that name."""
        return self.layer(name)(x)

    def layer(self, name: str) -> tf.keras.layers.Layer:
        """Returns a BatchNormalization layer of that name."""
        settings = {"momentum": self.momentum, "epsilon": self.epsilon, "name": name}
        if self.synchronized:
            return SynchronizedBatchNorm(**settings)
        return layers.BatchNormalization(**settings)


def assemble(
    images: tf.Tensor, outputs: dict[str, tf.Tensor], name: str
) -> tf.keras.Model:
    """Returns a model whose outputs are called by their keys.

    Keras names an output after the layer that made it: without layers of their own, all
    outputs of one head would be `head` and `head_1` in the logs of `fit` and in the
    signature of a SavedModel.

    Args:
      images: Keras input.
      outputs: By name, float32.
      name: Of the model.
    """
    named = {
        key: layers.Activation("linear", dtype="float32", name=key)(value)
        for key, value in outputs.items()
    }
    return tf.keras.Model(images, named, name=name)


def convolve(
    x: tf.Tensor,
    filters: int,
    size: int,
    *,
    name: str,
    stride: int = 1,
    dilation: int = 1,
    padding: str = "symmetric",
    initializer: object = "variance_scaling",
) -> tf.Tensor:
    """Applies a convolution without a bias, to be followed by a BatchNorm.

    Args:
      x: [B, H, W, C].
      filters: Output channels.
      size: Of the kernel, height and width.
      name: Of the layer.
      stride: 1 or 2.
      dilation: Distance between the kernel's taps.
      padding: Matters at stride 2. `symmetric`: (size - 1) / 2 on each side, as the
        authors pad. `same`: TensorFlow's, which puts one more at the end, so that the
        two differ by half an output pixel on even sizes.
      initializer: Of the kernel. The default is that of the authors' convolutions.
    """
    if stride > 1 and padding == "symmetric":
        reach = (size - 1) * dilation
        before = reach // 2
        sides = (before, reach - before)
        x = layers.ZeroPadding2D((sides, sides), name=f"{name}_pad")(x)
        padding = "valid"
    else:
        padding = "same"
    return layers.Conv2D(
        filters,
        size,
        stride,
        padding=padding,
        dilation_rate=dilation,
        use_bias=False,
        kernel_initializer=initializer,
        name=name,
    )(x)


@tf.keras.utils.register_keras_serializable("st_keras")
class Dropout(layers.Layer):
    """Sets activations to zero while training, and scales the others up.

        out = x * kept / (1 - rate)

    Like Keras' own, but the seed of the step determines its choices. With
    `per_example` a whole example is kept or dropped: on a residual branch this is
    drop-connect, or stochastic depth (Huang et al. 2016, arXiv:1603.09382).
    """

    def __init__(self, rate: float, *, per_example: bool = False, **kwargs):
        """Makes the layer.

        Args:
          rate: Share that is dropped, in [0, 1).
          per_example: Whether all of an example shares one choice.
          **kwargs: Of every Keras layer.

        Raises:
          ValueError: The rate is out of range.
        """
        super().__init__(**kwargs)
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"`rate` must be in [0, 1), got {rate}.")
        self.rate = rate
        self.per_example = per_example

    def call(self, x, training=None):
        if not training or not self.rate:
            return x
        shape = tf.shape(x)
        if self.per_example:
            shape = tf.concat([shape[:1], tf.ones([x.shape.rank - 1], tf.int32)], 0)
        # Drawn in float32: in bfloat16 there are 256 numbers between 0 and 1.
        kept = randomness.uniform(shape, self.name) >= self.rate
        return x * tf.cast(kept, x.dtype) / tf.cast(1.0 - self.rate, x.dtype)

    def get_config(self):
        return super().get_config() | {
            "rate": self.rate,
            "per_example": self.per_example,
        }


def global_average(name: str, *, keepdims: bool = False) -> layers.Layer:
    """Returns a layer that averages a map over its cells, in float32 at least.

    TensorFlow's mean on a CPU adds up in the type of the map: in bfloat16 the sum stops
    growing at 256 times its terms, so that the mean of 128 x 128 cells is a third of
    what it should be.

    Args:
      name: Of the layer.
      keepdims: Whether the result is [B, 1, 1, C] and not [B, C].
    """
    dtype = tf.keras.mixed_precision.global_policy().compute_dtype
    is_short = tf.as_dtype(dtype).size < tf.float32.size
    return layers.GlobalAveragePooling2D(
        keepdims=keepdims, dtype="float32" if is_short else None, name=name
    )


def squeeze_excite(
    x: tf.Tensor,
    squeezed: int,
    activation: str,
    name: str,
    make_initializer: Callable[[], object] = lambda: "variance_scaling",
) -> tf.Tensor:
    """Scales each channel by a gate computed from the whole map.

    Args:
      x: [B, H, W, C].
      squeezed: Channels in between, at least 1.
      activation: Between the two 1x1 convolutions; a sigmoid follows the second.
      name: Of the layers: `NAME_reduce` and `NAME_expand` have the weights.
      make_initializer: Of the kernels; called for each, since a shared one draws the
        same numbers again.

    Source: Hu et al. 2018, arXiv:1709.01507.
    """
    y = global_average(f"{name}_pool", keepdims=True)(x)
    for filters, act, part in (
        (max(1, squeezed), activation, "reduce"),
        (x.shape[-1], "sigmoid", "expand"),
    ):
        y = layers.Conv2D(
            filters, 1, kernel_initializer=make_initializer(), name=f"{name}_{part}"
        )(y)
        y = layers.Activation(act, name=f"{name}_{part}_act")(y)
    return layers.Multiply(name=f"{name}_scale")([x, y])


@tf.keras.utils.register_keras_serializable("st_keras")
class Upsample(layers.Layer):
    """Repeats each cell of a map, as nearest-neighbour resizing does.

    Keras' UpSampling2D gives the same, but its gradient does not compile with XLA.
    """

    def __init__(self, size: int | tuple[int, int], **kwargs):
        """Makes the layer.

        Args:
          size: Repeats in height and width.
          **kwargs: Of every Keras layer.
        """
        super().__init__(**kwargs)
        self.size = tuple(size) if isinstance(size, list | tuple) else (size, size)

    def call(self, x):
        _, height, width, channels = x.shape
        rows, columns = self.size
        x = tf.reshape(x, [-1, height, 1, width, 1, channels])
        x = tf.tile(x, [1, 1, rows, 1, columns, 1])
        return tf.reshape(x, [-1, height * rows, width * columns, channels])

    def get_config(self):
        return super().get_config() | {"size": self.size}


@tf.keras.utils.register_keras_serializable("st_keras")
class Bilinear(layers.Layer):
    """Enlarges [B, h, w, C], static h and w; in float32 whatever the model computes in.

    Keras' UpSampling2D gives the same without `legacy`; see `ops/bilinear.py` for its
    cost under XLA.
    """

    def __init__(
        self, factor: int | tuple[int, int], *, legacy: bool = False, **kwargs
    ):
        """Makes the layer.

        Args:
          factor: Of height and width, whole numbers.
          legacy: As TensorFlow 1 did: cell i lies on pixel i * factor. Today's resizing
            aligns the centres of cells and pixels, half a cell away.
          **kwargs: Of every Keras layer; the dtype is always float32.

        Raises:
          ValueError: A factor is not a whole number, 1 or more.
        """
        super().__init__(**kwargs | {"dtype": "float32"})
        self.factor = (
            tuple(factor) if isinstance(factor, list | tuple) else (factor, factor)
        )
        if any(one != int(one) or one < 1 for one in self.factor):
            raise ValueError(f"`factor` must be 1, 2, 3 or so on, got {factor}.")
        self.legacy = legacy

    def call(self, x):
        _, height, width, _ = x.shape
        size_px = height * self.factor[0], width * self.factor[1]
        return bilinear.resize(x, size_px, legacy=self.legacy)

    def get_config(self):
        return super().get_config() | {"factor": self.factor, "legacy": self.legacy}
