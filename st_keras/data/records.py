"""The file format: one tf.train.Example per picture, and the shards that hold them.

Feature keys are those tf-models-official reads; ours come last. Labels of boxes and of
whole pictures start at 1 (0 is background there, as in COCO and PASCAL); the values of
a label map are class ids from 0. Boxes are shares of the picture's height and width.
"""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
import resource
import struct

import numpy as np
import tensorflow as tf

from st_keras import writing

IMAGE_ID = "image/source_id"
ENCODED = "image/encoded"
FORMAT = "image/format"
FILENAME = "image/filename"
HEIGHT = "image/height"
WIDTH = "image/width"
YMIN = "image/object/bbox/ymin"
XMIN = "image/object/bbox/xmin"
YMAX = "image/object/bbox/ymax"
XMAX = "image/object/bbox/xmax"
LABEL = "image/object/class/label"
LABEL_TEXT = "image/object/class/text"
AREA = "image/object/area"
IS_CROWD = "image/object/is_crowd"
LABEL_MAP = "image/segmentation/class/encoded"
CLASS = "image/class/label"
FILE_SHA256 = "image/key/sha256"
# Ours, absent from records that other tools wrote.
SCORE = "image/object/score"
SOURCE = "image/label_source"
CONFIDENCE = "image/segmentation/confidence/encoded"
CLASS_SCORE = "image/class/score"

HUMAN = "human"

PICTURES_PER_SHARD = 500  # If the number of files is not given.
_DIGEST_DIGITS = 16
_OTHER_FILES = 256  # Most files that a process has open besides shards.
_LENGTH_BYTES, _CHECKSUM_BYTES = 8, 4  # Of a record in a TFRecord file.
IMAGES_FILE = "images.tsv"  # Beside the shards, a line per picture: id, tab, digest.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """One picture and its labels, as they are stored.

    Arrays have one row per box, and none where they are not given.
    """

    image_id: str  # Unique in the data set.
    encoded: bytes  # JPEG or PNG, 8 bits, grey or RGB, upright.
    format: str  # `jpeg` or `png`.
    filename: str
    height_px: int
    width_px: int
    boxes_yxyx: np.ndarray = dataclasses.field(  # [N, 4] float32, pixels.
        default_factory=lambda: np.zeros([0, 4], np.float32)
    )
    labels: np.ndarray = dataclasses.field(  # [N] int64, from 1.
        default_factory=lambda: np.zeros([0], np.int64)
    )
    texts: tuple[str, ...] = ()  # Class names, N of them or none.
    is_crowd: np.ndarray | None = None  # [N] bool.
    scores: np.ndarray | None = None  # [N] float32; None: a human drew them.
    source: str = HUMAN  # Or which teacher drew the boxes.
    label_map_png: bytes | None = None  # One channel of labels; 255 is ignored.
    confidence_png: bytes | None = None  # One channel, in 1/255; None: as `scores`.
    class_label: int | None = None  # Of the whole picture, from 1; None: not known.
    class_score: float | None = None  # None: a human said it.
    # Hex digest of the picture's file, if `encoded` is not its content.
    file_sha256: str = ""


def to_example(record: Record) -> tf.train.Example:
    """Returns the record as the protocol buffer that goes into a shard."""
    count = len(record.labels)
    boxes = np.asarray(record.boxes_yxyx, np.float64).reshape([count, 4])
    sides = [record.height_px, record.width_px] * 2
    shares = (boxes / sides).astype(np.float32)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    is_crowd = np.zeros(count) if record.is_crowd is None else record.is_crowd
    features = {
        IMAGE_ID: _bytes([record.image_id.encode()]),
        ENCODED: _bytes([record.encoded]),
        FORMAT: _bytes([record.format.encode()]),
        FILENAME: _bytes([record.filename.encode()]),
        HEIGHT: _ints([record.height_px]),
        WIDTH: _ints([record.width_px]),
        YMIN: _floats(shares[:, 0]),
        XMIN: _floats(shares[:, 1]),
        YMAX: _floats(shares[:, 2]),
        XMAX: _floats(shares[:, 3]),
        LABEL: _ints(record.labels),
        LABEL_TEXT: _bytes([text.encode() for text in record.texts]),
        AREA: _floats(areas),
        IS_CROWD: _ints(np.asarray(is_crowd, np.int64)),
        SOURCE: _bytes([record.source.encode()]),
    }
    if record.scores is not None:
        features[SCORE] = _floats(record.scores)
    if record.label_map_png is not None:
        features[LABEL_MAP] = _bytes([record.label_map_png])
    if record.confidence_png is not None:
        features[CONFIDENCE] = _bytes([record.confidence_png])
    if record.class_label is not None:
        features[CLASS] = _ints([record.class_label])
        if record.class_score is not None:
            features[CLASS_SCORE] = _floats([record.class_score])
    if record.file_sha256:
        features[FILE_SHA256] = _bytes([record.file_sha256.encode()])
    return tf.train.Example(features=tf.train.Features(feature=features))


def without_labels(record: Record) -> Record:
    """Returns the picture of a record as one that nobody has labelled."""
    return Record(
        image_id=record.image_id,
        encoded=record.encoded,
        format=record.format,
        filename=record.filename,
        height_px=record.height_px,
        width_px=record.width_px,
        source=record.source,
        file_sha256=record.file_sha256,
    )


def digest(record: Record) -> str:
    """Returns what identifies a picture: 16 hex digits of its file's SHA-256.

    A file that was shrunk or turned upright is the same picture as one that was not.
    """
    whole = record.file_sha256 or hashlib.sha256(record.encoded).hexdigest()
    return whole[:_DIGEST_DIGITS]


class ShardWriter:
    """Writes records in turn to `num_shards` files that appear only when complete.

    Used as a context manager: files are temporary inside it and get their names when it
    is left without an error. images.tsv comes with them: its digests identify a picture
    that two sets share, under any name and at any size.
    """

    def __init__(self, folder: str, num_shards: int, name: str = "records"):
        if num_shards < 1:
            raise ValueError(f"`num_shards` must be 1 or more, got {num_shards}.")
        self._folder = pathlib.Path(folder)
        self._paths = [
            self._folder / f"{name}-{shard:05d}-of-{num_shards:05d}.tfrecord"
            for shard in range(num_shards)
        ]
        self._hash = hashlib.sha256()
        self._count = 0
        self._images: list[str] = []
        self._writers: list[tf.io.TFRecordWriter] = []
        self._files = contextlib.ExitStack()

    def __enter__(self) -> "ShardWriter":
        _allow_open_files(len(self._paths))
        # Left in the opposite order: all writers flush before any file gets its name.
        enter = self._files.enter_context
        temporaries = [enter(writing.replacing(path)) for path in self._paths]
        self._writers = [enter(tf.io.TFRecordWriter(str(t))) for t in temporaries]
        return self

    def write(self, record: Record) -> str:
        """Appends one record to the next shard; returns the digest of its picture."""
        serialized = to_example(record).SerializeToString(deterministic=True)
        self._hash.update(serialized)
        self._writers[self._count % len(self._writers)].write(serialized)
        self._count += 1
        of_picture = digest(record)
        self._images.append(f"{record.image_id}\t{of_picture}\n")
        return of_picture

    def __exit__(self, error_type, error, traceback) -> None:
        self._files.__exit__(error_type, error, traceback)
        if error_type is None:
            writing.write_text(self._folder / IMAGES_FILE, "".join(self._images))

    @property
    def content_sha256(self) -> str:
        """Hex digest of every record in the order it was written."""
        return self._hash.hexdigest()

    @property
    def shards(self) -> list[str]:
        """File names without folder."""
        return [path.name for path in self._paths]


def _allow_open_files(count: int) -> None:
    """Raises the soft limit of open files, which is 1024 on many machines.

    Raises:
      ValueError: The hard limit is too low.
    """
    needed = count + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ValueError(
            f"`num_shards` is {count}, but this machine allows {hard} open files; use "
            "fewer shards, or raise the limit (`ulimit -n`)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def count_records(path: str) -> int:
    """Returns how many records a TFRecord file has, reading only their lengths.

    Raises:
      ValueError: The file ends within a record.
    """
    size, position, count = os.path.getsize(path), 0, 0
    with open(path, "rb") as file:
        while position < size:
            file.seek(position)
            header = file.read(_LENGTH_BYTES)
            if len(header) == _LENGTH_BYTES:
                (length,) = struct.unpack("<Q", header)
                position += _LENGTH_BYTES + length + 2 * _CHECKSUM_BYTES
            if len(header) < _LENGTH_BYTES or position > size:
                raise ValueError(
                    f"{path}: cut off after {count} records; copy or make it again."
                )
            count += 1
    return count


def _bytes(values) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _ints(values) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
