"""A trained model for TFLite: phones and small computers."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator

import tensorflow as tf

from st_keras.ops import images
from st_keras.runtime import strategy as strategies
from st_keras.runtime.serving import DEFAULT_SIGNATURE
from st_keras.tasks import Task


class RawServing(tf.Module):
    """What a TFLite model of a run holds; it takes pictures of the network's size.

    `inputs` is [B, H, W, 3] uint8, a picture as `Task.whole_view` shows it. The outputs
    are those of `Task.serve_raw`, with only the operations that every TFLite runtime
    has; non-maximum suppression is left to the device.
    """

    def __init__(self, task: Task, model: tf.keras.Model, *, batch_size: int = 1):
        """Traces the signature.

        Args:
          task: Of the model.
          model: With its weights loaded.
          batch_size: Pictures per call, a fixed number.
        """
        super().__init__(name="raw_serving")
        self.weights = model.weights

        def serve(inputs):
            pixels = images.normalize(inputs, model.compute_dtype)
            return task.serve_raw(model(pixels, training=False))

        spec = tf.TensorSpec([batch_size, *model.input_shape[1:]], tf.uint8, "inputs")
        traced = tf.function(serve).get_concrete_function(spec)
        self.functions = {DEFAULT_SIGNATURE: traced}


def in_float32(task: Task, model: tf.keras.Model) -> tf.keras.Model:
    """Returns the model as one that computes in float32: TFLite has no bfloat16."""
    if model.compute_dtype == tf.float32:
        return model
    with strategies.precision("float32"):
        twin = task.build_model(sync_batch_norm=False)
    twin.set_weights(model.get_weights())
    return twin


def convert(serving: RawServing, *, float16: bool) -> bytes:
    """Returns the content of a TFLite file.

    Args:
      serving: Holds the function to convert.
      float16: Whether weights are stored in 16 bits, at half the size.

    Raises:
      ValueError: TFLite cannot run it without operations of TensorFlow.
    """
    from tensorflow.lite.python.convert_phase import ConverterError

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [serving.functions[DEFAULT_SIGNATURE]], serving
    )
    if float16:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    try:
        with _silent_stderr():
            return converter.convert()
    except ConverterError as error:
        raise ValueError(
            f"The model cannot be converted to TFLite: {_reason(str(error))}. Export "
            "it as saved_model."
        ) from None


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Discards what compiled code prints there, such as the converter's statistics."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _reason(message: str) -> str:
    missing = sorted(set(re.findall(r"'tf\.(\w+)' op", message)))
    if missing:
        return f"TFLite has no {', '.join(missing)}"
    return message.rpartition("error: ")[2].split("\n")[0].rstrip(".")
