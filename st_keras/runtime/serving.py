"""A trained model as TensorFlow functions that run where st_keras is not installed."""

from collections.abc import Callable

import tensorflow as tf

from st_keras.data import decode
from st_keras.runtime.inference import Predictor
from st_keras.tasks import Task
from st_keras.types import View

DEFAULT_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


class Serving(tf.Module):
    """What a SavedModel of a run holds: weights and functions, nothing of Keras.

    `functions` are by signature, with the names and types of tf-models-official:

        image_tensor   `inputs` [B, H, W, 3] uint8, pictures of one, any, size
        image_bytes    `inputs` [B] string, JPEG or PNG files of any sizes
        tf_example     `inputs` [B] string, records with `image/encoded`

    The default is `image_tensor`. Each returns `Task.serve` of one view of each whole
    picture, prepared and run as `Predictor` does.
    """

    def __init__(
        self, task: Task, model: tf.keras.Model, *, batch_size: int | None = None
    ):
        """Traces the signatures.

        Args:
          task: Of the model.
          model: With its weights loaded.
          batch_size: The only number of pictures a call accepts; None: any.
        """
        super().__init__(name="serving")
        # Keeping the model itself would also save a function of every layer.
        self.weights = model.weights
        self._size_px = model.input_shape[1:3]
        see = self._seer(task, model, batch_size)

        def view_encoded(encoded):
            return task.whole_view(decode.decode_image(encoded))

        def serve_tensors(inputs):
            return see(*self._map(task.whole_view, inputs))

        def serve_bytes(inputs):
            return see(*self._map(view_encoded, inputs))

        def serve_examples(inputs):
            return serve_bytes(decode.decode_encoded(inputs))

        pixels = tf.TensorSpec([batch_size, None, None, 3], tf.uint8, "inputs")
        strings = tf.TensorSpec([batch_size], tf.string, "inputs")
        of_tensors = tf.function(serve_tensors).get_concrete_function(pixels)
        self.functions = {
            DEFAULT_SIGNATURE: of_tensors,
            "image_tensor": of_tensors,
            "image_bytes": tf.function(serve_bytes).get_concrete_function(strings),
            "tf_example": tf.function(serve_examples).get_concrete_function(strings),
        }

    def _seer(self, task: Task, model: tf.keras.Model, batch_size) -> Callable:
        """Returns one function for all signatures, so that it is stored once."""
        predictor = Predictor(task, model)

        def see(*view):
            return task.serve(*predictor.outputs(View(*view)))

        return tf.function(see, input_signature=self._view_specs([batch_size]))

    def _map(self, look_at: Callable, inputs: tf.Tensor) -> View:
        # On the CPU, as in evaluation: other devices round differently.
        with tf.device("cpu:0"):
            specs = View(*self._view_specs([]))
            return tf.map_fn(look_at, inputs, fn_output_signature=specs)

    def _view_specs(self, batch: list) -> list[tf.TensorSpec]:
        return [
            tf.TensorSpec([*batch, *self._size_px, 3], tf.uint8),
            tf.TensorSpec([*batch, 2], tf.float32),
            tf.TensorSpec([*batch, 2], tf.float32),
            tf.TensorSpec(batch, tf.bool),
            tf.TensorSpec([*batch, 2], tf.int32),
        ]
