"""Draws a report's pictures with what people, models and teachers see in them."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.data import dataset_info, decode, drawing, pipeline, splits
from st_keras.experiments import sheets
from st_keras.runtime.inference import Predictor
from st_keras.runtime.restored import RestoredRun, restore_run
from st_keras.runtime.stored_labels import read_labels, says_something
from st_keras.self_training import selection
from st_keras.tasks import Task, build_task
from st_keras.types import Example, Labels


class Row(NamedTuple):
    """One picture, drawn once per column of the report."""

    image_id: str
    drawn: list[np.ndarray]  # [H, W, 3] uint8 each.


def test_rows(
    runs: dict[str, str],
    records: str,
    ids_file: str = "",
    *,
    count: int = 6,
    min_score: float = 0.3,
) -> list[Row]:
    """Returns pictures as people labelled them, then as each model sees them.

    The pictures are spread evenly over the records; nobody chose them.

    Args:
      runs: Workdirs of the models, in the order of the columns.
      records: Glob of TFRecords with human labels.
      ids_file: Ids of the pictures to choose from; empty: all.
      count: Pictures.
      min_score: Boxes at or under it are not drawn; pixels have their best class.

    Raises:
      ValueError: Records or checkpoints no longer exist.
    """
    ids = splits.read_ids(ids_file) if ids_file else all_ids(records)
    source = pipeline.open_source(records, spread(ids, count), 0)
    serialized = pipeline.serialized_records(source)
    drawn: dict[str, list[np.ndarray]] = {}
    for workdir in runs.values():
        tf.keras.backend.clear_session()
        run = restore_run(workdir, min_score=min_score)
        seen = seen_by(run, serialized, source.count)
        for example in read_pictures(run.task, serialized):
            row = drawn.setdefault(example.image_id, [_draw(example, run.task)])
            labels = seen[example.image_id]
            row.append(_draw(example._replace(labels=labels), run.task))
    return [Row(image_id, row) for image_id, row in drawn.items()]


def pseudo_rows(
    student: config_lib.Config, unlabeled: str, *, count: int = 6
) -> list[Row]:
    """Returns pictures with their pseudo labels and, where known, the human ones.

    What the student does not learn from is dashed or hatched.

    Args:
      student: Config of a trained student: it names the pseudo records.
      unlabeled: Glob of the TFRecords that the teacher labelled.
      count: Pictures.

    Raises:
      ValueError: The records no longer exist.
    """
    task = build_task(student)
    min_scores = selection.min_scores(student.pseudo, task)
    ids = selection.image_ids(student.pseudo)
    ids = spread(all_ids(student.pseudo.records) if ids is None else ids, count)
    source = pipeline.open_source(student.pseudo.records, ids, 0)
    truth = {}
    names = getattr(dataset_info.load(unlabeled), task.names_field)
    if names == task.names_in_records:
        truth = dict(read_labels(task, pipeline.open_source(unlabeled, ids, 0)))
    if not any(map(says_something, truth.values())):
        truth = {}
    rows = []
    for example in read_pictures(task, pipeline.serialized_records(source)):
        used = task.pseudo_label(example.labels, min_score=min_scores)
        used = used._make(np.asarray(field) for field in used)
        drawn = [_draw(example._replace(labels=used), task)]
        if truth:
            real = truth[example.image_id]
            drawn.append(_draw(example._replace(labels=real), task))
        rows.append(Row(example.image_id, drawn))
    return rows


def read_pictures(task: Task, serialized: tf.data.Dataset) -> Iterator[Example]:
    """Yields serialised records as Examples of NumPy arrays, `image_id` a str."""
    for record in serialized:
        labels, image_id = task.read_labels(record)
        yield Example(
            image=decode.decode_image(decode.decode_encoded(record)).numpy(),
            labels=labels._make(field.numpy() for field in labels),
            image_id=image_id.numpy().decode(),
        )


def seen_by(
    run: RestoredRun, serialized: tf.data.Dataset, count: int
) -> dict[str, Labels]:
    """Returns what a model sees in `count` serialised records, by image id."""
    batch_size = min(count, run.config.evaluation.images_per_step)
    predictor = Predictor(run.task, run.model)
    return dict(
        predictor.over_serialized(serialized, count=count, batch_size=batch_size)
    )


def _draw(example: Example, task: Task) -> np.ndarray:
    return drawing.draw_labels(
        example.image, example.labels, task.class_names, **sheets.SIDES_PX
    )


def all_ids(records: str) -> list[str]:
    """Returns the ids of all pictures of records."""
    return list(dataset_info.picture_digests(records))


def spread(ids: list[str], count: int) -> list[str]:
    """Returns at most `count` ids at even distances."""
    step = max(1, len(ids) / count)
    return [ids[int(i * step)] for i in range(min(count, len(ids)))]
