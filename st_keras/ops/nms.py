"""From scored boxes to detections: non-maximum suppression per class."""

import tensorflow as tf

from st_keras.types import Boxes

_CANDIDATES_PER_CLASS = 5000  # As the authors' code; enough for 640 px and more.


def non_max_suppression(
    boxes_yxyx: tf.Tensor,
    probabilities: tf.Tensor,
    *,
    min_score: float,
    nms_iou: float,
    max_detections: int,
    xla: bool = False,
) -> Boxes:
    """Keeps, per class, the best of the boxes that overlap; then the best of all.

    On CPUs and GPUs this is one TensorFlow kernel; XLA (so a TPU) has none, and gets
    the tiled form of tf-models-official, about 14 times slower on a CPU.

    Args:
      boxes_yxyx: [B, A, 4] float32, shared by the classes.
      probabilities: [B, A, K] float32 in [0, 1].
      min_score: Boxes at or under it are never returned.
      nms_iou: Overlap above which the weaker box goes.
      max_detections: N, rows per image.
      xla: Whether the result must compile with XLA.

    Returns:
      Labels [B, N, ...], best score first; padding rows have weight 0.
    """
    if xla:
        found = _tiled(boxes_yxyx, probabilities, min_score, nms_iou, max_detections)
    else:
        found = tf.image.combined_non_max_suppression(
            boxes_yxyx[:, :, None, :],
            probabilities,
            max_output_size_per_class=max_detections,
            max_total_size=max_detections,
            iou_threshold=nms_iou,
            score_threshold=min_score,
            pad_per_class=False,
            clip_boxes=False,
        )
    boxes, scores, class_ids, counts = found
    is_real = tf.sequence_mask(counts, max_detections)
    return Boxes(
        boxes_yxyx=tf.where(is_real[..., None], boxes, 0.0),
        class_ids=tf.where(is_real, tf.cast(class_ids, tf.int32), 0),
        scores=tf.where(is_real, scores, 0.0),
        weights=tf.cast(is_real, tf.float32),
        is_crowd=tf.zeros_like(is_real),
    )


def _tiled(boxes, probabilities, min_score, nms_iou, max_detections):
    from official.vision.modeling.layers import detection_generator

    return detection_generator._generate_detections_v2_class_aware(
        boxes[:, :, None, :],
        probabilities,
        pre_nms_top_k=_CANDIDATES_PER_CLASS,
        pre_nms_score_threshold=min_score,
        nms_iou_threshold=nms_iou,
        max_num_detections=max_detections,
    )
