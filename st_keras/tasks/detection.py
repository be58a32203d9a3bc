"""Object detection: boxes from anchors."""

import dataclasses

import numpy as np
import tensorflow as tf

from st_keras import models
from st_keras.config import DetectionConfig
from st_keras.data import decode
from st_keras.data.augment import geometry, policies, shrinking, warp
from st_keras.data.augment.moved_boxes import keep_rows, move_labels
from st_keras.data.records import Record
from st_keras.losses import detection as losses
from st_keras.metrics.average_precision import AveragePrecision
from st_keras.ops import anchors, box_coding, boxes, matching, nms
from st_keras.tasks.augmentation import build_augmentation
from st_keras.tasks.task import Task
from st_keras.types import Labels, Prepared, Ratio


class DetectionTask(Task):
    """A RetinaNet: focal loss over anchors, Huber loss over those that hold a box."""

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
        self._augmentation = build_augmentation(
            config.augment, policies.DETECTION, config.image_size_px
        )
        self._anchors = anchors.make_anchors(
            config.image_size_px,
            min_level=config.min_level,
            max_level=config.max_level,
            scales_per_octave=config.anchor_scales,
            aspect_ratios=config.aspect_ratios,
            anchor_size=config.anchor_size,
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._config.class_names

    @property
    def label_names(self) -> tuple[str, ...]:
        return self.class_names[1 - self._config.label_of_class_0 :]

    @property
    def label_of_class_0(self) -> int:
        return self._config.label_of_class_0

    @property
    def protocol(self) -> dict:
        return {
            "image_size_px": list(self._config.image_size_px),
            "nms": "hard, per class",
            "test_time_augmentation": "none",
            **dataclasses.asdict(self._config.postprocess),
        }

    def build_model(self, *, sync_batch_norm: bool) -> tf.keras.Model:
        config = self._config
        return models.retinanet(
            config.image_size_px,
            len(config.class_names),
            backbone=config.backbone,
            flavor=config.flavor,
            min_level=config.min_level,
            max_level=config.max_level,
            neck=config.neck,
            neck_filters=config.neck_filters,
            neck_repeats=config.neck_repeats,
            head_convs=config.head.num_convs,
            head_filters=config.head.num_filters,
            separable=config.head.separable,
            anchors_per_cell=config.anchor_scales * len(config.aspect_ratios),
            activation=config.activation,
            drop_connect=config.drop_connect,
            norm=models.Norm(
                momentum=config.batch_norm_momentum,
                epsilon=config.batch_norm_epsilon,
                synchronized=sync_batch_norm,
            ),
        )

    def prepare(
        self, serialized: tf.Tensor, seed: tf.Tensor | None, *, num_boxes: int
    ) -> Prepared:
        config = self._config
        encoded, labels, image_id, original_size_px = decode.decode_unopened(
            serialized, label_of_class_0=config.label_of_class_0
        )
        if seed is None:
            image = decode.decode_image(encoded)
            image, shown = warp.show_whole(image, config.image_size_px)
            labels = move_labels(
                labels, shown, config.image_size_px, min_visible_share=0.0
            )
            changes = ()
        else:
            image, labels, shown, changes = self._augment(
                encoded, labels, original_size_px, seed, num_boxes
            )
        return Prepared(
            image=image,
            labels=_pad(labels, num_boxes),
            image_id=image_id,
            scale_yx=geometry.scale_yx(shown),
            original_size_px=original_size_px,
            changes=changes,
        )

    def _augment(self, encoded, labels, original_size_px, seed, num_boxes):
        augmentation, is_host = self._augmentation, self._config.augment.where == "host"
        # A box around a crowd says nothing about a single object.
        labels = keep_rows(labels, tf.logical_not(labels.is_crowd))
        halves = augmentation.shrink_index(
            original_size_px, seed, for_canvas=not is_host
        )
        image = decode.decode_shrunk_image(encoded, halves)
        small = labels._replace(boxes_yxyx=labels.boxes_yxyx / shrinking.factor(halves))
        drawn = augmentation.draw(tf.shape(image)[:2], small.boxes_yxyx, seed)
        moved = augmentation.move_labels(small, drawn)
        if is_host:
            image, left_to_do = augmentation.show(image, drawn), ()
        else:
            image, left_to_do = augmentation.to_canvas(image, drawn, num_boxes)
        shown = geometry.before_shrinking(drawn.geometry, shrinking.factor(halves))
        return image, moved, shown, left_to_do

    def finish_images(self, images: tf.Tensor, changes) -> tf.Tensor:
        return self._augmentation.show_canvases(images, changes) if changes else images

    def prepare_image(self, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        shown_image, shown = warp.show_whole(image, self._config.image_size_px)
        return shown_image, geometry.scale_yx(shown)

    def read_labels(self, serialized: tf.Tensor) -> tuple[Labels, tf.Tensor]:
        return decode.decode_labels(
            serialized, label_of_class_0=self._config.label_of_class_0
        )

    def write_labels(self, picture: Record, labels: Labels) -> Record:
        label_of_class_0 = self._config.label_of_class_0
        counts = labels.weights > 0  # A record has no weights: padding stays out.
        labels = Labels(*(field[counts] for field in labels))
        return dataclasses.replace(
            picture,
            boxes_yxyx=labels.boxes_yxyx,
            labels=labels.class_ids.astype(np.int64) + label_of_class_0,
            texts=(),
            is_crowd=labels.is_crowd,
            scores=labels.scores,
            label_map_png=None,
        )

    def losses(self, labels: Labels, outputs: dict) -> dict[str, Ratio]:
        config = self._config
        matches = self._match(labels)
        num_classes = len(config.class_names)
        if labels.boxes_yxyx.shape[1] == 0:
            class_targets = tf.zeros_like(outputs["logits"])
            offset_targets = tf.zeros_like(outputs["offsets"])
        else:
            index = matches.box_index
            class_ids = tf.gather(labels.class_ids, index, batch_dims=1)
            class_ids = tf.where(matches.is_positive, class_ids, -1)
            class_targets = tf.one_hot(class_ids, num_classes)
            matched = tf.gather(labels.boxes_yxyx, index, batch_dims=1)
            offset_targets = box_coding.encode_boxes(matched, self._anchors)
        num_positives = tf.reduce_sum(tf.cast(matches.is_positive, tf.float32))
        class_loss = losses.focal_loss(
            outputs["logits"],
            class_targets,
            matches.is_counted,
            num_positives,
            alpha=config.focal_alpha,
            gamma=config.focal_gamma,
        )
        box_loss = losses.box_loss(
            outputs["offsets"],
            offset_targets,
            matches.is_positive,
            num_positives,
            delta=config.huber_delta,
        )
        weighted = box_loss._replace(total=config.box_weight * box_loss.total)
        return {"class": class_loss, "box": weighted}

    def learning_points(self, labels: Labels) -> np.ndarray:
        batch = tf.nest.map_structure(lambda field: tf.constant(field[None]), labels)
        positive = self._anchors[self._match(batch).is_positive[0].numpy()]
        return (positive[:, :2] + positive[:, 2:]) / 2

    def _match(self, labels: Labels) -> matching.Matches:
        return matching.match_anchors(
            self._anchors,
            labels.boxes_yxyx,
            labels.weights,
            positive_iou=self._config.positive_iou,
            negative_iou=self._config.negative_iou,
        )

    def predict(
        self, outputs: dict, scale_yx: tf.Tensor, original_size_px: tf.Tensor
    ) -> Labels:
        postprocess = self._config.postprocess
        boxes_yxyx = box_coding.decode_boxes(outputs["offsets"], self._anchors)
        scale = tf.concat([scale_yx, scale_yx], axis=-1)[:, None, :]
        boxes_yxyx = boxes.clip_to_window(
            boxes_yxyx / scale, original_size_px[:, None, :]
        )
        return nms.non_max_suppression(
            boxes_yxyx,
            tf.sigmoid(outputs["logits"]),
            min_score=postprocess.min_score,
            nms_iou=postprocess.nms_iou,
            max_detections=postprocess.max_detections,
            xla=self._xla,
        )

    def serve(
        self, predictions: Labels, original_size_px: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        is_real = predictions.weights > 0.0
        labels = predictions.class_ids + self._config.label_of_class_0
        size = tf.cast(original_size_px, tf.float32)
        return {
            "detection_boxes": predictions.boxes_yxyx,
            "detection_scores": predictions.scores,
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

    def pseudo_label(self, predictions: Labels, *, min_score: float) -> Labels:
        kept = tf.cast(predictions.scores >= min_score, tf.float32)
        return predictions._replace(weights=predictions.weights * kept)

    def new_metric(self) -> AveragePrecision:
        return AveragePrecision(self.class_names)


def _pad(labels: Labels, num_boxes: int) -> Labels:
    """Returns exactly `num_boxes` rows: best scores first, then zeros."""
    order = tf.argsort(labels.scores, direction="DESCENDING", stable=True)[:num_boxes]
    missing = num_boxes - tf.shape(order)[0]

    def pad(field):
        rows = tf.gather(field, order)
        padded = tf.pad(rows, [[0, missing]] + [[0, 0]] * (field.shape.rank - 1))
        padded.set_shape([num_boxes, *field.shape[1:]])
        return padded

    return Labels(*(pad(field) for field in labels))
