"""The arrow from teacher to student: a trained model labels pictures."""

import json
import os
import pathlib

import numpy as np
import tensorflow as tf

from st_keras.data import dataset_info, pipeline, records, splits
from st_keras.runtime.checkpoints import find_model
from st_keras.runtime.inference import Predictor
from st_keras.runtime.restored import restore_run
from st_keras.runtime.run_log import write_json

MANIFEST_FILE = "manifest.json"


def label_records(
    checkpoint: str,
    unlabeled: str,
    output: str,
    *,
    ids_file: str = "",
    score_floor: float = 0.05,
    num_shards: int = 1,
) -> dict:
    """Writes records of the same pictures with a teacher's labels and their scores.

    Labels that the records already have are not read. Scores are kept, of boxes from
    the floor on and of every pixel, so that a student's threshold can change without
    asking the teacher again.

    Args:
      checkpoint: Workdir of the teacher, or a checkpoint prefix inside it.
      unlabeled: Glob of TFRecords.
      output: Folder to write; it is complete when manifest.json is there.
      ids_file: Ids of the pictures to label; empty: all.
      score_floor: In [0, 1); boxes at or under it are not written.
      num_shards: Files to write.

    Returns:
      The manifest.

    Raises:
      ValueError: No such checkpoint, records or ids, or the folder is in use.
    """
    teacher = restore_run(checkpoint, purpose="labeling", min_score=score_floor)
    _check_output(unlabeled, output)
    config = teacher.config
    ids = splits.read_ids(ids_file) if ids_file else None
    source = pipeline.open_source(unlabeled, ids, config.human.cache_mb)
    author = f"teacher {teacher.file.digest}"

    predictor = Predictor(teacher.task, teacher.model)
    predictions = predictor.over_records(
        source, batch_size=config.evaluation.images_per_step, progress="Label"
    )
    pictures = pipeline.serialized_records(source).as_numpy_iterator()
    tally, quality = dataset_info.Tally(), teacher.task.new_quality()
    with records.ShardWriter(output, num_shards) as writer:
        for serialized, (image_id, labels) in zip(pictures, predictions, strict=True):
            picture = _picture(serialized, author)
            if picture.image_id != image_id:
                raise AssertionError(f"{picture.image_id} labelled as {image_id}.")
            record = teacher.task.write_labels(picture, labels)
            writer.write(record)
            tally.add(record)
            quality.add(labels, None)
    info = tally.info(
        source=author,
        **{"class_names": (), teacher.task.names_field: teacher.task.names_in_records},
        skipped={},
        content_sha256=writer.content_sha256,
        shards=writer.shards,
    )
    dataset_info.save(info, output)
    manifest = {
        "teacher": teacher.file.prefix,
        "teacher_sha256": teacher.file.digest,
        "teacher_role": config.role,
        "records": unlabeled,
        "ids": ids_file or "all",
        "pictures": info.images,
        "boxes": info.boxes,
        "summary": quality.result(score_floor)["sentence"],
        "score_floor": score_floor,
        "protocol": teacher.task.protocol,
        "content_sha256": info.content_sha256,
    }
    write_json(os.path.join(output, MANIFEST_FILE), manifest)
    return manifest


def _check_output(unlabeled: str, output: str) -> None:
    """Refuses to write over the pictures themselves or over finished labels."""
    folder = pathlib.Path(output)
    inputs = {pathlib.Path(p).parent for p in dataset_info.shard_paths(unlabeled)}
    if folder.resolve() in {path.resolve() for path in inputs}:
        raise ValueError(
            f"`output` {output} is the folder of the records to label; choose another, "
            "or their labels would be replaced."
        )
    if is_complete(output):
        raise ValueError(
            f"{output}: holds finished pseudo labels; choose another folder, or delete "
            "this one."
        )


def is_complete(output: str) -> bool:
    """Whether a folder holds a finished labelling."""
    return pathlib.Path(output, MANIFEST_FILE).exists()


def check_teacher(output: str, checkpoint: str) -> None:
    """Refuses finished pseudo labels that another model has drawn.

    Raises:
      ValueError: Names both models.
    """
    manifest = json.loads(pathlib.Path(output, MANIFEST_FILE).read_text())
    digest = find_model(checkpoint).digest
    if manifest["teacher_sha256"] != digest:
        raise ValueError(
            f"{output}: labelled by model {manifest['teacher_sha256']}, but "
            f"{checkpoint} holds {digest}; delete the labels and what was trained on "
            "them."
        )


def _picture(serialized: bytes, author: str) -> records.Record:
    """Returns the picture of a record without its labels."""
    features = tf.train.Example.FromString(serialized).features.feature
    (encoded,) = features[records.ENCODED].bytes_list.value
    return records.Record(
        image_id=_text(features, records.IMAGE_ID),
        encoded=encoded,
        format=_text(features, records.FORMAT),
        filename=_text(features, records.FILENAME),
        height_px=features[records.HEIGHT].int64_list.value[0],
        width_px=features[records.WIDTH].int64_list.value[0],
        boxes_yxyx=np.zeros([0, 4], np.float32),
        labels=np.zeros([0], np.int64),
        source=author,
    )


def _text(features, name: str) -> str:
    values = features[name].bytes_list.value
    return values[0].decode() if values else ""
