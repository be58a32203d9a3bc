"""The labels that records hold, picture by picture."""

from collections.abc import Iterator

from st_keras.data import pipeline
from st_keras.data.untuned import PARALLEL_CALLS
from st_keras.tasks import Task
from st_keras.types import IGNORED, LabelMap, Labels


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
