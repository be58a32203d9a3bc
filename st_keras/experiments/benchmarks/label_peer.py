"""The inference of tf-models-official over records, as its evaluation runs it."""

from collections.abc import Callable

import tensorflow as tf

from st_keras.experiments.benchmarks import predictions
from st_keras.experiments.benchmarks.twins import Twins


def detection(twins: Twins, nms: str) -> Callable[[], list]:
    """Returns a function that reads all records and returns the detections.

    Args:
      twins: Detectors whose configs name the records.
      nms: Version of the suppression.
    """
    model = predictions.with_suppression(twins.peer_task, twins.peer_model, nms)

    @tf.function
    def infer(images, labels):
        outputs = model(
            images,
            anchor_boxes=labels["anchor_boxes"],
            image_shape=labels["image_info"][:, 1, :],
            training=False,
        )
        return [outputs[name] for name in predictions.DETECTIONS]

    return _over_records(twins, infer)


def segmentation(twins: Twins) -> Callable[[], list]:
    """Returns a function that reads all records and returns maps [B, H, W].

    Args:
      twins: Segmenters whose configs name the records.
    """
    size_px = twins.peer_task.task_config.model.input_size[:2]

    @tf.function
    def infer(images, labels):
        del labels
        logits = twins.peer_model(images, training=False)["logits"]
        enlarged = tf.image.resize(logits, size_px, method="bilinear")
        return [tf.cast(tf.argmax(enlarged, axis=-1), tf.uint8)]

    return _over_records(twins, infer)


def _over_records(twins: Twins, infer: Callable) -> Callable[[], list]:
    dataset = twins.peer_task.build_inputs(twins.peer_task.task_config.validation_data)

    def read() -> list:
        stream = iter(dataset)
        found = [[part.numpy() for part in infer(*batch)] for batch in stream]
        # The stream is returned too, so that it ends after the clock stops: shutting
        # down an autotuned pipeline can take idle seconds.
        return [stream, *found]

    return read
