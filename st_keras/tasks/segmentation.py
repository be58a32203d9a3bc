"""Semantic segmentation: a class for every pixel."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from st_keras import models
from st_keras.config import SegmentationConfig
from st_keras.data import decode, images
from st_keras.data import views as views_of
from st_keras.data.augment import policies
from st_keras.data.dataset_info import DatasetInfo
from st_keras.data.records import Record, without_labels
from st_keras.losses import segmentation as losses
from st_keras.metrics import confidences
from st_keras.metrics.judged_labels import JudgedPixels
from st_keras.metrics.mean_iou import MeanIoU
from st_keras.metrics.pixel_quality import PixelQuality
from st_keras.ops import bilinear, view_merging
from st_keras.tasks.augmentation import augment_picture, build_augmentation
from st_keras.tasks.backbones import backbone_arguments
from st_keras.tasks.task import Task
from st_keras.types import IGNORED, LabelMap, Prepared, Ratio, View

# For pseudo labels, which are written by the million: on noise, a tenth more bytes than
# at 6, in a third of the time.
_PNG_EFFORT = 3


class SegmentationTask(Task):
    """DeepLabv3+ or NAS-FPN: softmax cross entropy over the pixels that are labelled.

    The value of a pixel in records is its class id.
    """

    names_field = "label_map_names"
    policies = policies.SEGMENTATION

    def __init__(self, config: SegmentationConfig, *, xla: bool = False):
        """Makes the task.

        Args:
          config: With its class names filled in. Inference uses its
            `evaluation_views`.
          xla: Whether predictions must compile with XLA; they always do.

        Raises:
          ValueError: There are too few or too many classes, or the augmentation
            contradicts itself.
        """
        del xla
        if not 2 <= len(config.class_names) <= IGNORED:
            raise ValueError(
                "`segmentation.class_names` must be 2 to 255 names, got "
                f"{len(config.class_names)}."
            )
        self._config = config
        self._augmentation = build_augmentation(
            config.augment, self.policies, config.image_size_px
        )

    @staticmethod
    def by_class_id(
        config: SegmentationConfig, names: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Returns the names of records by class id."""
        del config
        return names

    @staticmethod
    def for_purpose(config: SegmentationConfig, purpose: str) -> SegmentationConfig:
        """Returns the config; for labelling, its views replace those of evaluation."""
        if purpose == "labeling":
            return dataclasses.replace(config, evaluation_views=config.labeling_views)
        return config

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._config.class_names

    @property
    def names_in_records(self) -> tuple[str, ...]:
        return self.class_names

    def label_of(self, class_id: int) -> int:
        return class_id

    def build_model(self, *, sync_batch_norm: bool) -> tf.keras.Model:
        config = self._config
        shared = backbone_arguments(config, sync_batch_norm=sync_batch_norm)
        size_px, num_classes = config.image_size_px, len(config.class_names)
        if config.decoder == "nas_fpn":
            settings = dataclasses.asdict(config.nas_fpn)
            return models.nas_fpn_segmenter(size_px, num_classes, **shared, **settings)
        settings = dataclasses.asdict(config.deeplab)
        settings["aspp_rates"] = settings["aspp_rates"] or None
        return models.deeplab_v3_plus(size_px, num_classes, **shared, **settings)

    def prepare(
        self,
        serialized: tf.Tensor,
        seed: tf.Tensor,
        info: DatasetInfo,
        *,
        min_score: Sequence[float] | None = None,
    ) -> Prepared:
        del info  # A map has the size of its picture, whatever the data.
        del min_score  # `pseudo_label` is early enough: no change looks at labels.
        encoded, labels, image_id, size_px = decode.decode_unopened_map(serialized)
        return self._prepared(encoded, labels, image_id, size_px, seed)

    def prepare_unlabeled(self, serialized: tf.Tensor, seed: tf.Tensor) -> Prepared:
        encoded, image_id, size_px = decode.decode_unlabeled(serialized)
        # Nothing is known. Confidence 0 tells the picture from the grey beside it.
        unknown = LabelMap(
            class_ids=tf.fill(size_px, tf.constant(IGNORED, tf.uint8)),
            confidences=tf.zeros(size_px, tf.uint8),
        )
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
        moved = self._augmentation.apply_to_label_map(
            labels, augmented.sampled, augmented.halvings
        )
        return Prepared(augmented.image, moved, image_id, augmented.changes)

    def finish_images(self, images: tf.Tensor, changes) -> tf.Tensor:
        return self._augmentation.apply_to_canvases(images, changes)

    def losses(self, labels: LabelMap, outputs: dict) -> dict[str, Ratio]:
        config = self._config
        loss = losses.pixel_loss(
            outputs["logits"],
            labels.class_ids,
            labels.confidences,
            at=config.loss_at,
            legacy=config.legacy_alignment,
            label_smoothing=config.label_smoothing,
            class_weights=config.class_weights,
            top_share=config.top_share,
        )
        return {"pixel": loss}

    def online_labels(self, outputs: dict, unlabeled: LabelMap) -> LabelMap:
        config = self._config
        logits = bilinear.resize(
            outputs["logits"], config.image_size_px, legacy=config.legacy_alignment
        )
        shares = tf.reduce_max(tf.nn.softmax(logits), axis=-1)
        class_ids = tf.argmax(logits, axis=-1, output_type=tf.int32)
        # As `prepare` fills what is beside a picture: no class, at full confidence.
        is_picture = unlabeled.confidences == 0
        class_ids = tf.where(is_picture, class_ids, IGNORED)
        confidences = tf.where(is_picture, tf.round(shares * 255.0), 255.0)
        return LabelMap(tf.cast(class_ids, tf.uint8), tf.cast(confidences, tf.uint8))

    def pseudo_label(
        self,
        labels: LabelMap,
        *,
        min_score: float | Sequence[float],
        soft: bool = False,
    ) -> LabelMap:
        lowest = confidences.first_kept(min_score)
        if np.ndim(min_score):
            of_class = np.full(256, 256, np.int32)  # As many as class ids may be.
            of_class[: len(lowest)] = lowest
            lowest = tf.gather(of_class, tf.cast(labels.class_ids, tf.int32))
        is_kept = tf.cast(labels.confidences, tf.int32) >= lowest
        ignored = tf.constant(IGNORED, tf.uint8)
        sure = tf.fill(tf.shape(labels.confidences), tf.constant(255, tf.uint8))
        return LabelMap(
            class_ids=tf.where(is_kept, labels.class_ids, ignored),
            confidences=labels.confidences if soft else sure,
        )

    def without_padding(self, labels: LabelMap) -> LabelMap:
        return labels

    @property
    def protocol(self) -> dict:
        views = self._config.evaluation_views
        return {
            "image_size_px": list(self._config.image_size_px),
            "scales": list(views.scales),
            "mirrored_too": views.flip,
            "tile_overlap": views.overlap,
            "resolution": "of the original picture",
        }

    def whole_view(self, image: tf.Tensor) -> View:
        return views_of.whole(image, self._config.image_size_px)

    def views(self, image: tf.Tensor) -> View:
        return views_of.tiled(
            image,
            self._config.image_size_px,
            **dataclasses.asdict(self._config.evaluation_views),
        )

    def read_outputs(self, outputs: dict, views: View) -> tf.Tensor:
        """Returns the [B, h, w, K] float32 logits as they are."""
        del views
        return outputs["logits"]

    def merge_views(self, read: list[np.ndarray], views: list[View]) -> LabelMap:
        return view_merging.merge(
            read,
            views,
            view_size_px=self._config.image_size_px,
            legacy=self._config.legacy_alignment,
        )

    def serve(self, outputs: dict, views: View) -> dict[str, tf.Tensor]:
        size_px = self._config.image_size_px
        logits = bilinear.resize(
            outputs["logits"], size_px, legacy=self._config.legacy_alignment
        )
        picture = tf.cast(views.picture_size_px, tf.float32)
        shown = tf.cast(tf.round(picture * views.scale_yx), tf.int32)
        is_picture = (
            tf.sequence_mask(shown[:, 0], size_px[0])[:, :, None]
            & tf.sequence_mask(shown[:, 1], size_px[1])[:, None, :]
        )
        class_ids = tf.argmax(logits, axis=-1, output_type=tf.int32)
        whole = tf.zeros_like(picture) + tf.constant(size_px, tf.float32)
        return {
            "logits": logits,
            "class_ids": tf.cast(tf.where(is_picture, class_ids, IGNORED), tf.uint8),
            "image_info": tf.stack(
                [picture, whole, views.scale_yx, views.offset_yx], axis=1
            ),
        }

    def serve_raw(self, outputs: dict) -> dict[str, tf.Tensor]:
        return {"logits": outputs["logits"]}

    @property
    def serving_notes(self) -> dict[str, str]:
        return {
            "logits": (
                "of every class, the first of `labels` first; for every pixel of the "
                "network's input or, in TFLite, every cell of 4 x 4 pixels"
            ),
            "class_ids": (
                "the most probable class of every pixel of the network's input, a key "
                f"of `labels`; {IGNORED} beside the picture"
            ),
            "image_info": (
                "height, width of the original picture; of the network's input; pixels "
                "of the input per pixel of the picture; offset, always 0"
            ),
        }

    def read_labels(self, serialized: tf.Tensor) -> tuple[LabelMap, tf.Tensor]:
        return decode.decode_label_map(serialized)

    def write_labels(self, picture: Record, labels: LabelMap) -> Record:
        return dataclasses.replace(
            without_labels(picture),
            label_map_png=images.encode_png(
                np.asarray(labels.class_ids), effort=_PNG_EFFORT
            ),
            confidence_png=images.encode_png(
                np.asarray(labels.confidences), effort=_PNG_EFFORT
            ),
        )

    def annotations(self, labels: LabelMap) -> list[dict]:
        from pycocotools import mask

        class_ids = np.asarray(labels.class_ids)
        rows = []
        for class_id in np.setdiff1d(np.unique(class_ids), [IGNORED]):
            where = class_ids == class_id
            encoded = mask.encode(np.asfortranarray(where.astype(np.uint8)))
            confidence = np.asarray(labels.confidences)[where].mean() / 255.0
            rows.append(
                {
                    "category_id": int(class_id),
                    "segmentation": {
                        "size": [int(side) for side in encoded["size"]],
                        "counts": encoded["counts"].decode(),
                    },
                    "bbox": [float(side) for side in mask.toBbox(encoded)],
                    "area": int(mask.area(encoded)),
                    "iscrowd": 0,
                    "score": round(float(confidence), 4),
                }
            )
        return rows

    def new_metric(self) -> MeanIoU:
        return MeanIoU(self.class_names)

    def new_quality(self) -> PixelQuality:
        return PixelQuality(self.class_names)

    def new_calibration(self) -> JudgedPixels:
        return JudgedPixels(len(self.class_names))

    def objects(self, labels: LabelMap) -> tuple[np.ndarray, np.ndarray]:
        maps = np.asarray(labels.class_ids)
        found = np.setdiff1d(np.unique(maps), [IGNORED]).astype(np.int64)
        sides_px = [_extent_px(maps == class_id) for class_id in found]
        return found, np.asarray(sides_px, np.float32).reshape([-1, 2])

    def describe(self, labels: LabelMap) -> str:
        class_ids = np.asarray(labels.class_ids)
        found = np.setdiff1d(np.unique(class_ids), [IGNORED])
        share = np.mean(class_ids != IGNORED)
        return f"{len(found)} classes, {share:.0%} known"

    def learning_points(self, labels: LabelMap) -> np.ndarray:
        del labels
        return np.zeros([0, 2], np.float32)


def _extent_px(where: np.ndarray) -> tuple[int, int]:
    """Returns height and width of the smallest box around the pixels that are true."""
    rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
    return rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
