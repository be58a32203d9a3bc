"""Gradients of convolutions as CPUs compute them faster, with kernels turned round.

The gradient by a convolution's input is a convolution too: of the gradient of its
output, by the kernel turned by 180 degrees, with input and output channels exchanged.
TensorFlow's CPU op for it rearranges the kernel on every call. For many channels on a
small map, this takes longer than the arithmetic; and where the levels of a pyramid
share a kernel, it is done for each. Here a kernel is turned once a step, and the op of
the forward pass does the rest.

XLA finds the same form by itself, and GPUs have fast ops for the gradient.

Source: Dumoulin and Visin 2016, arXiv:1603.07285, on transposed convolutions.
"""

import contextlib
import contextvars
import functools
from collections.abc import Iterable, Iterator

import tensorflow as tf

# By layer; None while switched off. Replicas are traced in threads that take turns, so
# each has kernels of its own.
_turned: contextvars.ContextVar[dict[int, tf.Tensor] | None] = contextvars.ContextVar(
    "turned", default=None
)


class TurnedKernels:
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
                if _is_turnable(layer):
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


def _is_turnable(layer: tf.Module) -> bool:
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
            of_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=x,
                filter_sizes=kernel.shape,
                out_backprop=upstream,
                strides=[1, 1, 1, 1],
                padding="SAME",
            )
            return conv2d(upstream, turned[id(layer)]), of_kernel

        return conv2d(x, kernel), gradient

    return convolve(inputs, tf.convert_to_tensor(kernel))
