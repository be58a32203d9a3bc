"""Reads COCO's detection JSON (instances_*.json)."""

import collections
import functools
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from st_keras.data.skipping import Reason
from st_keras.data.sources import coco_json, source
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
            whichever the JSON's name contains, and `train` if none.
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
        self._shared_ids = coco_json.shared_ids(self._json["images"])

    @property
    def splits(self) -> tuple[str, ...]:
        return (self._split,)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._class_names

    def items(self, split: str) -> list[Item]:
        source.check_split(split, self.splits)
        boxes = collections.defaultdict(list)
        for annotation in self._json.get("annotations", []):
            image_id, box = self._box(annotation)
            boxes[image_id].append(box)
        entries = self._json["images"]
        items = source.mixed([self._item(entry, boxes) for entry in entries])
        known = {item.image_id for item in items} - {coco_json.NO_ID}
        for image_id in sorted(boxes.keys() - known):
            for box in boxes[image_id]:
                reason = box.problem or Reason.UNKNOWN_IMAGE
                items.append(Item(image_id, source.skipped(reason, box.told)))
        return items

    def _item(self, entry: Any, boxes: dict[str, list[SourceBox]]) -> Item:
        if not coco_json.is_image(entry):
            read = source.skipped(Reason.MALFORMED, f"image {json.dumps(entry)}")
            return Item(coco_json.NO_ID, read)
        image_id = coco_json.id_text(entry["id"])
        if image_id in self._shared_ids and image_id in boxes:
            told = f"{entry['file_name']}: other files have this id too"
            return Item(image_id, source.skipped(Reason.DUPLICATE_IMAGE_ID, told))
        size = source.stated_size(entry.get("height"), entry.get("width"))
        read = functools.partial(
            Scene,
            self._folder / str(entry["file_name"]),
            _without_repeats(boxes.get(image_id, [])),
            stated_size_px=size,
        )
        return Item(image_id, read)

    def _box(self, annotation: Any) -> tuple[str, SourceBox]:
        """Returns an annotation's image id and its box."""
        if not isinstance(annotation, dict):
            told = json.dumps(annotation)
            return coco_json.NO_ID, SourceBox(told, problem=Reason.MALFORMED)
        image_id = coco_json.id_text(annotation.get("image_id", coco_json.NO_ID))
        bbox = annotation.get("bbox")
        category_id = annotation.get("category_id")
        told = (
            f"id {annotation.get('id')}, image_id {image_id}, "
            f"category_id {category_id}, bbox {json.dumps(bbox)}"
        )
        if not isinstance(bbox, list) or len(bbox) != 4 or category_id is None:
            return image_id, SourceBox(told, problem=Reason.MALFORMED)
        is_crowd = coco_json.is_crowd(annotation)
        if is_crowd is None:
            told += f", iscrowd {json.dumps(annotation['iscrowd'])}: not 0 or 1"
            return image_id, SourceBox(told, problem=Reason.MALFORMED)
        left, top, width, height = (source.number(value) for value in bbox)
        return image_id, SourceBox(
            told,
            (top, left, top + height, left + width),
            self._labels.get(coco_json.id_text(category_id)),
            is_crowd=is_crowd,
        )


def _without_repeats(boxes: list[SourceBox]) -> list[SourceBox]:
    """Marks annotations that repeat another one's id, class and box.

    Two different boxes with one id are both kept: merged files restart their ids.
    """
    seen = set()
    result = []
    for box in boxes:
        if box.told in seen and box.problem is None:
            box = box._replace(problem=Reason.DUPLICATE_ANNOTATION)
        seen.add(box.told)
        result.append(box)
    return result
