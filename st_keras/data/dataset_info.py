"""dataset.json: what a folder of records holds, written beside the shards."""

import collections
import dataclasses
import glob
import io
import json
import os
import pathlib

import numpy as np
from PIL import Image

from st_keras import writing
from st_keras.data import path_globs
from st_keras.data.records import IMAGES_FILE
from st_keras.types import IGNORED

FILE_NAME = "dataset.json"
_PERCENTILES = (0, 5, 50, 95, 100)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """The numbers a trainer or a reader wants before opening a shard."""

    source: str  # `coco`, `voc`, ...; for pseudo labels, which teacher.
    class_names: tuple[str, ...]  # Label 1 first; empty for unlabelled pictures.
    images: int
    boxes: int
    images_without_boxes: int
    boxes_per_class: dict[str, int]
    boxes_per_image: dict[str, float]  # mean and percentiles: `p0`, ..., `p100`.
    height_px: dict[str, float]
    width_px: dict[str, float]
    skipped: dict[str, int]  # Reason to count; skipped.txt lists each one.
    label_map_names: tuple[str, ...] = ()  # Value 0 first.
    pixels_per_class: dict[str, int] = dataclasses.field(default_factory=dict)
    ignored_pixels: int = 0  # Of the label maps; they are not in `pixels_per_class`.
    image_class_names: tuple[str, ...] = ()  # Of whole pictures, label 1 first.
    images_per_class: dict[str, int] = dataclasses.field(default_factory=dict)
    content_sha256: str
    shards: tuple[str, ...]

    @property
    def max_boxes_per_image(self) -> int:
        """The most boxes any picture has."""
        return int(self.boxes_per_image["p100"])


class Tally:
    """Counts, while records are written, what DatasetInfo will say.

    Its memory does not grow with the pictures, and tallies of parts add up.
    """

    def __init__(self):
        self._heights: collections.Counter[int] = collections.Counter()
        self._widths: collections.Counter[int] = collections.Counter()
        self._boxes: collections.Counter[int] = collections.Counter()  # Per picture.
        self._labels: collections.Counter[int] = collections.Counter()
        self._pixels: collections.Counter[int] = collections.Counter()  # By value.
        # Of whole pictures, by label.
        self._classes: collections.Counter[int] = collections.Counter()

    def add(self, record) -> None:
        """Counts one `records.Record`."""
        self._heights[record.height_px] += 1
        self._widths[record.width_px] += 1
        self._boxes[len(record.labels)] += 1
        self._labels.update(int(label) for label in record.labels)
        if record.class_label is not None:
            self._classes[int(record.class_label)] += 1
        if record.label_map_png is not None:
            label_map = np.asarray(Image.open(io.BytesIO(record.label_map_png)))
            counts = np.bincount(label_map.ravel(), minlength=IGNORED + 1)
            found = np.flatnonzero(counts)
            self._pixels.update({int(value): int(counts[value]) for value in found})

    def counts(self) -> dict[str, list]:
        """Returns everything counted, as JSON can hold it."""
        return {
            name.lstrip("_"): sorted(counter.items())
            for name, counter in vars(self).items()
        }

    def add_counts(self, counts: dict[str, list]) -> None:
        """Adds what another tally has counted."""
        for name, counter in vars(self).items():
            # Absent from the counts of an earlier version.
            counter.update(dict(counts.get(name.lstrip("_"), ())))

    def info(
        self,
        *,
        source: str,
        class_names: tuple[str, ...] = (),
        skipped: dict[str, int],
        content_sha256: str,
        shards: list[str],
        label_map_names: tuple[str, ...] = (),
        image_class_names: tuple[str, ...] = (),
    ) -> DatasetInfo:
        """Returns the summary of everything added."""
        return DatasetInfo(
            source=source,
            class_names=tuple(class_names),
            images=self._boxes.total(),
            boxes=self._labels.total(),
            images_without_boxes=self._boxes[0],
            boxes_per_class={
                name: self._labels[label]
                for label, name in enumerate(class_names, start=1)
            },
            boxes_per_image=_distribution(self._boxes),
            height_px=_distribution(self._heights),
            width_px=_distribution(self._widths),
            skipped=dict(skipped),
            label_map_names=tuple(label_map_names),
            pixels_per_class={
                name: self._pixels[value] for value, name in enumerate(label_map_names)
            },
            ignored_pixels=self._pixels[IGNORED],
            image_class_names=tuple(image_class_names),
            images_per_class={
                name: self._classes[label]
                for label, name in enumerate(image_class_names, start=1)
            },
            content_sha256=content_sha256,
            shards=tuple(shards),
        )


def save(info: DatasetInfo, folder: str | os.PathLike) -> None:
    """Writes dataset.json; its presence says that the folder is complete."""
    path = pathlib.Path(folder) / FILE_NAME
    writing.write_text(path, json.dumps(dataclasses.asdict(info), indent=1) + "\n")


def load(records: str) -> DatasetInfo:
    """Returns the dataset.json beside the shards of a glob.

    Args:
      records: Glob such as `data/voc/train/*.tfrecord`.

    Raises:
      ValueError: No shard matches, or there is no readable dataset.json beside them.
    """
    folder = pathlib.Path(shard_paths(records)[0]).parent
    path = folder / FILE_NAME
    try:
        fields = json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(
            f"{path}: missing; records made by tools/make_records.py have one. If the "
            "conversion was interrupted, run it again."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON: {error}.") from None
    try:
        info = DatasetInfo(**fields)
    except TypeError as error:
        raise ValueError(f"{path}: written by another version: {error}.") from None
    return dataclasses.replace(
        info,
        class_names=tuple(info.class_names),
        label_map_names=tuple(info.label_map_names),
        image_class_names=tuple(info.image_class_names),
        shards=tuple(info.shards),
    )


def shards_of(folder: str | os.PathLike) -> str:
    """Returns the glob of the records in a folder, whatever characters its name has."""
    return os.path.join(glob.escape(os.fspath(folder).rstrip("/")), "*.tfrecord")


def shard_paths(records: str) -> list[str]:
    """Returns the files of a glob, sorted.

    Raises:
      ValueError: No file matches, or files of several folders do.
    """
    paths = path_globs.paths(records)
    if not paths:
        raise ValueError(
            f"`{records}`: no such file. Records are made by tools/make_records.py; "
            "quote the glob in a shell."
        )
    folders = sorted({os.path.dirname(path) for path in paths})
    if len(folders) > 1:
        raise ValueError(
            f"`{records}` must match the shards of one conversion, got those in "
            f"{', '.join(folders[:3])}; name one of these folders."
        )
    if any(map(os.path.isdir, paths)):
        raise ValueError(
            f"`{records}` must match record files, got a folder; write "
            f"'{records.rstrip('/')}/*.tfrecord'."
        )
    return paths


def picture_digests(records: str) -> dict[str, str]:
    """Returns the digest of each picture's file by image id, from images.tsv.

    Raises:
      ValueError: There is none beside the shards.
    """
    path = pathlib.Path(shard_paths(records)[0]).parent / IMAGES_FILE
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise ValueError(
            f"{path}: missing; records made by tools/make_records.py have one."
        ) from None
    # Only a line feed ends a line here; `splitlines` knows ten more characters.
    return dict(line.split("\t") for line in lines if line)


def _distribution(counts: collections.Counter[int]) -> dict[str, float]:
    if not counts:
        return {"mean": 0.0} | {f"p{p}": 0.0 for p in _PERCENTILES}
    values = np.repeat(sorted(counts), [counts[value] for value in sorted(counts)])
    percentiles = {
        f"p{p}": float(np.percentile(values, p, method="nearest")) for p in _PERCENTILES
    }
    return {"mean": round(float(np.mean(values)), 2)} | percentiles
