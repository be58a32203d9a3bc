"""How good a model is, with the protocol that gives the number its meaning."""

import tensorflow as tf

from st_keras.data import pipeline, splits
from st_keras.runtime import preflight
from st_keras.runtime.inference import Predictor
from st_keras.runtime.restored import RestoredRun
from st_keras.tasks import Task
from st_keras.types import Labels


def evaluate_model(
    task: Task,
    predictor: Predictor,
    source: pipeline.Source,
    *,
    batch_size: int,
    progress: str = "",
) -> dict:
    """Returns the metric's numbers of a model over records with labels.

    Args:
      task: Of the model.
      predictor: Of the model.
      source: The records.
      batch_size: Pictures at a time.
      progress: Title of the progress bar; empty: none.
    """
    truth = read_truth(task, source)
    metric = task.new_metric()
    for image_id, predicted in predictor.over_records(
        source, batch_size=batch_size, progress=progress
    ):
        metric.add(image_id, truth[image_id], predicted)
    return metric.result()


def evaluate_run(
    run: RestoredRun,
    records: str,
    ids_file: str = "",
    *,
    progress: str = "Evaluate",
) -> dict:
    """Returns `metrics` of a run's model, and the `protocol` they were got by.

    Args:
      run: The model.
      records: Glob of TFRecords with human labels.
      ids_file: Ids of the pictures to use; empty: all.
      progress: Title of the progress bar.

    Raises:
      ValueError: There are no such records.
    """
    config = run.config
    ids = splits.read_ids(ids_file) if ids_file else None
    source = pipeline.open_source(records, ids, config.human.cache_mb)
    preflight.check_classes(run.task.label_names, records)
    metrics = evaluate_model(
        run.task,
        Predictor(run.task, run.model),
        source,
        batch_size=config.evaluation.images_per_step,
        progress=progress,
    )
    protocol = {
        "records": records,
        "ids": ids_file or "all",
        "pictures": source.count,
        "checkpoint": run.file.prefix,
        "checkpoint_sha256": run.file.digest,
        "role": config.role,
        "weights": "moving average" if run.file.averaged else "last step",
        **run.task.protocol,
    }
    headline = run.task.new_metric().headline
    return {"headline": headline, "metrics": metrics, "protocol": protocol}


def read_truth(task: Task, source: pipeline.Source) -> dict[str, Labels]:
    """Returns the labels of every picture by its id, as NumPy, original pixels."""
    truth = {}
    rows = pipeline.serialized_records(source).map(task.read_labels, tf.data.AUTOTUNE)
    for labels, image_id in rows.as_numpy_iterator():
        truth[image_id.decode()] = Labels(*labels)
    return truth
