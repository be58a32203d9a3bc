"""A trained model as TensorFlow functions that run where st_keras is not installed."""

from collections.abc import Callable

import tensorflow as tf

from st_keras.data import decode
from st_keras.runtime.inference import Predictor
from st_keras.tasks import Task

DEFAULT_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


class Serving(tf.Module):
    """What a SavedModel of a run holds: weights and functions, nothing of Keras.

    `functions` are by signature, whose names and types are those of
    tf-models-official:

        image_tensor   `inputs` [B, H, W, 3] uint8, pictures of one, any, size
        image_bytes    `inputs` [B] string, JPEG or PNG files of any sizes
        tf_example     `inputs` [B] string, records with `image/encoded`

    The default is `image_tensor`. What comes out is `Task.serve` of the predictions
    that `Predictor` makes of the same pictures, so it is what was evaluated.
    """

    def __init__(
        self, task: Task, model: tf.keras.Model, *, batch_size: int | None = None
    ):
        """Traces the signatures.

        Args:
          task: Of the model.
          model: With its weights loaded.
          batch_size: The one number of pictures that is taken; None takes any.
        """
        super().__init__(name="serving")
        # The model itself would bring along a function of every layer.
        self.weights = model.weights
        self._size_px = model.input_shape[1:3]
        detect = self._detector(task, model, batch_size)

        def prepare(image):
            return *task.prepare_image(image), tf.shape(image)[:2]

        def prepare_encoded(encoded):
            return prepare(decode.decode_image(encoded))

        def serve_tensors(inputs):
            return detect(*self._map(prepare, inputs))

        def serve_bytes(inputs):
            return detect(*self._map(prepare_encoded, inputs))

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

    def _detector(self, task: Task, model: tf.keras.Model, batch_size) -> Callable:
        """Returns one function for all signatures, so that it is stored once."""
        predictor = Predictor(task, model)

        def detect(image, scale_yx, original_size_px):
            predictions = predictor.forward(image, scale_yx, original_size_px)
            return task.serve(predictions, original_size_px)

        specs = self._prepared_specs([batch_size])
        return tf.function(detect, input_signature=specs)

    def _map(self, prepare: Callable, inputs: tf.Tensor) -> tuple[tf.Tensor, ...]:
        # On the CPU, where evaluation does it too: other devices round otherwise.
        with tf.device("cpu:0"):
            specs = tuple(self._prepared_specs([]))
            return tf.map_fn(prepare, inputs, fn_output_signature=specs)

    def _prepared_specs(self, batch: list) -> list[tf.TensorSpec]:
        return [
            tf.TensorSpec([*batch, *self._size_px, 3], tf.uint8),
            tf.TensorSpec([*batch, 2], tf.float32),
            tf.TensorSpec([*batch, 2], tf.int32),
        ]
