"""SimCLR: a backbone learns from pictures that nobody labelled."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from st_keras import models
from st_keras.config import SimClrConfig
from st_keras.data import decode
from st_keras.data import views as views_of
from st_keras.data.augment import policies, simclr
from st_keras.data.dataset_info import DatasetInfo
from st_keras.data.records import Record
from st_keras.losses.simclr import nt_xent
from st_keras.metrics.contrast import ContrastiveAccuracy
from st_keras.metrics.judged_labels import JudgedLabels
from st_keras.metrics.measures import LabelQuality
from st_keras.tasks.augmentation import (
    augment_picture,
    build_augmentation,
    cropping,
)
from st_keras.tasks.backbones import backbone_arguments
from st_keras.tasks.task import Task
from st_keras.types import Embeddings, Prepared, Ratio, View

_AMONG = 256  # Pictures whose views the metric compares.


class SimClrTask(Task):
    """Two views of each picture, changed at random, are told apart from all others.

    No output could be a label, so there are no pseudo labels.
    """

    names_field = ""
    policies = policies.CLASSIFICATION

    def __init__(self, config: SimClrConfig, *, xla: bool = False):
        """Makes the task.

        Args:
          config: Its class names are empty.
          xla: Whether outputs must compile with XLA; they always do.
        """
        del xla
        self._config = config
        self._augmentation = build_augmentation(
            config.augment, cropping(self.policies, config.crop), config.image_size_px
        )

    @staticmethod
    def by_class_id(config: SimClrConfig, names: tuple[str, ...]) -> tuple[str, ...]:
        """Returns no names."""
        del config, names
        return ()

    @staticmethod
    def for_purpose(config: SimClrConfig, purpose: str) -> SimClrConfig:
        """Returns the config as it is."""
        del purpose
        return config

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    @property
    def names_in_records(self) -> tuple[str, ...]:
        return ()

    def label_of(self, class_id: int) -> int:
        return class_id

    def build_model(self, *, sync_batch_norm: bool) -> tf.keras.Model:
        config = self._config
        return models.simclr(
            config.image_size_px,
            projection_layers=config.projection_layers,
            projection_dim=config.projection_dim,
            **backbone_arguments(config, sync_batch_norm=sync_batch_norm),
        )

    def prepare(
        self,
        serialized: tf.Tensor,
        seed: tf.Tensor,
        info: DatasetInfo,
        *,
        min_score: Sequence[float] | None = None,
    ) -> Prepared:
        """Returns [2, H, W, 3] uint8 in place of one image."""
        del info, min_score
        return self.prepare_unlabeled(serialized, seed)

    def prepare_unlabeled(self, serialized: tf.Tensor, seed: tf.Tensor) -> Prepared:
        """Returns the same: no label is ever read."""
        encoded, image_id, size_px = decode.decode_unlabeled(serialized)
        two_views = self._two_views(encoded, size_px, seed)
        return Prepared(two_views, _nothing(), image_id)

    def finish_images(self, images: tf.Tensor, changes) -> tf.Tensor:
        """Returns [2 B, H, W, 3], the two views of a picture one after the other."""
        del changes
        return tf.reshape(images, [-1, *images.shape[2:]])

    def losses(self, labels: Embeddings, outputs: dict) -> dict[str, Ratio]:
        del labels
        temperature = self._config.temperature
        return {"contrast": nt_xent(outputs["projection"], temperature=temperature)}

    def online_labels(self, outputs: dict, unlabeled: Embeddings) -> Embeddings:
        del outputs
        return unlabeled

    def pseudo_label(
        self,
        labels: Embeddings,
        *,
        min_score: float | Sequence[float],
        soft: bool = False,
    ) -> Embeddings:
        del min_score, soft
        return labels

    def without_padding(self, labels: Embeddings) -> Embeddings:
        return labels

    @property
    def protocol(self) -> dict:
        return {
            "image_size_px": list(self._config.image_size_px),
            "views": "two of each picture, changed as in training, always alike",
            "among": _AMONG,
        }

    def whole_view(self, image: tf.Tensor) -> View:
        return views_of.whole(image, self._config.image_size_px)

    def views(self, image: tf.Tensor) -> View:
        size_px = tf.shape(image)[:2]
        # A seed from the picture itself, so that its views are always the same.
        number = tf.reduce_sum(tf.cast(image, tf.int64))
        encoded = tf.io.encode_png(image)  # As training reads it.
        shown = self._two_views(encoded, size_px, tf.stack([number, 0]))
        # Nothing needs the place of a view in the picture, as views are not labelled.
        return View(
            image=shown,
            scale_yx=tf.ones([2, 2]),
            offset_yx=tf.zeros([2, 2]),
            is_mirrored=tf.fill([2], False),
            picture_size_px=tf.tile(size_px[None], [2, 1]),
        )

    def read_outputs(self, outputs: dict, views: View) -> tf.Tensor:
        """Returns the [B, D] projections as they are."""
        del views
        return outputs["projection"]

    def merge_views(self, read: list[np.ndarray], views: list[View]) -> Embeddings:
        del views
        return Embeddings(np.stack(read))

    def serve(self, outputs: dict, views: View) -> dict[str, tf.Tensor]:
        del views
        return self.serve_raw(outputs)

    def serve_raw(self, outputs: dict) -> dict[str, tf.Tensor]:
        return {"projection": outputs["projection"]}

    @property
    def serving_notes(self) -> dict[str, str]:
        return {"projection": "of a view; its direction counts, its length does not"}

    def read_labels(self, serialized: tf.Tensor) -> tuple[Embeddings, tf.Tensor]:
        return _nothing(), decode.decode_image_id(serialized)

    def write_labels(self, picture: Record, labels: Embeddings) -> Record:
        raise ValueError(
            f"`{picture.image_id}` gets no label: a run of SimCLR knows no classes. "
            "Train a detector, segmenter or classifier that starts from it."
        )

    def annotations(self, labels: Embeddings) -> list[dict]:
        del labels
        return []

    def new_metric(self) -> ContrastiveAccuracy:
        return ContrastiveAccuracy(_AMONG)

    def new_quality(self) -> LabelQuality:
        raise ValueError("A run of SimCLR has no pseudo labels to measure.")

    def new_calibration(self) -> JudgedLabels:
        raise ValueError("A run of SimCLR has no pseudo labels to choose from.")

    def objects(self, labels: Embeddings) -> tuple[np.ndarray, np.ndarray]:
        del labels
        return np.zeros([0], np.int64), np.zeros([0, 2], np.float32)

    def describe(self, labels: Embeddings) -> str:
        del labels
        return "one of two views"

    def learning_points(self, labels: Embeddings) -> np.ndarray:
        del labels
        return np.zeros([0, 2], np.float32)

    def _two_views(self, encoded, size_px, seed) -> tf.Tensor:
        return tf.stack(
            [
                self._view(encoded, size_px, own)
                for own in tf.unstack(tf.random.experimental.stateless_split(seed, 2))
            ]
        )

    def _view(self, encoded, size_px, seed) -> tf.Tensor:
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        augmented = augment_picture(
            self._augmentation,
            encoded,
            size_px,
            tf.zeros([0, 4]),
            seeds[0],
            where=self._config.augment.where,
        )
        return simclr.distort(
            augmented.image,
            seeds[1],
            color_strength=self._config.color_strength,
            blur=self._config.blur,
        )


def _nothing() -> Embeddings:
    return Embeddings(tf.zeros([0, 0]))
