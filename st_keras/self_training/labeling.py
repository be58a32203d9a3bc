"""The arrow from teacher to student: a trained model labels pictures."""

import dataclasses
import math
import os
import pathlib
from collections.abc import Iterator

import tensorflow as tf
from tqdm import tqdm

from st_keras.config import task_digest
from st_keras.config.checks import check
from st_keras.data import dataset_info, splits
from st_keras.data.records import PICTURES_PER_SHARD, Record
from st_keras.data.skipping import SkipLog
from st_keras.data.unlabeled import FilePictures, Pictures, RecordPictures
from st_keras.runtime import hosts as hosts_lib
from st_keras.runtime.checkpoints import ModelFile, find_model
from st_keras.runtime.inference import Predictor
from st_keras.runtime.restored import RestoredRun, config_of, restore_run
from st_keras.self_training.shards import SKIPPED_FILE, LabelFolder


def label_pictures(
    checkpoint: str,
    output: str,
    *,
    records: str = "",
    images: str = "",
    ids_file: str = "",
    score_floor: float = 0.05,
    num_shards: int = 0,
    shard_range: tuple[int, int] | None = None,
    resume: bool = True,
    strategy: str = "one_device",
    tpu: str = "",
) -> dict:
    """Writes records of pictures with a teacher's labels and their scores.

    Labels that records already have are not read. The scores of boxes above the floor
    and of every pixel are kept, so that a student's threshold can change without
    running the teacher again.

    Finished shards stay as they are: a killed call can be repeated, and hosts can share
    the work by calling with ranges of their own. Each of n hosts of a multi_worker job
    takes every n-th shard by itself, and the chief finishes the folder. The output is a
    function of teacher, pictures and settings, byte for byte.

    Args:
      checkpoint: Workdir of the teacher, or a checkpoint prefix inside it.
      output: Folder to write; it is complete when manifest.json is there.
      records: Glob of TFRecords to label; this or `images`.
      images: Folder of picture files, or a text file with one path per line.
      ids_file: Ids of the pictures in `records` to label; empty: all.
      score_floor: In [0, 1); boxes at or under it are not written.
      num_shards: Files of the whole output, each with a stretch of the pictures; a
        killed call loses those it was writing. 0 means one per 500 pictures.
      shard_range: The first shard to write and the one after the last; None: all.
      resume: Whether to accept a folder in which this job has begun.
      strategy: Which devices to use, as `runtime.strategy`.
      tpu: As `runtime.tpu`.

    Returns:
      The manifest; or only `missing`, the number of shards that other ranges still have
      to write, as long as there are any.

    Raises:
      ValueError: No such checkpoint, records, pictures or ids; the score floor or the
        shards are out of range; or the folder is in use for something else.
      HostLostError: Another host of the job has died.
    """
    check("score_floor", score_floor, 0.0 <= score_floor < 1.0, "in [0, 1)")
    hosts = hosts_lib.join(strategy)
    teacher_file = find_model(checkpoint)
    pictures = _open(records, images, ids_file)
    if not num_shards:
        num_shards = max(1, math.ceil(pictures.positions / PICTURES_PER_SHARD))
    first, last = shard_range or (0, num_shards)
    _check_shards(first, last, num_shards, pictures)
    _check_output(records, images, output)
    folder = LabelFolder(output, _job(teacher_file, pictures, score_floor), num_shards)
    _claim(folder, hosts, resume=resume)
    if manifest := folder.manifest:
        return manifest
    teacher = restore_run(
        teacher_file.prefix,  # A run that still goes on may have saved newer ones.
        purpose="labeling",
        min_score=score_floor,
        strategy=strategy,
        tpu=tpu,
        deterministic=True,
    )
    todo = [
        number
        for number in folder.missing
        if first <= number < last and number % hosts.count == hosts.index
    ]
    _write_shards(Labeler(teacher, pictures), pictures, folder, todo, num_shards)
    hosts.meet("all hosts have labelled")
    if missing := len(folder.missing):
        return {"missing": missing}
    if hosts.is_chief:
        folder.finish(teacher.task)
    hosts.meet("the labels are described")
    return folder.manifest


def format_summary(manifest: dict, output: str) -> str:
    """Returns what `label_pictures` has returned, in words."""
    if "missing" in manifest:
        return f"{manifest['missing']} shards are still missing in {output}."
    skipped = sum(manifest["skipped"].values())
    listed = f" (see {os.path.join(output, SKIPPED_FILE)})" if skipped else ""
    floor = ""
    if "min_score" in manifest["protocol"]:  # Of boxes alone.
        floor = f"Scores are kept above {manifest['score_floor']:g}: "
    return (
        f"{manifest['pictures']:,} pictures labelled, {skipped:,} skipped{listed}. "
        f"{floor}{output}"
    )


class Labeler:
    """Writes shards of pictures that a teacher labels."""

    def __init__(self, teacher: RestoredRun, pictures: Pictures):
        self._task = teacher.task
        self._predictor = Predictor(teacher.task, teacher.model)
        self._batch_size = teacher.config.evaluation.images_per_step
        self._author = f"teacher {teacher.file.digest}"
        self._devices = self._predictor.replicas
        self._pictures = pictures

    def write_shard(
        self, folder: LabelFolder, number: int, stretch: tuple[int, int], bar: tqdm
    ) -> None:
        """Writes a shard with the pictures of some positions and their labels.

        Args:
          folder: Gets the shard.
          number: Of the shard.
          stretch: The first position and the one after the last.
          bar: Moves with each picture.
        """

        def labelled(skipped, check):
            for record in self._label(*stretch, skipped, check=check):
                bar.update()
                yield record

        skipped, before = SkipLog(), bar.n
        work = {
            "views": lambda: self._predictor.views_seen,
            "devices": self._devices,
        }
        try:
            folder.write(number, labelled(skipped, check=False), skipped, **work)
            return
        except tf.errors.InvalidArgumentError:
            # A picture cannot be decoded. Few data sets have one, so only now is each
            # picture opened beforehand, to skip those that fail.
            skipped = SkipLog()
            bar.n = before
        folder.write(number, labelled(skipped, check=True), skipped, **work)

    def _label(
        self, start: int, stop: int, skipped: SkipLog, *, check: bool
    ) -> Iterator[Record]:
        """Yields the pictures of some positions with their labels."""
        pictures = self._pictures.read(start, stop, skipped, check=check)
        found = self._predictor.over_pictures(pictures, batch_size=self._batch_size)
        for picture, labels in found:
            picture = dataclasses.replace(picture, source=self._author)
            yield self._task.write_labels(picture, labels)


def _open(records: str, images: str, ids_file: str) -> Pictures:
    if bool(records) == bool(images):
        raise ValueError("Either `records` or `images` must say what to label.")
    if records:
        return RecordPictures(records, splits.chosen(ids_file))
    if ids_file:
        raise ValueError("`ids` choose among records; list the files in `images`.")
    return FilePictures(images)


def _check_shards(first: int, last: int, num_shards: int, pictures: Pictures) -> None:
    if not 0 <= first < last <= num_shards:
        raise ValueError(
            f"`shard_range` must be within 0:{num_shards}, got {first}:{last}."
        )
    if num_shards > pictures.positions:
        raise ValueError(
            f"`shards` must be at most the {pictures.positions} pictures of "
            f"{pictures.where}, got {num_shards}."
        )


def _job(teacher: ModelFile, pictures: Pictures, score_floor: float) -> dict:
    """Returns what makes two labellings the same."""
    config = config_of(teacher)
    return {
        "teacher": teacher.prefix,
        "teacher_sha256": teacher.digest,
        "teacher_role": config.role,
        # Not of the whole config, whose paths change when a folder is moved.
        "task_sha256": task_digest(config),
        "source": pictures.where,
        "pictures_sha256": pictures.fingerprint[:12],
        "score_floor": score_floor,
    }


def _claim(folder: LabelFolder, hosts: hosts_lib.Hosts, *, resume: bool) -> None:
    """Claims the folder on every host, the chief first."""
    if hosts.is_chief:
        folder.open(resume=resume)
    hosts.meet("the labelling is begun")
    if not hosts.is_chief:
        folder.open(resume=True)


def _write_shards(
    labeler: Labeler,
    pictures: Pictures,
    folder: LabelFolder,
    todo: list[int],
    num_shards: int,
) -> None:
    """Writes the shards of this host, each with a stretch of the pictures."""
    bounds = [n * pictures.positions // num_shards for n in range(num_shards + 1)]
    share = sum(bounds[n + 1] - bounds[n] for n in todo) / pictures.positions
    total = round(pictures.count * share)
    with tqdm(total=total, desc="Label", unit="img", disable=not todo) as bar:
        for number in todo:
            stretch = bounds[number], bounds[number + 1]
            labeler.write_shard(folder, number, stretch, bar)


def _check_output(records: str, images: str, output: str) -> None:
    """Refuses to write over the records, or among the files that are listed again."""
    folder = pathlib.Path(output).resolve()
    if images:
        pictures = pathlib.Path(images).expanduser().resolve()
        if pictures.is_dir() and folder.is_relative_to(pictures):
            raise ValueError(
                f"`output` {output} is in {images}, the folder of the pictures to "
                "label; choose one beside it, or the labels would be taken for "
                "pictures."
            )
        return
    inputs = {pathlib.Path(path).parent for path in dataset_info.shard_paths(records)}
    if folder in {path.resolve() for path in inputs}:
        raise ValueError(
            f"`output` {output} is the folder of the records to label; choose another, "
            "or their labels would be replaced."
        )
