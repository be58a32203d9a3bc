"""What training needs to know about a task; every method is required."""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from st_keras.data.augment.policies import Policy
from st_keras.data.dataset_info import DatasetInfo
from st_keras.data.records import Record
from st_keras.metrics.judged_labels import JudgedLabels
from st_keras.metrics.measures import LabelQuality, Metric
from st_keras.types import Labels, Prepared, Ratio, View


class Task(abc.ABC):
    """One thing a model can be trained for.

    A task sees tensors. It never sees a strategy, an optimizer, a step or a path. Its
    labels are of one kind: `Boxes`, `LabelMap`, `Classes` or `Embeddings`.
    """

    # Field of `DatasetInfo` with the names of this task's classes; empty: none.
    names_field: str
    policies: dict[str, Policy]  # Of augmentation, by name.

    @staticmethod
    @abc.abstractmethod
    def by_class_id(config: Any, names: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the names of records by class id, for a config of this task."""

    @staticmethod
    @abc.abstractmethod
    def for_purpose(config: Any, purpose: str) -> Any:
        """Returns the config of this task for a purpose; see `tasks.build_task`."""

    # ----------------------------------------------------------------------- Classes
    @property
    @abc.abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Names by class id."""

    @property
    @abc.abstractmethod
    def names_in_records(self) -> tuple[str, ...]:
        """The class names as records have them, in their order."""

    @abc.abstractmethod
    def label_of(self, class_id: int) -> int:
        """Returns the label that stands for a class id in files."""

    # ------------------------------------------------------------------------- Model
    @abc.abstractmethod
    def build_model(self, *, sync_batch_norm: bool) -> tf.keras.Model:
        """Returns a new model from normalised images to named outputs."""

    # ---------------------------------------------------------------------- Training
    @abc.abstractmethod
    def prepare(
        self,
        serialized: tf.Tensor,
        seed: tf.Tensor,
        info: DatasetInfo,
        *,
        min_score: Sequence[float] | None = None,
    ) -> Prepared:
        """Reads one record into a training example of the network's size.

        Args:
          serialized: [] string.
          seed: [2] int32 or int64, of the augmentation.
          info: Of the records it is from.
          min_score: For each class id, the score under which a box is not there for the
            augmentation, some of which changes what is in boxes; None: all are there.
            The labels keep it, for `pseudo_label` to weigh.
        """

    @abc.abstractmethod
    def prepare_unlabeled(self, serialized: tf.Tensor, seed: tf.Tensor) -> Prepared:
        """Reads one record in the same way, but without its labels.

        Returns:
          With labels that only tell where in `image` the picture is, and that only if
          `online_labels` needs it.
        """

    @abc.abstractmethod
    def finish_images(self, images: tf.Tensor, changes) -> tf.Tensor:
        """Makes the changes left to the training step; compiles with XLA.

        Args:
          images: [B, H, W, 3] or [B, V, H, W, 3] uint8, as `prepare` gives them.
          changes: As in `Prepared`, [B, ...] each.

        Returns:
          [B, H, W, 3] or [B V, H, W, 3] uint8, the views of a picture one after the
          other; static shape.
        """

    @abc.abstractmethod
    def losses(self, labels: Labels, outputs: dict) -> dict[str, Ratio]:
        """Returns named sums and counts for a batch of labels and model outputs.

        The sum of the named means is the loss; weights are in the totals. Counts follow
        from the labels alone.
        """

    @abc.abstractmethod
    def online_labels(self, outputs: dict, unlabeled: Labels) -> Labels:
        """Returns a model's labels for training pictures; compiles with XLA.

        Args:
          outputs: Of the model.
          unlabeled: Of the same pictures, as `prepare_unlabeled` gives them.

        Returns:
          [B, ...] with scores, in pixels of the network's input; nothing is dropped for
          its score.
        """

    @abc.abstractmethod
    def pseudo_label(
        self,
        labels: Labels,
        *,
        min_score: float | Sequence[float],
        soft: bool = False,
    ) -> Labels:
        """Returns a teacher's labels with those marked that a student must not learn.

        Args:
          labels: Of one picture or of a batch.
          min_score: Of all classes, or one for each class id; infinity keeps nothing.
            Boxes and classes under it get weight 0, pixels are `IGNORED`.
          soft: Whether the loss of what is left is weighted by its score; otherwise it
            counts like a human label.
        """

    @abc.abstractmethod
    def without_padding(self, labels: Labels) -> Labels:
        """Returns NumPy labels of one picture without rows that do not count."""

    # --------------------------------------------------------------------- Inference
    @property
    @abc.abstractmethod
    def protocol(self) -> dict:
        """The settings of inference to report beside every number."""

    @abc.abstractmethod
    def whole_view(self, image: tf.Tensor) -> View:
        """Returns one view of a picture: whole, or as much of it as the task uses.

        Args:
          image: [H, W, 3] uint8.
        """

    @abc.abstractmethod
    def views(self, image: tf.Tensor) -> View:
        """Returns all views of a picture that inference uses.

        Args:
          image: [H, W, 3] uint8.

        Returns:
          [V, ...] views; V can differ from picture to picture.
        """

    @abc.abstractmethod
    def read_outputs(self, outputs: dict, views: View) -> Any:
        """Reads a model's outputs for views, in the graph; compiles with XLA.

        Args:
          outputs: Of the model.
          views: [B, ...], of one or several pictures.

        Returns:
          A nest of tensors [B, ...].
        """

    @abc.abstractmethod
    def merge_views(self, read: list, views: list[View]) -> Labels:
        """Returns the labels of one picture, in its pixels, without padding.

        Args:
          read: For each view of the picture, what `read_outputs` returns, NumPy.
          views: The views, NumPy; their images are not used.
        """

    # ----------------------------------------------------------------------- Serving
    @abc.abstractmethod
    def serve(self, outputs: dict, views: View) -> dict[str, tf.Tensor]:
        """Returns predictions under the names that users of a served model expect.

        The names are those of tf-models-official.

        Args:
          outputs: Of the model.
          views: [B, ...], each of a whole picture.
        """

    @abc.abstractmethod
    def serve_raw(self, outputs: dict) -> dict[str, tf.Tensor]:
        """Returns what can be served where only the plainest operations exist.

        Args:
          outputs: Of the model; every shape is static.
        """

    @property
    @abc.abstractmethod
    def serving_notes(self) -> dict[str, str]:
        """What each output of `serve` and `serve_raw` holds, for its users."""

    # ----------------------------------------------------------------------- Records
    @abc.abstractmethod
    def read_labels(self, serialized: tf.Tensor) -> tuple[Labels, tf.Tensor]:
        """Reads the labels of one record, in pixels of its picture, and its id."""

    @abc.abstractmethod
    def write_labels(self, picture: Record, labels: Labels) -> Record:
        """Returns the record of a picture with NumPy labels in place of its own."""

    @abc.abstractmethod
    def annotations(self, labels: Labels) -> list[dict]:
        """Returns NumPy labels as rows of COCO's results: category_id, bbox, score...

        A row has no image id. Pixels become `segmentation`, run-length encoded.
        """

    # --------------------------------------------------------- Numbers and pictures
    @abc.abstractmethod
    def new_metric(self) -> Metric:
        """Returns an empty metric."""

    @abc.abstractmethod
    def new_quality(self) -> LabelQuality:
        """Returns an empty measure of pseudo labels."""

    @abc.abstractmethod
    def new_calibration(self) -> JudgedLabels:
        """Returns an empty collection of judged pseudo labels."""

    @abc.abstractmethod
    def objects(self, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
        """Returns the objects in NumPy labels: class ids, height and width in pixels.

        Args:
          labels: Of one picture, as `read_labels` gives them.

        Returns:
          [M] int and [M, 2] float32: each box, except those around crowds; in a label
          map, each class and the extent of its pixels.
        """

    @abc.abstractmethod
    def describe(self, labels: Labels) -> str:
        """Returns in a few words what a training example's NumPy labels teach."""

    @abc.abstractmethod
    def learning_points(self, labels: Labels) -> np.ndarray:
        """Returns where in the input NumPy labels teach something, to be drawn.

        Args:
          labels: Of one picture, in pixels of the network's input.

        Returns:
          [M, 2] float32 (y, x); none if that is everywhere.
        """
