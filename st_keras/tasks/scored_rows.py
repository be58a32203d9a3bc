"""Pseudo labels that are rows with a score each: boxes, classes of whole pictures."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from st_keras.types import Boxes, Classes


def reaches(labels: Boxes | Classes, min_score: float | Sequence[float]) -> tf.Tensor:
    """Returns for each row whether its score is that of its class or higher."""
    if np.ndim(min_score):
        of_class = tf.constant(min_score, tf.float32)
        min_score = tf.gather(of_class, labels.class_ids)
    return labels.scores >= min_score


def weigh_by_score(
    labels: Boxes | Classes, min_score: float | Sequence[float], *, soft: bool
) -> Boxes | Classes:
    """Returns a teacher's labels with the weights a student learns them by.

    Args:
      labels: Of one picture or of a batch.
      min_score: Of all classes, or one for each class id; rows under it get weight 0.
      soft: Whether the others get their score as weight; otherwise they get 1.
    """
    kept = tf.cast(reaches(labels, min_score), tf.float32)
    weights = kept * labels.scores if soft else kept
    return labels._replace(weights=labels.weights * weights)
