"""Object detection: boxes from anchors."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from st_keras import models
from st_keras.config import DetectionConfig
from st_keras.data import decode
from st_keras.data import views as views_of
from st_keras.data.augment import policies, shrinking
from st_keras.data.augment.moved_boxes import keep_rows
from st_keras.data.dataset_info import DatasetInfo
from st_keras.data.records import Record, without_labels
from st_keras.losses import detection as losses
from st_keras.metrics.average_precision import AveragePrecision
from st_keras.metrics.box_quality import BoxQuality
from st_keras.metrics.judged_labels import JudgedBoxes
from st_keras.ops import anchors, box_coding, boxes, matching, nms, targets
from st_keras.tasks import augmentation, scored_rows
from st_keras.tasks.backbones import backbone_arguments
from st_keras.tasks.task import Task
from st_keras.types import Boxes, Prepared, Ratio, View


class DetectionTask(Task):
    """A RetinaNet: focal loss over anchors, Huber loss over those that hold a box."""

    names_field = "class_names"
    policies = policies.DETECTION

    def __init__(self, config: DetectionConfig, *, xla: bool = False):
        """Makes the task.

        Args:
          config: With its class names filled in.
          xla: Whether predictions must compile with XLA, as on a TPU.

        Raises:
          ValueError: `class_names` is empty, or the augmentation contradicts itself.
        """
        if not config.class_names:
            raise ValueError("`detection.class_names` is empty: no class to detect.")
        self._config = config
        self._xla = xla
        self._augmentation = augmentation.build_augmentation(
            config.augment, self.policies, config.image_size_px
        )
        self._anchors = anchors.make_anchors(
            config.image_size_px,
            min_level=config.min_level,
            max_level=config.max_level,
            scales_per_octave=config.anchor_scales,
            aspect_ratios=config.aspect_ratios,
            anchor_size=config.anchor_size,
        )

    @staticmethod
    def by_class_id(config: DetectionConfig, names: tuple[str, ...]) -> tuple[str, ...]:
        """Returns the names of records by class id."""
        return names if config.label_of_class_0 else ("background", *names)

    @staticmethod
    def for_purpose(config: DetectionConfig, purpose: str) -> DetectionConfig:
        """Returns the config as it is: both purposes view a picture alike."""
        del purpose
        return config

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._config.class_names

    @property
    def names_in_records(self) -> tuple[str, ...]:
        return self.class_names[1 - self._config.label_of_class_0 :]

    def label_of(self, class_id: int) -> int:
        return class_id + self._config.label_of_class_0

    def build_model(self, *, sync_batch_norm: bool) -> tf.keras.Model:
        config = self._config
        return models.retinanet(
            config.image_size_px,
            len(config.class_names),
            min_level=config.min_level,
            max_level=config.max_level,
            neck=config.neck,
            neck_filters=config.neck_filters,
            neck_repeats=config.neck_repeats,
            head_convs=config.head.num_convs,
            head_filters=config.head.num_filters,
            separable=config.head.separable,
            anchors_per_cell=config.anchor_scales * len(config.aspect_ratios),
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
        encoded, labels, image_id, size_px = decode.decode_unopened(
            serialized, label_of_class_0=self._config.label_of_class_0
        )
        # A box around a crowd says nothing about a single object.
        labels = keep_rows(labels, tf.logical_not(labels.is_crowd))
        there = labels
        if min_score is not None:
            there = keep_rows(labels, scored_rows.reaches(labels, min_score))
        augmented = self._augment(
            encoded, size_px, there.boxes_yxyx, seed, info.max_boxes_per_image
        )
        factor = shrinking.factor(augmented.halvings)
        small = labels._replace(boxes_yxyx=labels.boxes_yxyx / factor)
        labels = self._augmentation.apply_to_boxes(small, augmented.sampled)
        return Prepared(
            image=augmented.image,
            labels=_pad(labels, info.max_boxes_per_image),
            image_id=image_id,
            changes=augmented.changes,
        )

    def prepare_unlabeled(self, serialized: tf.Tensor, seed: tf.Tensor) -> Prepared:
        encoded, image_id, size_px = decode.decode_unlabeled(serialized)
        augmented = self._augment(encoded, size_px, tf.zeros([0, 4]), seed, 0)
        nothing = Boxes(
            boxes_yxyx=tf.zeros([0, 4]),
            class_ids=tf.zeros([0], tf.int32),
            scores=tf.zeros([0]),
            weights=tf.zeros([0]),
            is_crowd=tf.zeros([0], tf.bool),
        )
        return Prepared(augmented.image, nothing, image_id, augmented.changes)

    def _augment(self, encoded, size_px, boxes_yxyx, seed, num_boxes):
        return augmentation.augment_picture(
            self._augmentation,
            encoded,
            size_px,
            boxes_yxyx,
            seed,
            where=self._config.augment.where,
            num_boxes=num_boxes,
        )

    def finish_images(self, images: tf.Tensor, changes) -> tf.Tensor:
        return self._augmentation.apply_to_canvases(images, changes)

    def losses(self, labels: Boxes, outputs: dict) -> dict[str, Ratio]:
        config = self._config
        matches = self._match(labels)
        learned = targets.anchor_targets(
            labels, matches, self._anchors, len(config.class_names)
        )
        class_loss = losses.focal_loss(
            outputs["logits"],
            learned.class_targets,
            matches.is_counted,
            learned.num_positives,
            alpha=config.focal_alpha,
            gamma=config.focal_gamma,
            weights=learned.weights,
        )
        box_loss = losses.box_loss(
            outputs["offsets"],
            learned.offset_targets,
            matches.is_positive,
            learned.num_positives,
            delta=config.huber_delta,
            weights=learned.weights,
        )
        weighted = box_loss._replace(total=config.box_weight * box_loss.total)
        return {"class": class_loss, "box": weighted}

    def online_labels(self, outputs: dict, unlabeled: Boxes) -> Boxes:
        del unlabeled  # Boxes are cut at the input's edges, not at the picture's.
        size_px = tf.constant(self._config.image_size_px, tf.float32)
        boxes_yxyx = box_coding.decode_boxes(outputs["offsets"], self._anchors)
        boxes_yxyx = boxes.clip_to_window(boxes_yxyx, size_px)
        # A training step may be compiled on any device.
        return self._suppress(boxes_yxyx, outputs["logits"], min_score=0.0, xla=True)

    def pseudo_label(
        self,
        labels: Boxes,
        *,
        min_score: float | Sequence[float],
        soft: bool = False,
    ) -> Boxes:
        return scored_rows.weigh_by_score(labels, min_score, soft=soft)

    def without_padding(self, labels: Boxes) -> Boxes:
        counts = np.asarray(labels.weights) > 0
        return Boxes(*(np.asarray(field)[counts] for field in labels))

    @property
    def protocol(self) -> dict:
        return {
            "image_size_px": list(self._config.image_size_px),
            "nms": f"{'soft' if self._is_soft else 'hard'}, per class",
            "test_time_augmentation": "none",
            **dataclasses.asdict(self._config.postprocess),
        }

    @property
    def _is_soft(self) -> bool:
        return self._config.postprocess.soft_nms_sigma > 0

    def whole_view(self, image: tf.Tensor) -> View:
        return views_of.whole(image, self._config.image_size_px)

    def views(self, image: tf.Tensor) -> View:
        return tf.nest.map_structure(lambda field: field[None], self.whole_view(image))

    def read_outputs(self, outputs: dict, views: View) -> Boxes:
        """Returns [B, N] boxes in pixels of the pictures, best first, padded."""
        min_score = self._config.postprocess.min_score
        logits, offsets = outputs["logits"], outputs["offsets"]
        of_anchor = self._anchors
        if not self._xla and not self._is_soft:
            chosen = nms.anchors_with_candidates(logits, min_score)
            logits = tf.gather(logits, chosen, batch_dims=1)
            offsets = tf.gather(offsets, chosen, batch_dims=1)
            of_anchor = tf.gather(of_anchor, chosen)
        boxes_yxyx = box_coding.decode_boxes(offsets, of_anchor)
        scale = tf.concat([views.scale_yx, views.scale_yx], axis=-1)[:, None, :]
        boxes_yxyx = boxes.clip_to_window(
            boxes_yxyx / scale, views.picture_size_px[:, None, :]
        )
        # Boxes beside the picture have no area left, so that none suppresses another.
        is_seen = boxes.area(boxes_yxyx) > 0.0
        logits = tf.where(is_seen[..., None], logits, -np.inf)
        return self._suppress(boxes_yxyx, logits, min_score=min_score, xla=self._xla)

    def _suppress(self, boxes_yxyx, logits, *, min_score: float, xla: bool) -> Boxes:
        postprocess = self._config.postprocess
        return nms.non_max_suppression(
            boxes_yxyx,
            tf.sigmoid(logits),
            min_score=min_score,
            nms_iou=postprocess.nms_iou,
            max_detections=postprocess.max_detections,
            soft_sigma=postprocess.soft_nms_sigma,
            soft_form=postprocess.soft_nms_form,
            xla=xla,
        )

    def merge_views(self, read: list[Boxes], views: list[View]) -> Boxes:
        del views
        (found,) = read  # A picture has one view.
        return self.without_padding(found)

    def serve(self, outputs: dict, views: View) -> dict[str, tf.Tensor]:
        found = self.read_outputs(outputs, views)
        is_real = found.weights > 0.0
        labels = found.class_ids + self._config.label_of_class_0
        size = tf.cast(views.picture_size_px, tf.float32)
        return {
            "detection_boxes": found.boxes_yxyx,
            "detection_scores": found.scores,
            "detection_classes": tf.where(is_real, labels, 0),
            "num_detections": tf.reduce_sum(tf.cast(is_real, tf.int32), axis=-1),
            # Clients of tf-models-official divide boxes by row 2 of this.
            "image_info": tf.stack(
                [size, size, tf.ones_like(size), tf.zeros_like(size)], axis=1
            ),
        }

    def serve_raw(self, outputs: dict) -> dict[str, tf.Tensor]:
        return {
            "decoded_boxes": box_coding.decode_boxes(outputs["offsets"], self._anchors),
            "decoded_box_scores": tf.sigmoid(outputs["logits"]),
        }

    @property
    def serving_notes(self) -> dict[str, str]:
        return {
            "detection_boxes": (
                "y0, x0, y1, x1 in pixels of the original picture, best score first; "
                "zeros after the last detection"
            ),
            "detection_scores": "from 0 to 1; 0 after the last detection",
            "detection_classes": "a key of `labels`; 0 after the last detection",
            "num_detections": "rows that count",
            "image_info": (
                "height, width of the original picture; again; scale of the boxes "
                "against it, always 1; offset, always 0"
            ),
            "decoded_boxes": (
                "y0, x0, y1, x1 of every anchor in pixels of the input, not clipped; "
                "left to do: divide by the scale the picture was shrunk with, clip to "
                "the picture, suppress per class as `protocol` says"
            ),
            "decoded_box_scores": (
                "from 0 to 1, of every anchor and class; the first column is the "
                "first of `labels`"
            ),
        }

    def read_labels(self, serialized: tf.Tensor) -> tuple[Boxes, tf.Tensor]:
        return decode.decode_labels(
            serialized, label_of_class_0=self._config.label_of_class_0
        )

    def write_labels(self, picture: Record, labels: Boxes) -> Record:
        label_of_class_0 = self._config.label_of_class_0
        # A record has no weights: padding stays out.
        labels = self.without_padding(labels)
        return dataclasses.replace(
            without_labels(picture),
            boxes_yxyx=labels.boxes_yxyx,
            labels=labels.class_ids.astype(np.int64) + label_of_class_0,
            is_crowd=labels.is_crowd,
            scores=labels.scores,
        )

    def annotations(self, labels: Boxes) -> list[dict]:
        rows = []
        for box, class_id, score in zip(
            labels.boxes_yxyx, labels.class_ids, labels.scores, strict=True
        ):
            y0, x0, y1, x1 = (float(side) for side in box)
            bbox = [round(value, 2) for value in (x0, y0, x1 - x0, y1 - y0)]
            rows.append(
                {
                    "category_id": self.label_of(int(class_id)),
                    "bbox": bbox,
                    "area": round(bbox[2] * bbox[3], 2),
                    "iscrowd": 0,
                    "score": round(float(score), 4),
                }
            )
        return rows

    def new_metric(self) -> AveragePrecision:
        return AveragePrecision(self.class_names)

    def new_quality(self) -> BoxQuality:
        return BoxQuality(self.class_names)

    def new_calibration(self) -> JudgedBoxes:
        return JudgedBoxes(len(self.class_names))

    def objects(self, labels: Boxes) -> tuple[np.ndarray, np.ndarray]:
        is_one = ~np.asarray(labels.is_crowd, bool)
        boxes_yxyx = np.asarray(labels.boxes_yxyx, np.float32)[is_one]
        return labels.class_ids[is_one], boxes_yxyx[:, 2:] - boxes_yxyx[:, :2]

    def describe(self, labels: Boxes) -> str:
        count = int((np.asarray(labels.weights) > 0).sum())
        return f"{count} boxes, {len(self.learning_points(labels))} anchors"

    def learning_points(self, labels: Boxes) -> np.ndarray:
        batch = tf.nest.map_structure(lambda field: tf.constant(field[None]), labels)
        positive = self._anchors[self._match(batch).is_positive[0].numpy()]
        return (positive[:, :2] + positive[:, 2:]) / 2

    def _match(self, labels: Boxes) -> matching.Matches:
        return matching.match_anchors(
            self._anchors,
            labels.boxes_yxyx,
            labels.weights,
            positive_iou=self._config.positive_iou,
            negative_iou=self._config.negative_iou,
        )


def _pad(labels: Boxes, num_boxes: int) -> Boxes:
    """Returns exactly `num_boxes` rows: best scores first, then zeros."""
    order = tf.argsort(labels.scores, direction="DESCENDING", stable=True)[:num_boxes]
    missing = num_boxes - tf.shape(order)[0]

    def pad(field):
        rows = tf.gather(field, order)
        padded = tf.pad(rows, [[0, missing]] + [[0, 0]] * (field.shape.rank - 1))
        padded.set_shape([num_boxes, *field.shape[1:]])
        return padded

    return Boxes(*(pad(field) for field in labels))
