"""Turns a data set of any kind into record shards, in one pass."""

import itertools
import math
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tqdm

from st_keras.data import (
    box_checks,
    copies,
    dataset_info,
    decode,
    images,
    mask_checks,
    records,
    splits,
    threads,
)
from st_keras.data.dataset_info import DatasetInfo
from st_keras.data.skipping import KEPT, Reason, SkipLog, SkipPicture
from st_keras.data.sources.source import (
    Item,
    Scene,
    Source,
    check_class_names,
    storable,
)

SKIPPED_FILE = "skipped.txt"
_LARGEST_SHARE = 1.01  # With rounding.
_SHARDS = "records-*-of-*.tfrecord"


def convert(
    source: Source,
    output: str,
    *,
    split_names: Sequence[str] = (),
    num_shards: int = 0,
    max_side_px: int = 0,
    strict: bool = False,
    overwrite: bool = False,
) -> dict[str, DatasetInfo]:
    """Writes `output`/<split>/ with shards, dataset.json and skipped.txt.

    Prints a summary of each split. A folder that already has records does not change
    until its replacement is complete.

    Args:
      source: Where the pictures and labels come from.
      output: Folder; made if needed.
      split_names: Which splits; empty means `source.splits`.
      num_shards: Per split; 0 means one per 500 pictures.
      max_side_px: Larger pictures are shrunk to it with their labels; 0 never does.
      strict: Anything skipped is an error.
      overwrite: Replace records that are there.

    Returns:
      What each split holds.

    Raises:
      ValueError: A split is unknown, has no usable picture or is there already; or
        something was skipped and `strict` is set.
      OSError: The output cannot be written.
    """
    for name, value in (("num_shards", num_shards), ("max_side_px", max_side_px)):
        if value < 0:
            raise ValueError(f"`{name}` must be 0 or more, got {value}.")
    kinds = (source.class_names, source.label_map_names, source.image_class_names)
    check_class_names(itertools.chain(*kinds), f"`--source {source.name}`")
    chosen = tuple(dict.fromkeys(split_names)) or source.splits
    items = {split: source.items(split) for split in chosen}
    folders = {split: pathlib.Path(output).expanduser() / split for split in chosen}
    filled = [split for split in chosen if _pictures(items[split])]
    for split in chosen:
        if split not in filled:
            fix = f" Leave it away: --splits {','.join(filled)}." if filled else ""
            raise ValueError(f"`{split}`: the source has no picture in it.{fix}")
        _check_folder(folders[split], overwrite)
    infos = {}
    for split in chosen:
        count = _pictures(items[split])
        shards = min(num_shards or math.ceil(count / records.PICTURES_PER_SHARD), count)
        conversion = _Conversion(source, split, max_side_px, SkipLog(strict))
        infos[split] = conversion.run(items[split], folders[split], shards)
        print(_summary(folders[split], infos[split]))
        if note := conversion.copies.note():
            print(f"  {note}")
    return infos


class _Found(NamedTuple):
    """One picture with what is in it, or why it cannot be used."""

    item: Item
    scene: Scene | None  # None: its annotations cannot be read.
    picture: images.Picture | None = None
    boxes: Sequence[box_checks.Checked] = ()  # Of `scene.boxes`, one by one.
    mask: mask_checks.Checked | None = None
    skip: SkipPicture | None = None


class _Conversion:
    """The pass over one split."""

    def __init__(self, source: Source, split: str, max_side_px: int, log: SkipLog):
        self._source = source
        self._split = split
        self._max_side_px = max_side_px
        self._log = log
        self.copies = copies.Copies()
        self._tally = dataset_info.Tally()
        self._labels_by_id: dict[str, set[int]] = {}
        self._files: set[pathlib.Path | bytes] = set()
        # Boxes and shapes of pictures that can be used, and of none.
        self._objects_told = self._objects_kept = 0
        self._farthest_end_px = 0.0  # Of boxes whose source tells pixels.

    def run(
        self, items: list[Item], folder: pathlib.Path, num_shards: int
    ) -> DatasetInfo:
        """Writes one folder; dataset.json comes last and says that it is complete."""
        writer = records.ShardWriter(str(folder), num_shards)
        try:
            with writer:
                # `disable=None`: no bar where stderr is not a terminal.
                bar = tqdm.tqdm(items, self._split, unit="picture", disable=None)
                for found in threads.in_order(self._read, bar):
                    record = self._record(found)
                    if record is not None:
                        self.copies.add(record, writer.write(record))
                        self._tally.add(record)
                self._check_any_written(_pictures(items), folder)
                self._check_any_object(folder)
                self._check_in_pixels()
                (folder / dataset_info.FILE_NAME).unlink(missing_ok=True)
        except tf.errors.OpError as error:
            raise OSError(f"{folder}: cannot be written: {error.message}") from None
        for stale in set(folder.glob(_SHARDS)) - {folder / s for s in writer.shards}:
            stale.unlink()
        for begun in folder.glob(f"{_SHARDS}.*.tmp"):  # By a run that was killed.
            begun.unlink()
        self._log.write(folder / SKIPPED_FILE)
        self._write_id_files(folder)
        info = self._tally.info(
            source=self._source.name,
            class_names=self._source.class_names,
            skipped=self._log.counts,
            content_sha256=writer.content_sha256,
            shards=writer.shards,
            label_map_names=self._source.label_map_names,
            image_class_names=self._source.image_class_names,
        )
        dataset_info.save(info, folder)
        return info

    def _read(self, item: Item) -> _Found:
        """Reads and checks one picture by itself. Called from several threads."""
        scene = None
        try:
            scene = item.read()
            picture = images.read_picture(scene.picture, self._max_side_px)
            if problem := decode.decoding_problem(picture.encoded):
                raise SkipPicture(Reason.UNREADABLE_FILE, problem)
            boxes = [box_checks.check_box(b, scene, picture) for b in scene.boxes]
            # Once more, for pictures without boxes.
            turns = box_checks.needs_turn(scene, picture)
            mask = self._checked_map(scene, picture, turns)
        except SkipPicture as skip:
            return _Found(item, scene, skip=skip)
        return _Found(item, scene, picture, boxes, mask)

    def _record(self, found: _Found) -> records.Record | None:
        """Logs one picture, in the order of the source; None if it is skipped."""
        item, scene, picture, checked, mask, skip = found
        problem = (scene and self._seen_before(item, scene)) or skip
        if problem:
            # What is of no picture, as if ids were written in two ways.
            self._objects_told += problem.reason is Reason.UNKNOWN_IMAGE
            self._log.add(item.image_id, problem.reason, problem.detail)
            return None
        for index, (box, result) in enumerate(zip(scene.boxes, checked, strict=True)):
            for reason in result.reasons:
                self._log.add(item.image_id, reason, box.told, index)
        for problem in scene.problems:
            self._log.add(item.image_id, problem.reason, problem.told, problem.index)
        if mask is not None and not mask.labeled_pixels:
            detail = f"none of {mask.label_map.size} pixels"
            self._log.add(item.image_id, Reason.NOTHING_LABELED, detail)
        kept = [
            (box, result.box_yxyx)
            for box, result in zip(scene.boxes, checked, strict=True)
            if result.box_yxyx is not None
        ]
        unread = sum(problem.reason not in KEPT for problem in scene.problems)
        self._objects_told += len(scene.boxes) + scene.shapes + unread
        self._objects_kept += len(kept) + scene.shapes
        if not scene.boxes_are_shares:
            ends = [max(box.box_yxyx) for box, _ in kept]
            self._farthest_end_px = max([self._farthest_end_px, *ends])
        self._files.add(scene.picture)
        self._labels_by_id[item.image_id] = {box.label for box, _ in kept}
        return self._assemble(item, scene, picture, kept, mask)

    def _checked_map(
        self, scene: Scene, picture: images.Picture, turns: bool
    ) -> mask_checks.Checked | None:
        label_map = scene.label_map
        if label_map is None:
            return None
        # Not a mask that is upright beside a JSON that states the size of the file.
        if turns and label_map.shape == scene.stated_size_px:
            label_map = mask_checks.turn_upright(label_map, picture.orientation)
        num_classes = len(self._source.label_map_names)
        return mask_checks.check_label_map(label_map, picture, num_classes)

    def _assemble(self, item, scene, picture, kept, mask) -> records.Record:
        size_px = (picture.height_px, picture.width_px)
        from_file = isinstance(scene.picture, pathlib.Path)
        name = scene.picture.name if from_file else f"{item.image_id}.png"
        scale_yxyx = np.tile(np.divide(size_px, picture.upright_size_px), 2)
        boxes = np.array([edges for _, edges in kept], np.float64).reshape([-1, 4])
        labels = [box.label for box, _ in kept]
        return records.Record(
            image_id=item.image_id,
            encoded=picture.encoded,
            format=picture.format,
            filename=storable(name),
            height_px=picture.height_px,
            width_px=picture.width_px,
            boxes_yxyx=(boxes * scale_yxyx).astype(np.float32),
            labels=np.array(labels, np.int64),
            texts=tuple(self._source.class_names[label - 1] for label in labels),
            is_crowd=np.array([box.is_crowd for box, _ in kept], bool),
            label_map_png=None if mask is None else images.encode_png(mask.label_map),
            class_label=scene.image_class,
            file_sha256=picture.file_sha256,
        )

    def _seen_before(self, item: Item, scene: Scene) -> SkipPicture | None:
        if item.image_id in self._labels_by_id:
            return SkipPicture(Reason.DUPLICATE_IMAGE_ID, "listed before")
        if scene.picture in self._files:
            return SkipPicture(Reason.DUPLICATE_FILE, f"{scene.picture}: used before")
        return None

    def _check_any_written(self, count: int, folder: pathlib.Path) -> None:
        if self._labels_by_id:
            return
        raise ValueError(
            f"`{self._split}`: none of its {count} pictures can be used, the first "
            f"because of: {self._log.first}.{self._listed(folder)}"
        )

    def _check_any_object(self, folder: pathlib.Path) -> None:
        """Refuses a split that would be trained on as if nothing were in it."""
        if self._objects_told and not self._objects_kept:
            kind = "boxes" if self._source.class_names else "shapes"
            raise ValueError(
                f"`{self._split}`: none of its {self._objects_told} {kind} can be used "
                f"({_counted(self._log.counts)}), the first because of: "
                f"{self._log.first}.{self._listed(folder)}"
            )

    def _check_in_pixels(self) -> None:
        """Refuses shares in place of pixels: each would be a box in one corner."""
        if 0 < self._farthest_end_px <= _LARGEST_SHARE:
            raise ValueError(
                f"`{self._split}`: boxes must be in pixels, but none ends farther than "
                f"{self._farthest_end_px:.3g} from the upper left corner, as if they "
                "were shares of the picture. Multiply x and width by its width, y and "
                "height by its height."
            )

    def _listed(self, folder: pathlib.Path) -> str:
        """Writes what was left out, unless complete records are there; says where."""
        if (folder / dataset_info.FILE_NAME).exists():
            return ""
        self._log.write(folder / SKIPPED_FILE)
        return f" {folder / SKIPPED_FILE} lists all."

    def _write_id_files(self, folder: pathlib.Path) -> None:
        count = self._source.num_labeled(self._split)
        if count is None:
            return
        [labeled] = splits.sample(
            self._labels_by_id, [count], seed=self._source.seed, ensure_classes=True
        )
        rest = [i for i in self._labels_by_id if i not in set(labeled)]
        note = f"of {folder}, seed {self._source.seed}"
        splits.write_ids(folder / f"labeled_{count}.txt", sorted(labeled), note)
        splits.write_ids(folder / f"unlabeled_{len(rest)}.txt", rest, note)


def _pictures(items: Sequence[Item]) -> int:
    return sum(item.is_picture for item in items)


def _check_folder(folder: pathlib.Path, overwrite: bool) -> None:
    there = [*folder.glob(_SHARDS), *folder.glob(dataset_info.FILE_NAME)]
    if there and not overwrite:
        complete = (folder / dataset_info.FILE_NAME).exists()
        state = "complete records" if complete else "records of an interrupted run"
        raise ValueError(
            f"{folder} must have no records yet, got {state} ({there[0].name}, ...). "
            "For other pictures, choose another --output, or --split where the source "
            "has it; --overwrite replaces these."
        )


def _summary(folder: pathlib.Path, info: DatasetInfo) -> str:
    kept = {reason.value for reason in KEPT}
    boxes = f" ({info.images_without_boxes} without boxes), {info.boxes} boxes"
    if info.label_map_names and not info.class_names:
        boxes = " with label maps"
    if info.image_class_names and not info.class_names:
        boxes = " with a class each"
    lines = [f"{folder}: {info.images} pictures{boxes}, {len(info.shards)} shard(s)"]
    if info.class_names:
        lines.append(f"  boxes per class: {_counted(info.boxes_per_class)}")
    if info.label_map_names:
        lines += _pixel_lines(info)
    if info.image_class_names:
        lines.append(f"  pictures per class: {_counted(info.images_per_class)}")
    if info.skipped:
        left_out = sum(n for reason, n in info.skipped.items() if reason not in kept)
        lines.append(
            f"  skipped {left_out}, listed in {folder / SKIPPED_FILE}: "
            f"{_counted(info.skipped)}"
        )
    return "\n".join(lines)


def _pixel_lines(info: DatasetInfo) -> list[str]:
    labeled = sum(info.pixels_per_class.values())
    # At least 1: a split may have nothing but ignored pixels.
    shares = {n: count / max(labeled, 1) for n, count in info.pixels_per_class.items()}
    shown = ", ".join(f"{n} {100 * share:.3g} %" for n, share in shares.items())
    ignored = 100 * info.ignored_pixels / max(labeled + info.ignored_pixels, 1)
    lines = [
        f"  labelled pixels per class: {shown}",
        f"  ignored pixels: {ignored:.3g} % of all",
    ]
    absent = [name for name, count in info.pixels_per_class.items() if not count]
    if absent:
        lines.append(f"  classes without a pixel: {', '.join(absent)}")
    if absent and info.ignored_pixels and info.source == "masks":
        lines.append(
            "    If their pixels are stored as 255, say so in a file of classes with "
            "lines such as `0 background` and `255 object`."
        )
    return lines


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
