"""Pictures for a teacher to label, each at a fixed position of one order."""

import abc
import functools
import hashlib
import os
import pathlib
from collections.abc import Iterator

import tensorflow as tf

from st_keras.data import dataset_info, decode, images, pipeline, records, threads
from st_keras.data.skipping import Reason, SkipLog, SkipPicture
from st_keras.data.sources import source
from st_keras.data.untuned import untuned


class Pictures(abc.ABC):
    """An ordered collection of which any stretch can be read by itself."""

    positions: int  # How many there are to choose from.
    count: int  # How many are chosen, at most one per position.
    where: str  # The files or folder, as the user named them.
    fingerprint: str  # Hex digest; another one means other pictures.

    @abc.abstractmethod
    def read(
        self, start: int, stop: int, skipped: SkipLog, *, check: bool = False
    ) -> Iterator[records.Record]:
        """Yields the chosen pictures of some positions, without labels.

        Args:
          start: First position.
          stop: The one after the last.
          skipped: Gets the pictures that cannot be read.
          check: Opens every picture first, and skips what TensorFlow cannot decode.

        Raises:
          ValueError: A file is damaged or has changed.
        """


class RecordPictures(Pictures):
    """The pictures of TFRecords, file after file."""

    def __init__(self, where: str, ids: list[str] | None = None):
        """Counts the records of every file, reading only their lengths.

        Args:
          where: Glob of TFRecords with a dataset.json beside them.
          ids: Image ids to choose; None chooses all.

        Raises:
          ValueError: Files are missing or damaged, or ids are unknown.
        """
        chosen = pipeline.open_source(where, ids, cache_mb=0)
        self.where = where
        self.count = chosen.count
        self._ids = set(chosen.ids)
        self._lengths = [(path, records.count_records(path)) for path in chosen.paths]
        self.positions = sum(length for _, length in self._lengths)
        info = dataset_info.load(where)
        pipeline.check_count(where, self.positions, info.images)
        self.fingerprint = _digest([info.content_sha256, *sorted(self._ids)])

    def read(self, start, stop, skipped, *, check=False):
        offset = 0
        for path, length in self._lengths:
            first, last = max(start - offset, 0), min(stop - offset, length)
            if first < last:
                yield from self._read_file(path, first, last, skipped, check)
            offset += length

    def _read_file(self, path, first, last, skipped, check):
        whole = untuned(tf.data.TFRecordDataset(os.path.abspath(path)))
        stretch = whole.skip(first).take(last - first)
        try:
            for serialized in stretch.as_numpy_iterator():
                picture = _picture(serialized)
                if self._ids and picture.image_id not in self._ids:
                    continue
                if check and (problem := decode.decoding_problem(picture.encoded)):
                    skipped.add(picture.image_id, Reason.UNREADABLE_FILE, problem)
                    continue
                yield picture
        except tf.errors.DataLossError as error:
            raise ValueError(f"{path}: damaged: {error.message}.") from None


class FilePictures(Pictures):
    """Picture files: those of a folder and its sub-folders, or of a list."""

    def __init__(self, where: str):
        """Lists the files and opens none.

        Args:
          where: A folder, of which files with other extensions than those of pictures
            are skipped, or a text file with the path of a picture per line, relative to
            its own folder. An image id is the path without extension.

        Raises:
          ValueError: There is no such folder or list, or nothing in it.
        """
        path = pathlib.Path(where).expanduser()
        if path.is_dir():
            root, files = path, source.files_below(path)
        elif path.is_file():
            root = path.parent
            try:
                lines = path.read_text(encoding="utf-8-sig").split("\n")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{where}: not a list of pictures in UTF-8 ({error}); for one "
                    "picture, name its folder."
                ) from None
            files = [root / line.strip() for line in lines if line.strip()]
        else:
            raise ValueError(f"`images` must be a folder or a list file, got {where}.")
        if not files:
            raise ValueError(f"{where}: no picture in it.")
        self.where = where
        self._files = files = source.mixed(files)
        self._are_listed = path.is_file()
        self._ids = source.image_ids(files, root)
        repeated = len(files) - len(set(self._ids))
        if repeated:
            raise ValueError(
                f"{where}: {repeated} of {len(files)} files are twice in it."
            )
        self.positions = self.count = len(files)
        self.fingerprint = _digest(
            f"{image_id}\t{_size(file)}"
            for image_id, file in zip(self._ids, files, strict=True)
        )

    def read(self, start, stop, skipped, *, check=False):
        stretch = slice(start, stop)
        files = self._files[stretch]
        opened = threads.in_order(
            functools.partial(_open, check=check, of_any_name=self._are_listed), files
        )
        for file, image_id, picture in zip(
            files, self._ids[stretch], opened, strict=True
        ):
            if isinstance(picture, SkipPicture):
                skipped.add(image_id, picture.reason, picture.detail)
                continue
            yield records.Record(
                image_id=image_id,
                encoded=picture.encoded,
                format=picture.format,
                filename=source.storable(file.name),
                height_px=picture.height_px,
                width_px=picture.width_px,
                file_sha256=picture.file_sha256,
            )


def _open(
    file: pathlib.Path, *, check: bool, of_any_name: bool
) -> images.Picture | SkipPicture:
    """Returns a picture, or why there is none. Called from several threads."""
    if not of_any_name and not source.is_picture_name(file):
        # Not opened: a film would be read into memory whole.
        return SkipPicture(Reason.UNKNOWN_EXTENSION, file.suffix or "none")
    try:
        picture = images.read_picture(file)
    except SkipPicture as skip:
        return skip
    if check and (problem := decode.decoding_problem(picture.encoded)):
        return SkipPicture(Reason.UNREADABLE_FILE, problem)
    return picture


def _picture(serialized: bytes) -> records.Record:
    features = tf.train.Example.FromString(serialized).features.feature
    (encoded,) = features[records.ENCODED].bytes_list.value
    return records.Record(
        image_id=_text(features, records.IMAGE_ID),
        encoded=encoded,
        format=_text(features, records.FORMAT),
        filename=_text(features, records.FILENAME),
        height_px=features[records.HEIGHT].int64_list.value[0],
        width_px=features[records.WIDTH].int64_list.value[0],
        file_sha256=_text(features, records.FILE_SHA256),
    )


def _text(features, name: str) -> str:
    values = features[name].bytes_list.value
    return values[0].decode() if values else ""


def _size(file: pathlib.Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return -1  # It will be skipped, with its reason.


def _digest(texts) -> str:
    content = hashlib.sha256()
    for text in texts:
        content.update(text.encode("utf-8", "surrogateescape") + b"\n")
    return content.hexdigest()
