"""Gradients of convolutions as CPUs compute them faster: as convolutions of their own.

The gradient by a convolution's input is a convolution of the gradient of its output, by
the kernel turned by 180 degrees, with input and output channels exchanged. The gradient
by its kernel is a convolution too: of the input, whose channels stand for pictures and
whose pictures stand for channels, by the gradient of the output, which is a kernel as
large as the map; for kernels of one place, it is a product of matrices.

TensorFlow has ops of their own for both. On a CPU, the one for the input rearranges the
kernel at every call, which takes longer than the arithmetic for many channels on a
small map, and is done for each level of a pyramid whose levels share a kernel; here a
kernel is turned once a step. The one for the kernel writes out every patch first, which
the op of the forward pass does not.

XLA finds forms of its own, and GPUs have fast ops for these gradients.

Source: Dumoulin and Visin 2016, arXiv:1603.07285, on transposed convolutions.
"""

import contextlib
import contextvars
import functools
from collections.abc import Iterable, Iterator

import tensorflow as tf

# Turned kernels by layer; None while switched off. Replicas are traced in threads that
# take turns, so each has kernels of its own.
_turned: contextvars.ContextVar[dict[int, tf.Tensor] | None] = contextvars.ContextVar(
    "turned", default=None
)


class ConvGradients:
    """Gives models' convolutions these gradients, while it is switched on."""

    def __init__(self, models: Iterable[tf.keras.Model]):
        """Finds the convolutions; what the models compute does not change.

        Args:
          models: Of the step. Convolutions with strides, dilation, groups, even
            kernels, or without padding keep TensorFlow's gradients, as do depthwise
            ones.
        """
        for model in models:
            for layer in model.submodules:
                if _is_suitable(layer):
                    # Bypasses Keras, which would look for weights in an attribute.
                    convolve = functools.partial(_convolve, layer)
                    object.__setattr__(layer, "convolution_op", convolve)

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Changes how calls of the models inside are differentiated, if they are.

        Layers that are called more than once inside share a turned kernel: use it once
        for each pass, inside of a loop of the graph and not around it.
        """
        token = _turned.set({})
        try:
            yield
        finally:
            _turned.reset(token)


def _is_suitable(layer: tf.Module) -> bool:
    if type(layer) is not tf.keras.layers.Conv2D:
        return False
    return (
        layer.strides == layer.dilation_rate == (1, 1)
        and layer.groups == 1
        and layer.data_format == "channels_last"
        and all(size % 2 for size in layer.kernel_size)
        and (layer.padding == "same" or layer.kernel_size == (1, 1))
    )


@tf.autograph.experimental.do_not_convert
def _convolve(layer: tf.keras.layers.Conv2D, inputs: tf.Tensor, kernel) -> tf.Tensor:
    """Stands for the layer's own `convolution_op`."""
    turned = _turned.get()
    if turned is None:
        return type(layer).convolution_op(layer, inputs, kernel)
    conv2d = functools.partial(tf.nn.conv2d, strides=1, padding="SAME")

    @tf.custom_gradient
    def convolve(x, kernel):
        def gradient(upstream):
            # Not before the first gradient needs it, which keeps it for less long.
            if id(layer) not in turned:
                swapped = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
                turned[id(layer)] = swapped
            by_input = conv2d(upstream, turned[id(layer)])
            return by_input, _by_kernel(x, upstream, layer.kernel_size)

        return conv2d(x, kernel), gradient

    return convolve(inputs, tf.convert_to_tensor(kernel))


def _by_kernel(x: tf.Tensor, upstream: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Returns the gradient [*size, C_in, C_out] of x [N, H, W, C_in].

    Args:
      x: The input.
      upstream: The gradient [N, H, W, C_out] of the output.
      size: Of the kernel, in places; odd.
    """
    if size == (1, 1):
        places, gradients = (
            tf.reshape(each, [-1, each.shape[-1]]) for each in (x, upstream)
        )
        return tf.matmul(places, gradients, transpose_a=True)[None, None]
    around = [[side // 2, side // 2] for side in size]
    # Padded by an op of its own: the convolution's is slow where few pictures stand for
    # channels.
    pictures = tf.pad(tf.transpose(x, [3, 1, 2, 0]), [[0, 0], *around, [0, 0]])
    kernel = tf.transpose(upstream, [1, 2, 0, 3])
    found = tf.nn.conv2d(pictures, kernel, strides=1, padding="VALID")
    return tf.transpose(found, [1, 2, 0, 3])
