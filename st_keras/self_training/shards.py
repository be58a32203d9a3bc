"""A folder of pseudo labels that fills up shard by shard, from any number of hosts.

    labeling.json                   the job: teacher, pictures, settings; comes first
    records-00003-of-00256.tfrecord a finished shard
    records-00003-of-00256.json     what is in it; comes after it
    manifest.json                   comes last, when no shard is missing

A shard appears under its name only when it is complete on disk, so a kill at any moment
costs only the shards that were being written.
"""

import collections
import hashlib
import json
import pathlib
import time
import zlib
from collections.abc import Callable, Iterable

import tensorflow as tf

from st_keras import writing
from st_keras.data import dataset_info, records
from st_keras.data.dataset_info import Tally
from st_keras.data.skipping import SkipLog
from st_keras.runtime.checkpoints import ModelFile, find_model
from st_keras.runtime.run_log import read_json, write_json
from st_keras.tasks import Task

MANIFEST_FILE = "manifest.json"
SKIPPED_FILE = "skipped.txt"
_JOB_FILE = "labeling.json"
_BLOCK_BYTES = 2**20
# The paths of the pictures and the teacher may differ from host to host.
_MAY_DIFFER = ("teacher", "source")


class LabelFolder:
    """The folder of one labelling job."""

    def __init__(self, folder: str, job: dict, num_shards: int):
        self._folder = pathlib.Path(folder)
        # So that it equals what is read back from a file.
        self._job = json.loads(json.dumps(job | {"shards": num_shards}))

    def open(self, *, resume: bool) -> None:
        """Claims the folder for this job.

        Args:
          resume: Whether the job may already have begun.

        Raises:
          ValueError: It belongs to another job; shows what differs.
        """
        path = self._folder / _JOB_FILE
        if not path.exists():
            if any(self._folder.glob("*.tfrecord")):
                raise ValueError(
                    f"{self._folder}: holds records of something else; choose another "
                    "folder."
                )
            write_json(path, self._job)
            return
        if not resume:
            raise ValueError(
                f"{self._folder}: has been begun; go on with --resume, or choose "
                "another folder."
            )
        there = read_json(path)
        differing = [
            f"{name} {there.get(name)!r} there, {self._job.get(name)!r} here"
            # Not what only another version has written.
            for name in sorted(there.keys() & self._job.keys() - set(_MAY_DIFFER))
            if there.get(name) != self._job.get(name)
        ]
        if differing:
            raise ValueError(
                f"{self._folder}: holds pseudo labels of another job "
                f"({'; '.join(differing)}); choose another folder, or delete this one "
                "and what was trained on it."
            )

    @property
    def manifest(self) -> dict:
        """The manifest of a finished job; empty before."""
        path = self._folder / MANIFEST_FILE
        return read_json(path) if path.exists() else {}

    @property
    def missing(self) -> list[int]:
        """Numbers of the shards that are not finished."""
        return [n for n in range(self._job["shards"]) if not self._is_finished(n)]

    def write(
        self,
        number: int,
        labelled: Iterable[records.Record],
        skipped: SkipLog,
        *,
        views: Callable[[], int],
        devices: int,
    ) -> None:
        """Writes a shard, and then the report of what is in it.

        Args:
          number: From 0.
          labelled: The records; read to the end.
          skipped: What it holds at that point goes into the report.
          views: Returns how many views the model has seen; called before and after.
          devices: How many are at work.
        """
        views_before = views()
        started = time.time()
        path = self._shard(number)
        tally, pictures = Tally(), []
        with writing.replacing(path) as temporary:
            with tf.io.TFRecordWriter(str(temporary)) as writer:
                for record in labelled:
                    example = records.to_example(record)
                    writer.write(example.SerializeToString(deterministic=True))
                    tally.add(record)
                    pictures.append((record.image_id, records.digest(record)))
            size, crc32, sha256 = _checksums(temporary)
        report = {
            "pictures": len(pictures),
            "bytes": size,
            "crc32": crc32,
            "sha256": sha256,
            "seconds": round(time.time() - started, 1),
            "devices": devices,
            "views": views() - views_before,
            "skipped": skipped.lines,
            "counts": tally.counts(),
            "images": pictures,
        }
        write_json(self._report(number), report)

    def finish(self, task: Task) -> dict:
        """Writes the files that describe the whole folder; returns the manifest.

        Args:
          task: The teacher's, for its classes and protocol.

        Raises:
          ValueError: No picture could be labelled.
        """
        tally, skipped, shards = Tally(), SkipLog(), []
        content, work = hashlib.sha256(), collections.Counter()
        with (
            writing.replacing(self._folder / records.IMAGES_FILE) as listing,
            listing.open("w", encoding="utf-8") as file,
        ):
            for number in range(self._job["shards"]):
                report = read_json(self._report(number))
                tally.add_counts(report["counts"])
                for line in report["skipped"]:
                    skipped.add_line(line)
                for image_id, digest in report["images"]:
                    file.write(f"{image_id}\t{digest}\n")
                content.update(report["sha256"].encode())
                work["views"] += report["views"]
                work["seconds"] += report["seconds"]
                work["device_seconds"] += report["seconds"] * report["devices"]
                row = {key: report[key] for key in ("pictures", "bytes", "crc32")}
                shards.append({"file": self._shard(number).name} | row)
        skipped.write(self._folder / SKIPPED_FILE)
        info = tally.info(
            source=f"teacher {self._job['teacher_sha256']}",
            **{"class_names": (), task.names_field: task.names_in_records},
            skipped=skipped.counts,
            content_sha256=content.hexdigest(),
            shards=[shard["file"] for shard in shards],
        )
        if not info.images:
            raise ValueError(
                f"{self._folder}: no picture could be labelled, the first because of: "
                f"{skipped.first}"
            )
        dataset_info.save(info, self._folder)
        manifest = self._job | {
            "pictures": info.images,
            "boxes": info.boxes,
            "skipped": info.skipped,
            "protocol": task.protocol,
            "content_sha256": info.content_sha256,
            "views": work["views"],
            "seconds": round(work["seconds"], 1),
            "device_seconds": round(work["device_seconds"], 1),
            "files": shards,
        }
        write_json(self._folder / MANIFEST_FILE, manifest)
        writing.remove_abandoned(self._folder, "records-*.tmp")
        return manifest

    def _is_finished(self, number: int) -> bool:
        shard, report = self._shard(number), self._report(number)
        if not report.exists():
            return False
        size = read_json(report)["bytes"]
        there = shard.stat().st_size if shard.exists() else 0
        if there != size:
            raise ValueError(
                f"{shard}: has {there:,} bytes and was written with {size:,}; delete "
                f"{report.name} to label its pictures again."
            )
        return True

    def _shard(self, number: int) -> pathlib.Path:
        count = self._job["shards"]
        return self._folder / f"records-{number:05d}-of-{count:05d}.tfrecord"

    def _report(self, number: int) -> pathlib.Path:
        return self._shard(number).with_suffix(".json")


def read_manifest(folder: str) -> dict:
    """Returns the manifest of a folder of pseudo labels.

    Raises:
      ValueError: There is none: the labelling is not finished, or its files were moved.
    """
    path = pathlib.Path(folder, MANIFEST_FILE)
    try:
        return read_json(path)
    except FileNotFoundError:
        raise ValueError(
            f"{path}: missing; tools/pseudo_label.py writes it when all is labelled."
        ) from None


def find_teacher(manifest: dict, moved_to: str, *, flag: str) -> ModelFile:
    """Returns the model that wrote pseudo labels.

    Args:
      manifest: Of the pseudo labels.
      moved_to: Its workdir or checkpoint prefix; empty: where it was when it labelled.
      flag: The option that says where it is, for the message.

    Raises:
      ValueError: There is no model, or another one.
    """
    where = moved_to or manifest["teacher"]
    file = find_model(where)
    if file.digest != manifest["teacher_sha256"]:
        raise ValueError(
            f"`{where}` is checkpoint {file.digest}, but the labels are by "
            f"{manifest['teacher_sha256']}; name that one with {flag}, or let this one "
            "label the pictures."
        )
    return file


def _checksums(path: pathlib.Path) -> tuple[int, str, str]:
    """Returns the size, CRC-32 and SHA-256 of a file."""
    size, crc32, sha256 = 0, 0, hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            size += len(block)
            crc32 = zlib.crc32(block, crc32)
            sha256.update(block)
    return size, f"{crc32:08x}", sha256.hexdigest()
