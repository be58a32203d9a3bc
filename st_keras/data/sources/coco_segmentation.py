"""Reads COCO's JSON for its masks: instances_*, stuff_* or panoptic_*.json."""

import functools
import json
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from PIL import Image

from st_keras.data import mask_checks
from st_keras.data.skipping import KEPT, Reason, SkipPicture
from st_keras.data.sources import (
    coco_entries,
    coco_json,
    coco_shapes,
    mask_files,
    source,
)
from st_keras.data.sources.source import Item, Problem, Scene
from st_keras.types import IGNORED

_BACKGROUND = "background"
_SEGMENTS = "segments_info"


class CocoSegmentationSource(source.Source):
    """One JSON, the folder of its pictures and, if it is panoptic, that of its masks.

    Value 0 is the background; categories are 1 to K in the order of their ids. Smaller
    shapes are drawn over larger ones. Crowds, shapes of unknown categories, the boxes
    of shapes that cannot be read and what a panoptic mask leaves blank are ignored.
    Image ids are the JSON's, as strings.

    Source: https://cocodataset.org/#format-data.
    """

    name = "coco_segmentation"

    def __init__(
        self,
        images: str | os.PathLike,
        annotations: str | os.PathLike,
        masks: str | os.PathLike | None = None,
        split: str = "",
        classes: Sequence[str] = (),
    ):
        """Reads the JSON.

        Args:
          images: Folder.
          annotations: Path.
          masks: Folder of the PNGs of a panoptic JSON; others have none.
          split: Its name in the output; empty means `train`, `val` or `test`,
            whichever is a word of the JSON's name, and `train` if none.
          classes: Names of categories, value 1 first, for several JSONs whose
            categories differ; shapes of others are ignored. Empty: all of them.

        Raises:
          ValueError: The JSON cannot be read or is not COCO's, or has too many
            categories, or `masks` does not go with it.
        """
        self._folder = source.existing_folder(images, "images")
        path = pathlib.Path(annotations).expanduser()
        content = coco_json.load(path)
        self._entries = content["images"]
        self._annotations = content.get("annotations", [])
        self._split = split or coco_json.guess_split(path)
        self._labels, names = coco_json.number_categories(
            content.get("categories", []), False, path, classes
        )
        self.label_map_names = source.label_map_names([_BACKGROUND, *names])
        self._masks = None if masks is None else source.existing_folder(masks, "masks")
        panoptic = any(
            isinstance(a, dict) and _SEGMENTS in a for a in self._annotations
        )
        if panoptic and masks is None:
            raise ValueError(
                f"`masks` must be the folder of PNGs, as {path} has `{_SEGMENTS}`, got "
                "none."
            )
        if masks is not None and not panoptic:
            raise ValueError(
                f"`masks` is for panoptic JSON, got {masks}, but {path} has no "
                f"`{_SEGMENTS}`; leave it away."
            )

    @property
    def splits(self) -> tuple[str, ...]:
        return (self._split,)

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    def items(self, split: str) -> list[Item]:
        source.check_split(split, self.splits)
        entries, lost = coco_entries.match(self._entries, self._annotations)
        items = source.mixed([self._item(entry) for entry in entries])
        for image_id, annotation in lost:
            no_id = image_id == coco_json.NO_ID
            reason = Reason.MALFORMED if no_id else Reason.UNKNOWN_IMAGE
            read = source.skipped(reason, _told(annotation))
            items.append(Item(image_id, read, is_picture=False))
        return items

    def _item(self, entry: coco_entries.Entry) -> Item:
        path, size = self._folder / entry.file_name, entry.size_px
        if entry.problem:
            read = source.skipped(*entry.problem)
        elif self._masks is not None:
            read = functools.partial(self._read_mask, path, size, entry.annotations)
        elif size is None:
            detail = f"image {entry.file_name}: no height and width"
            read = source.skipped(Reason.MALFORMED, detail)
        else:
            read = functools.partial(self._read_shapes, path, size, entry.annotations)
        return Item(entry.image_id, read)

    def _read_shapes(
        self, path: pathlib.Path, size_px: tuple[int, int], annotations: Sequence[dict]
    ) -> Scene:
        if math.prod(size_px) > Image.MAX_IMAGE_PIXELS:
            # No picture of this size would be read; drawing it may be impossible.
            detail = f"stated are {size_px[0]} x {size_px[1]} pixels (height x width)"
            raise SkipPicture(Reason.TOO_MANY_PIXELS, detail)
        canvas, problems, shapes = coco_shapes.Canvas(size_px), [], 0
        for index, annotation in enumerate(annotations):
            inside = coco_shapes.rasterize(annotation.get("segmentation"), size_px)
            if isinstance(inside, Reason):
                problems.append(Problem(index, inside, _told(annotation)))
                # Something is there, so it must not count as background.
                canvas.draw(
                    coco_shapes.around(annotation.get("bbox"), size_px), IGNORED
                )
                continue
            class_id, problem = self._class_id(index, annotation)
            problems += problem
            shapes += _is_used(problem)
            canvas.draw(inside, class_id)
        return Scene(
            path,
            stated_size_px=size_px,
            label_map=canvas.label_map,
            problems=problems,
            shapes=shapes,
        )

    def _read_mask(
        self,
        path: pathlib.Path,
        size_px: tuple[int, int] | None,
        annotations: Sequence[dict],
    ) -> Scene:
        if not annotations:
            raise SkipPicture(Reason.MISSING_FILE, f"no annotation for {path.name}")
        segments = annotations[0].get(_SEGMENTS)
        file_name = annotations[0].get("file_name")
        if not isinstance(segments, list) or not isinstance(file_name, str):
            raise SkipPicture(Reason.MALFORMED, _told(annotations[0]))
        problems = [
            Problem(index, Reason.DUPLICATE_ANNOTATION, _told(annotation))
            for index, annotation in enumerate(annotations[1:], start=1)
        ]
        class_ids, shapes = {0: IGNORED}, 0
        for index, segment in enumerate(segments):
            if not _is_segment(segment):
                problems.append(Problem(index, Reason.MALFORMED, json.dumps(segment)))
                continue
            class_id, problem = self._class_id(index, segment)
            problems += problem
            shapes += _is_used(problem)
            class_ids[segment["id"]] = class_id
        values = mask_files.read_colors(self._masks / file_name)
        label_map = mask_checks.relabel(values, class_ids, mask_files.told_segment)
        return Scene(
            path,
            stated_size_px=size_px,
            label_map=label_map,
            problems=problems,
            shapes=shapes,
        )

    def _class_id(self, index: int, told: dict) -> tuple[int, list[Problem]]:
        """Returns the class of a shape or segment, and what should be known of it."""
        class_id = self._labels.get(coco_json.id_text(told.get("category_id")))
        if class_id is None:
            # Something is there, so it must not count as background.
            return IGNORED, [Problem(index, Reason.UNKNOWN_CLASS, _told(told))]
        is_crowd = coco_json.is_crowd(told)
        if is_crowd is None:
            return IGNORED, [Problem(index, Reason.MALFORMED, _told(told))]
        if is_crowd:
            return IGNORED, [Problem(index, Reason.CROWD, _told(told))]
        return class_id, []


def _is_segment(told: Any) -> bool:
    identifier = told.get("id") if isinstance(told, dict) else None
    return type(identifier) is int and mask_files.is_color_value(identifier)


def _is_used(problems: list[Problem]) -> bool:
    return all(problem.reason in KEPT for problem in problems)


def _told(annotation: Any) -> str:
    """Returns an annotation without its shape, which may fill a page."""
    if not isinstance(annotation, dict):
        return json.dumps(annotation)
    short = {
        key: value
        for key, value in annotation.items()
        if not isinstance(value, list | dict)
    }
    return json.dumps(short)
