"""Reads COCO's detection JSON (instances_*.json)."""

import functools
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from st_keras.data.skipping import Reason
from st_keras.data.sources import coco_entries, coco_json, source
from st_keras.data.sources.source import Item, Scene, SourceBox


class CocoSource(source.Source):
    """One JSON and the folder its `file_name`s are in.

    Labels are 1 to K in the order of the category ids, or the ids themselves with
    `keep_category_ids`; gaps are then named `unused_<id>`. Crowd boxes are kept. Image
    ids are the JSON's, as strings.

    Source: https://cocodataset.org/#format-data.
    """

    name = "coco"

    def __init__(
        self,
        images: str | os.PathLike,
        annotations: str | os.PathLike,
        split: str = "",
        keep_category_ids: bool = False,
        classes: Sequence[str] = (),
    ):
        """Reads the JSON.

        Args:
          images: Folder.
          annotations: Path.
          split: Its name in the output; empty means `train`, `val` or `test`,
            whichever is a word of the JSON's name, and `train` if none.
          keep_category_ids: See the class.
          classes: Names, label 1 first, for several JSONs whose categories differ;
            boxes of others are skipped. Empty: all categories.

        Raises:
          ValueError: The JSON cannot be read or is not COCO's.
        """
        self._folder = source.existing_folder(images, "images")
        path = pathlib.Path(annotations).expanduser()
        self._json = coco_json.load(path)
        self._split = split or coco_json.guess_split(path)
        self._labels, self._class_names = coco_json.number_categories(
            self._json.get("categories", []), keep_category_ids, path, classes
        )

    @property
    def splits(self) -> tuple[str, ...]:
        return (self._split,)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._class_names

    def items(self, split: str) -> list[Item]:
        source.check_split(split, self.splits)
        entries, lost = coco_entries.match(
            self._json["images"], self._json.get("annotations", [])
        )
        items = source.mixed([self._item(entry) for entry in entries])
        for image_id, annotation in lost:
            box = self._box(annotation)
            reason = box.problem or Reason.UNKNOWN_IMAGE
            items.append(Item(image_id, source.skipped(reason, box.told), False))
        return items

    def _item(self, entry: coco_entries.Entry) -> Item:
        if entry.problem:
            return Item(entry.image_id, source.skipped(*entry.problem))
        return Item(entry.image_id, functools.partial(self._read, entry))

    def _read(self, entry: coco_entries.Entry) -> Scene:
        return Scene(
            self._folder / entry.file_name,
            self._boxes(entry.annotations),
            stated_size_px=entry.size_px,
        )

    def _boxes(self, annotations: Sequence[Any]) -> list[SourceBox]:
        """Returns the boxes of a picture; those that repeat another one are marked.

        That is one with the same id, class and place, or one that another id of the
        picture has at the same place. Two different boxes with one id are both kept:
        merged files restart their ids.
        """
        told: set[str] = set()
        places: dict[tuple, str] = {}  # To the id of the picture that had it first.
        boxes = []
        for annotation in annotations:
            box, image_id = self._box(annotation), coco_entries.image_id(annotation)
            place = (box.label, box.box_yxyx, box.is_crowd)
            if box.problem is None and (
                box.told in told or places.setdefault(place, image_id) != image_id
            ):
                box = box._replace(problem=Reason.DUPLICATE_ANNOTATION)
            told.add(box.told)
            boxes.append(box)
        return boxes

    def _box(self, annotation: Any) -> SourceBox:
        if not isinstance(annotation, dict):
            return SourceBox(json.dumps(annotation), problem=Reason.MALFORMED)
        bbox = annotation.get("bbox")
        category_id = annotation.get("category_id")
        told = (
            f"id {annotation.get('id')}, image_id {coco_entries.image_id(annotation)}, "
            f"category_id {category_id}, bbox {json.dumps(bbox)}"
        )
        if not isinstance(bbox, list) or len(bbox) != 4 or category_id is None:
            return SourceBox(told, problem=Reason.MALFORMED)
        is_crowd = coco_json.is_crowd(annotation)
        if is_crowd is None:
            told += f", iscrowd {json.dumps(annotation['iscrowd'])}: not 0 or 1"
            return SourceBox(told, problem=Reason.MALFORMED)
        left, top, width, height = (source.number(value) for value in bbox)
        return SourceBox(
            told,
            (top, left, top + height, left + width),
            self._labels.get(coco_json.id_text(category_id)),
            is_crowd=is_crowd,
        )
