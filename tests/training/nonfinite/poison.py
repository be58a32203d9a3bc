"""A loss that is not a number for one example of one step."""

import tensorflow as tf

from st_keras.self_training.batches import Batches
from st_keras.tasks import build_task, with_class_names
from st_keras.tasks.detection import DetectionTask
from st_keras.types import Ratio


def mark(config, info, *, step, part, row):
    """Returns what tells an example of a run, as it is augmented then, and its id.

    Without a row, it is the one with most in its boxes.
    """
    config = with_class_names(config, info)
    found = Batches(config, build_task(config)).examples(step)[part]
    sums = tf.reduce_sum(found.batch.labels.boxes_yxyx, axis=[1, 2]).numpy()
    row = int(sums.argmax()) if row is None else row
    assert sums[row] > 0.0, "Choose an example with boxes."
    return float(sums[row]), found.image_ids[row]


def poison(monkeypatch, marks, *, name="box"):
    """Makes a loss of detection nan where a batch has one of some examples."""
    healthy = DetectionTask.losses

    def losses(self, labels, outputs):
        ratios = healthy(self, labels, outputs)
        sums = tf.reduce_sum(labels.boxes_yxyx, axis=[1, 2])
        is_marked = tf.abs(sums[:, None] - tf.constant(marks, tf.float32)) < 1e-3
        # As a logarithm of a side that is 0 would be: nan comes with its gradient.
        bad = tf.where(tf.reduce_any(is_marked), float("nan"), 0.0)
        total = ratios[name].total + bad * tf.reduce_sum(outputs["offsets"])
        return ratios | {name: Ratio(total, ratios[name].count)}

    monkeypatch.setattr(DetectionTask, "losses", losses)
