"""The labels that records hold, picture by picture."""

from collections.abc import Iterator

import tensorflow as tf

from st_keras.data import dataset_info, pipeline
from st_keras.data.untuned import PARALLEL_CALLS
from st_keras.tasks import Task, task_of_records
from st_keras.types import IGNORED, LabelMap, Labels


def labels_in(
    records: str, *, task: Task | None = None, ids: list[str] | None = None
) -> Iterator[tuple[str, Labels]]:
    """Yields the labels of every picture in records, people's or pseudo labels.

    `data.dataset_info.load(records)` has the names of the classes. Scores of pseudo
    labels reach down to the floor they were stored from; no threshold is applied.

    Args:
      records: Glob of TFRecords that `data.conversion.convert` or
        `self_training.labeling.label_pictures` wrote, such as
        `runs/demo/labels_1/*.tfrecord`.
      task: What to read them as, such as that of a restored run; None: what they are
        for, if they have labels of one kind only.
      ids: Of the pictures, as from `data.splits.read_ids`; None: all.

    Yields:
      Image id; NumPy labels without a batch axis, in pixels of the stored picture.

    Raises:
      ValueError: There are no such records, an id is not in them, they are damaged, or
        they have labels of several kinds and `task` is None.
    """
    if task is None:
        task = task_of_records(dataset_info.load(records))
    source = pipeline.open_source(records, ids, cache_mb=0)
    try:
        yield from read_labels(task, source)
    except tf.errors.OpError as error:
        raise ValueError(
            f"`{records}`: not readable: {error.message}; copy or make them again."
        ) from None


def read_labels(task: Task, source: pipeline.Source) -> Iterator[tuple[str, Labels]]:
    """Yields every picture's id and labels, NumPy, in its own pixels."""
    rows = pipeline.serialized_records(source).map(task.read_labels, PARALLEL_CALLS)
    for labels, image_id in rows.as_numpy_iterator():
        yield image_id.decode(), labels


def says_something(labels: Labels) -> bool:
    """Whether a picture's labels hold a box, a known pixel or a known class."""
    if isinstance(labels, LabelMap):
        return bool((labels.class_ids != IGNORED).any())
    return bool((labels.weights > 0).any())


def paired(first: Iterator, second: Iterator) -> Iterator[tuple[str, Labels, Labels]]:
    """Yields ids with their labels from two streams, in whatever order they come.

    Holds only the pictures that one stream has reached and the other has not.
    """
    waiting: tuple[dict, dict] = ({}, {})
    for both in zip(first, second, strict=True):
        for side, (image_id, labels) in enumerate(both):
            waiting[side][image_id] = labels
        for image_id in dict.fromkeys(image_id for image_id, _ in both):
            if all(image_id in half for half in waiting):
                one, other = (half.pop(image_id) for half in waiting)
                yield image_id, one, other
