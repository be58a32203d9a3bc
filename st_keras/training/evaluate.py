"""How good a model is, with the protocol that gives the number its meaning."""

import os

from st_keras.data import pipeline, splits
from st_keras.runtime import preflight, shared_inference
from st_keras.runtime.inference import Predictor
from st_keras.runtime.restored import RestoredRun
from st_keras.runtime.stored_labels import read_labels
from st_keras.self_training import lineage
from st_keras.tasks import Task


def evaluate_model(
    task: Task,
    predictor: Predictor,
    source: pipeline.Source,
    *,
    batch_size: int,
    progress: str = "",
) -> dict:
    """Returns the metric's numbers of a model over records with labels.

    The hosts of a job share the pictures and all get the same numbers.

    Args:
      task: Of the model.
      predictor: Of the model.
      source: The records.
      batch_size: Pictures at a time.
      progress: Title of the progress bar; empty: none.

    Raises:
      ValueError: The shards hold fewer pictures than they should.
    """
    metric = task.new_metric()
    predictions = shared_inference.over_records(
        predictor, source, batch_size=batch_size, progress=progress
    )
    seen = 0
    # Both in the order of the files, so that no more than a few pictures are held.
    for (image_id, predicted), (true_id, truth) in zip(
        predictions, read_labels(task, source), strict=True
    ):
        if image_id != true_id:
            raise AssertionError(f"{image_id} judged by the labels of {true_id}.")
        metric.add(image_id, truth, predicted)
        seen += 1
    if seen != source.count:
        raise ValueError(
            f"{os.path.dirname(source.paths[0])}: the shards hold {seen} of the "
            f"{source.count} pictures to judge by; copy or make them again."
        )
    return metric.result()


def evaluate_run(
    run: RestoredRun,
    records: str,
    ids_file: str = "",
    *,
    progress: str = "Evaluate",
) -> dict:
    """Returns a model's `metrics`, the name of the `headline`, and the `protocol`.

    Args:
      run: The model.
      records: Glob of TFRecords with human labels.
      ids_file: Ids of the pictures to use; empty: all.
      progress: Title of the progress bar.

    Raises:
      ValueError: There are no such records.
    """
    config = run.config
    ids = splits.chosen(ids_file)
    source = pipeline.open_source(records, ids, config.human.cache_mb)
    preflight.check_labeled(run.task, records)
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


def seen_before(run: RestoredRun, records: str, ids_file: str = "") -> str:
    """Says which of some pictures a model has learned from; empty if none is known.

    Args:
      run: The model.
      records: Glob of TFRecords.
      ids_file: Ids of the pictures; empty: all.
    """
    judged = {"judged": (records, ids_file)}
    try:
        preflight.check_disjoint(judged)
    except ValueError:  # Records of other tools do not say which pictures they hold.
        return ""
    try:
        lineage.check_unseen(judged, run.config, run.file.prefix)
    except ValueError as error:
        return str(error)
    return ""
