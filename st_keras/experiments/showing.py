"""Sheets of pictures to look at before and after training."""

import dataclasses

import numpy as np

from st_keras.config import Config
from st_keras.data import dataset_info, decode, drawing, pipeline
from st_keras.data.dataset_info import DatasetInfo
from st_keras.experiments import pictures, sheets
from st_keras.runtime import preflight
from st_keras.runtime.restored import restore_run
from st_keras.self_training.batches import Batches
from st_keras.tasks import build_task, with_class_names
from st_keras.types import IGNORED


def show_records(
    records: str, output: str, *, count: int = 24, min_score: float = 0.0
) -> str:
    """Draws the first records with their labels and returns what was drawn.

    A record with several kinds of labels is drawn once for each.

    Args:
      records: Glob of TFRecords.
      output: Picture file to write.
      count: Records to show.
      min_score: Pseudo labels under it are dashed, hatched or grey.

    Raises:
      ValueError: There are no such records.
    """
    sheets.check(output, count)
    info = dataset_info.load(records)
    source = pipeline.open_source(records, None, 0)
    drawn, titles = [], []
    for serialized in pipeline.serialized_records(source).take(count):
        image = decode.decode_image(decode.decode_encoded(serialized)).numpy()
        title = decode.decode_image_id(serialized).numpy().decode()
        for labels, names in _said_in(serialized, info, min_score):
            drawn.append(drawing.draw_labels(image, labels, names, **sheets.SIDES_PX))
            titles.append(f"{title}  {image.shape[0]} x {image.shape[1]}")
    sheets.save(drawn, titles, output)
    shown = min(count, source.count)
    return f"{shown} of {source.count} records of {records}: {output}"


def show_batches(config: Config, output: str, *, step: int = 0, count: int = 12) -> str:
    """Draws what a training step sees and returns what was drawn.

    Augmented pictures at the network's size, with the labels they are trained on;
    dropped pseudo labels are dashed or hatched. Crosses mark positive anchors. Without
    `pseudo.records` no pseudo part is shown.

    Args:
      config: Of the run.
      output: Picture file to write.
      step: Its number, from 0.
      count: Pictures to show of each part.

    Raises:
      ValueError: There are no such records.
    """
    sheets.check(output, count)
    config = with_class_names(config, dataset_info.load(config.human.records))
    if config.pseudo and not config.pseudo.records:
        config = dataclasses.replace(config, pseudo=None)
    batches = Batches(config, build_task(config))
    image_ids = batches.image_ids(step)
    parts = next(iter(batches.from_step(step, replicas=1, replicas_here=range(1))))
    drawn, titles, shown = [], [], []
    for part, batch in parts.items():
        task = batches.tasks[part]
        images = task.finish_images(batch.image, batch.changes).numpy()
        size = min(count, len(images))
        views = len(images) // len(batch.image)  # Of each picture.
        shown.append(f"{size} {part}")
        for row in range(size):
            picture = row // views
            labels = batch.labels._make(f[picture].numpy() for f in batch.labels)
            drawn.append(
                drawing.draw_labels(
                    images[row],
                    labels,
                    task.class_names,
                    marks_yx=task.learning_points(labels),
                    **sheets.SIDES_PX,
                )
            )
            image_id = image_ids[part][picture]
            titles.append(f"{part} {image_id}: {task.describe(labels)}")
    sheets.save(drawn, titles, output)
    return f"{' and '.join(shown)} pictures of step {step}: {output}"


def show_predictions(
    checkpoint: str,
    records: str,
    output: str,
    *,
    count: int = 12,
    min_score: float = 0.3,
    strategy: str = "one_device",
    tpu: str = "",
) -> str:
    """Draws human labels beside a model's and returns what was drawn.

    Args:
      checkpoint: Workdir of a run, or a checkpoint prefix inside it.
      records: Glob of TFRecords with human labels.
      output: Picture file to write.
      count: Records to show.
      min_score: Boxes at or under it are not drawn; pixels have their best class.
      strategy: On which devices, as `runtime.strategy`.
      tpu: As `runtime.tpu`.

    Raises:
      ValueError: There is no such checkpoint, or no such records, or they have other
        classes than the run.
    """
    sheets.check(output, count)
    source = pipeline.open_source(records, None, 0)
    run = restore_run(checkpoint, min_score=min_score, strategy=strategy, tpu=tpu)
    if getattr(dataset_info.load(records), run.task.names_field or "", ()):
        preflight.check_classes(run.task, records)
    count = min(count, source.count)
    serialized = pipeline.serialized_records(source).take(count)
    seen = pictures.seen_by(run, serialized, count)
    drawn, titles = [], []
    for example in pictures.read_pictures(run.task, serialized):
        for who, labels in (
            ("truth", example.labels),
            (run.config.role, seen[example.image_id]),
        ):
            drawn.append(
                drawing.draw_labels(
                    example.image, labels, run.task.class_names, **sheets.SIDES_PX
                )
            )
            titles.append(f"{who}  {example.image_id}")
    sheets.save(drawn, titles, output)
    return f"{count} of {source.count} records of {records}: {output}"


def _said_in(serialized, info: DatasetInfo, min_score: float) -> list[tuple]:
    """Returns each kind of labels that a record has, with the names of its classes."""
    said = []
    if info.label_map_names:
        labels, _ = decode.decode_label_map(serialized)
        labels = labels._make(field.numpy() for field in labels)
        is_kept = labels.confidences / 255.0 >= min_score
        ids = np.where(is_kept, labels.class_ids, IGNORED)
        said.append((labels._replace(class_ids=ids), info.label_map_names))
    if info.image_class_names:
        labels, _ = decode.decode_class(serialized)
        labels = labels._make(field.numpy() for field in labels)
        kept = labels.weights * (labels.scores >= min_score)
        said.append((labels._replace(weights=kept), info.image_class_names))
    if info.class_names or not said:
        labels, _ = decode.decode_labels(serialized)
        labels = labels._make(field.numpy() for field in labels)
        kept = np.asarray(labels.scores >= min_score, np.float32)
        said.append((labels._replace(weights=kept), info.class_names))
    return said
