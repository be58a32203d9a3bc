"""What training needs to know about a task; every method is required."""

import abc

import numpy as np
import tensorflow as tf

from st_keras.data.records import Record
from st_keras.types import Labels, Prepared, Ratio


class Task(abc.ABC):
    """One thing a model can be trained for.

    A task sees tensors. It never sees a strategy, an optimizer, a step or a path.
    """

    @property
    @abc.abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names by class id."""

    @property
    @abc.abstractmethod
    def label_names(self) -> tuple[str, ...]:
        """Names by label in records, label 1 first."""

    @property
    @abc.abstractmethod
    def label_of_class_0(self) -> int:
        """The label in records that class id 0 stands for; the others follow it."""

    @property
    @abc.abstractmethod
    def protocol(self) -> dict:
        """The settings of inference that belong beside every number."""

    @abc.abstractmethod
    def build_model(self, *, sync_batch_norm: bool) -> tf.keras.Model:
        """Returns a new model from normalised images to named outputs."""

    @abc.abstractmethod
    def prepare(
        self, serialized: tf.Tensor, seed: tf.Tensor | None, *, num_boxes: int
    ) -> Prepared:
        """Reads one record into an example of the network's size.

        Args:
          serialized: [] string.
          seed: [2] int32 or int64, of the augmentation; None shows the whole picture as
            it is.
          num_boxes: N, rows of labels after padding; more are cut, weakest first.
        """

    @abc.abstractmethod
    def finish_images(self, images: tf.Tensor, changes) -> tf.Tensor:
        """Does what `prepare` left for the training step; compiles with XLA.

        Args:
          images: [B, H, W, 3] uint8.
          changes: As `Prepared` has them, [B, ...] each.

        Returns:
          [B, H, W, 3] uint8.
        """

    @abc.abstractmethod
    def prepare_image(self, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Shows a whole picture as it is, as `prepare` does without a seed.

        Args:
          image: [H, W, 3] uint8.

        Returns:
          `image` and `scale_yx` as `Prepared` has them.
        """

    @abc.abstractmethod
    def read_labels(self, serialized: tf.Tensor) -> tuple[Labels, tf.Tensor]:
        """Reads the labels of one record, in pixels of its picture, and its id."""

    @abc.abstractmethod
    def write_labels(self, picture: Record, labels: Labels) -> Record:
        """Returns the record of a picture with NumPy labels in place of its own."""

    @abc.abstractmethod
    def losses(self, labels: Labels, outputs: dict) -> dict[str, Ratio]:
        """Returns named sums and counts for a batch of labels and model outputs.

        The sum of the named means is the loss; weights are in the totals.
        """

    @abc.abstractmethod
    def learning_points(self, labels: Labels) -> np.ndarray:
        """Returns where the input learns something from NumPy labels, to be drawn.

        Args:
          labels: [N, ...] of one picture, in pixels of the network's input.

        Returns:
          [M, 2] float32 (y, x).
        """

    @abc.abstractmethod
    def predict(
        self, outputs: dict, scale_yx: tf.Tensor, original_size_px: tf.Tensor
    ) -> Labels:
        """Returns what the model sees, in pixels of the original pictures.

        Args:
          outputs: Of the model.
          scale_yx: [B, 2] float32, as in `Prepared`.
          original_size_px: [B, 2] int32.
        """

    @abc.abstractmethod
    def serve(
        self, predictions: Labels, original_size_px: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns predictions under the names that users of a served model expect.

        The names are those of tf-models-official.

        Args:
          predictions: As `predict` returns them.
          original_size_px: [B, 2] int32.
        """

    @abc.abstractmethod
    def serve_raw(self, outputs: dict) -> dict[str, tf.Tensor]:
        """Returns what can be served where only the plainest operations are there.

        Args:
          outputs: Of the model; every shape is static.
        """

    @property
    @abc.abstractmethod
    def serving_notes(self) -> dict[str, str]:
        """What each output of `serve` and `serve_raw` holds, for who reads it."""

    @abc.abstractmethod
    def pseudo_label(self, predictions: Labels, *, min_score: float) -> Labels:
        """Returns the predictions a student may learn from; the rest has weight 0."""

    @abc.abstractmethod
    def new_metric(self):
        """Returns an empty metric.

        It has `headline`, the name of its first number, and the methods
        `add(image_id, truth, predicted)` and `result()`.
        """
