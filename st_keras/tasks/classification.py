"""Classification: one class for a whole picture, to train backbones with."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from st_keras import models
from st_keras.config import ClassificationConfig
from st_keras.data import decode
from st_keras.data import views as views_of
from st_keras.data.augment import policies
from st_keras.data.dataset_info import DatasetInfo
from st_keras.data.records import Record, without_labels
from st_keras.losses import classification as losses
from st_keras.metrics.accuracy import Accuracy
from st_keras.metrics.class_quality import ClassQuality
from st_keras.metrics.judged_labels import JudgedClasses
from st_keras.tasks import scored_rows
from st_keras.tasks.augmentation import (
    augment_picture,
    build_augmentation,
    cropping,
)
from st_keras.tasks.backbones import backbone_arguments
from st_keras.tasks.task import Task
from st_keras.types import Classes, Prepared, Ratio, View

_FIRST_LABEL = 1  # In records.
_TOP = 5  # Classes that a prediction names.


class ClassificationTask(Task):
    """A backbone with one layer on its averaged features: softmax cross entropy."""

    names_field = "image_class_names"
    policies = policies.CLASSIFICATION

    def __init__(self, config: ClassificationConfig, *, xla: bool = False):
        """Makes the task.

        Args:
          config: With its class names filled in.
          xla: Whether predictions must compile with XLA; they always do.

        Raises:
          ValueError: There are too few classes.
        """
        del xla
        if len(config.class_names) < 2:
            raise ValueError(
                "`classification.class_names` must be 2 or more names, got "
                f"{len(config.class_names)}."
            )
        self._config = config
        self._augmentation = build_augmentation(
            config.augment, cropping(self.policies, config.crop), config.image_size_px
        )

    @staticmethod
    def by_class_id(
        config: ClassificationConfig, names: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Returns the names of records by class id."""
        del config
        return names

    @staticmethod
    def for_purpose(config: ClassificationConfig, purpose: str) -> ClassificationConfig:
        """Returns the config as it is: both purposes view a picture alike."""
        del purpose
        return config

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._config.class_names

    @property
    def names_in_records(self) -> tuple[str, ...]:
        return self.class_names

    def label_of(self, class_id: int) -> int:
        return class_id + _FIRST_LABEL

    def build_model(self, *, sync_batch_norm: bool) -> tf.keras.Model:
        config = self._config
        return models.classifier(
            config.image_size_px,
            len(config.class_names),
            dropout=config.dropout,
            **backbone_arguments(config, sync_batch_norm=sync_batch_norm),
        )

    def build_model_on(
        self, model: tf.keras.Model, *, sync_batch_norm: bool
    ) -> tf.keras.Model:
        """Returns a classifier that shares the layers of another model's backbone.

        Args:
          model: Of another task, built with the same settings of the backbone.
          sync_batch_norm: As it was for that model.
        """
        config = self._config
        shared = backbone_arguments(config, sync_batch_norm=sync_batch_norm)
        return models.classifier_on(
            model.get_layer("backbone"),
            config.image_size_px,
            len(config.class_names),
            dropout=config.dropout,
            **{name: shared[name] for name in ("backbone", "activation", "norm")},
        )

    def prepare(
        self,
        serialized: tf.Tensor,
        seed: tf.Tensor,
        info: DatasetInfo,
        *,
        min_score: Sequence[float] | None = None,
    ) -> Prepared:
        del info  # A picture has one class, whatever the data.
        del min_score  # `pseudo_label` is early enough: no change looks at labels.
        encoded, labels, image_id, size_px = decode.decode_unopened_class(serialized)
        return self._prepared(encoded, labels, image_id, size_px, seed)

    def prepare_unlabeled(self, serialized: tf.Tensor, seed: tf.Tensor) -> Prepared:
        encoded, image_id, size_px = decode.decode_unlabeled(serialized)
        unknown = Classes(tf.zeros([1], tf.int32), tf.zeros([1]), tf.zeros([1]))
        return self._prepared(encoded, unknown, image_id, size_px, seed)

    def _prepared(self, encoded, labels, image_id, size_px, seed) -> Prepared:
        augmented = augment_picture(
            self._augmentation,
            encoded,
            size_px,
            tf.zeros([0, 4]),
            seed,
            where=self._config.augment.where,
        )
        return Prepared(augmented.image, labels, image_id, augmented.changes)

    def finish_images(self, images: tf.Tensor, changes) -> tf.Tensor:
        return self._augmentation.apply_to_canvases(images, changes)

    def losses(self, labels: Classes, outputs: dict) -> dict[str, Ratio]:
        loss = losses.class_loss(
            outputs["logits"],
            labels.class_ids[:, 0],
            labels.weights[:, 0],
            label_smoothing=self._config.label_smoothing,
        )
        return {"class": loss}

    def online_labels(self, outputs: dict, unlabeled: Classes) -> Classes:
        del unlabeled
        return self._best(outputs, 1)

    def pseudo_label(
        self,
        labels: Classes,
        *,
        min_score: float | Sequence[float],
        soft: bool = False,
    ) -> Classes:
        return scored_rows.weigh_by_score(labels, min_score, soft=soft)

    def without_padding(self, labels: Classes) -> Classes:
        return labels

    @property
    def protocol(self) -> dict:
        return {
            "image_size_px": list(self._config.image_size_px),
            "central_share": self._config.central_share or "whole, with grey beside it",
            "test_time_augmentation": "none",
        }

    def whole_view(self, image: tf.Tensor) -> View:
        share, size_px = self._config.central_share, self._config.image_size_px
        if not share:
            return views_of.whole(image, size_px)
        return views_of.middle(image, size_px, share)

    def views(self, image: tf.Tensor) -> View:
        return tf.nest.map_structure(lambda field: field[None], self.whole_view(image))

    def read_outputs(self, outputs: dict, views: View) -> Classes:
        """Returns the [B, T] best classes, the most probable first."""
        del views
        return self._best(outputs, min(_TOP, len(self.class_names)))

    def _best(self, outputs: dict, count: int) -> Classes:
        scores, class_ids = tf.math.top_k(tf.nn.softmax(outputs["logits"]), count)
        return Classes(class_ids, scores, tf.ones_like(scores))

    def merge_views(self, read: list[Classes], views: list[View]) -> Classes:
        del views
        (found,) = read  # A picture has one view.
        return Classes(*(np.asarray(field) for field in found))

    def serve(self, outputs: dict, views: View) -> dict[str, tf.Tensor]:
        del views
        return self.serve_raw(outputs)

    def serve_raw(self, outputs: dict) -> dict[str, tf.Tensor]:
        logits = outputs["logits"]
        return {"logits": logits, "probs": tf.nn.softmax(logits)}

    @property
    def serving_notes(self) -> dict[str, str]:
        return {
            "logits": "of every class, the first of `labels` first",
            "probs": "from 0 to 1, all together 1; the first of `labels` first",
        }

    def read_labels(self, serialized: tf.Tensor) -> tuple[Classes, tf.Tensor]:
        return decode.decode_class(serialized)

    def write_labels(self, picture: Record, labels: Classes) -> Record:
        is_known = bool(labels.weights[0] > 0)
        return dataclasses.replace(
            without_labels(picture),
            class_label=self.label_of(int(labels.class_ids[0])) if is_known else None,
            class_score=float(labels.scores[0]) if is_known else None,
        )

    def annotations(self, labels: Classes) -> list[dict]:
        return [
            {
                "category_id": self.label_of(int(class_id)),
                "score": round(float(score), 4),
            }
            for class_id, score, weight in zip(*labels, strict=True)
            if weight > 0
        ]

    def new_metric(self) -> Accuracy:
        return Accuracy(self.class_names)

    def new_quality(self) -> ClassQuality:
        return ClassQuality(self.class_names)

    def new_calibration(self) -> JudgedClasses:
        return JudgedClasses(len(self.class_names))

    def objects(self, labels: Classes) -> tuple[np.ndarray, np.ndarray]:
        is_known = np.asarray(labels.weights) > 0
        class_ids = np.asarray(labels.class_ids)[is_known]
        # A class belongs to the whole picture: no object is too small.
        return class_ids, np.full([len(class_ids), 2], np.inf, np.float32)

    def describe(self, labels: Classes) -> str:
        if not labels.weights[0] > 0:
            return "no class"
        return self.class_names[int(labels.class_ids[0])]

    def learning_points(self, labels: Classes) -> np.ndarray:
        del labels
        return np.zeros([0, 2], np.float32)
