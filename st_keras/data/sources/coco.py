"""Reads COCO's detection JSON (instances_*.json)."""

import collections
import functools
import json
import os
import pathlib
from typing import Any

from st_keras.data.skipping import Reason
from st_keras.data.sources import source
from st_keras.data.sources.source import Item, Scene, SourceBox

_NO_ID = "?"  # Of an entry so damaged that it does not say.


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
    ):
        """Reads the JSON.

        Args:
          images: Folder.
          annotations: Path.
          split: Its name in the output; empty means `train`, `val` or `test`,
            whichever the JSON's name contains, and `train` if none.
          keep_category_ids: See the class.

        Raises:
          ValueError: The JSON cannot be read or is not COCO's.
        """
        self._folder = source.existing_folder(images, "images")
        path = pathlib.Path(annotations).expanduser()
        self._json = _load(path)
        self._split = split or _guess_split(path.stem)
        self._labels, self._class_names = _labels(
            self._json.get("categories", []), keep_category_ids, path
        )

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
        items = [self._item(entry, boxes) for entry in entries]
        known = {item.image_id for item in items} - {_NO_ID}
        for image_id in sorted(boxes.keys() - known):
            for box in boxes[image_id]:
                reason = box.problem or Reason.UNKNOWN_IMAGE
                items.append(Item(image_id, source.skipped(reason, box.told)))
        return items

    def _item(self, entry: Any, boxes: dict[str, list[SourceBox]]) -> Item:
        if not isinstance(entry, dict) or not {"id", "file_name"} <= entry.keys():
            read = source.skipped(Reason.MALFORMED, f"image {json.dumps(entry)}")
            return Item(_NO_ID, read)
        image_id = source.storable(str(entry["id"]))
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
            return _NO_ID, SourceBox(told, problem=Reason.MALFORMED)
        image_id = source.storable(str(annotation.get("image_id", _NO_ID)))
        bbox = annotation.get("bbox")
        category_id = annotation.get("category_id")
        told = (
            f"id {annotation.get('id')}, image_id {image_id}, "
            f"category_id {category_id}, bbox {json.dumps(bbox)}"
        )
        if not isinstance(bbox, list) or len(bbox) != 4 or category_id is None:
            return image_id, SourceBox(told, problem=Reason.MALFORMED)
        left, top, width, height = (source.number(value) for value in bbox)
        return image_id, SourceBox(
            told,
            (top, left, top + height, left + width),
            self._labels.get(str(category_id)),
            is_crowd=bool(annotation.get("iscrowd", 0)),
        )


def _load(path: pathlib.Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ValueError(f"`annotations`: no such file: {path}.") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}.") from None
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise ValueError(
            f"{path}: must be COCO's object with a list `images`, got "
            f"{_shape(content)}. Use an instances_*.json."
        )
    for key in ("annotations", "categories"):
        if not isinstance(content.get(key, []), list):
            raise ValueError(
                f"{path}: `{key}` must be a list, got {_shape(content[key])}."
            )
    return content


def _shape(content: Any) -> str:
    if isinstance(content, dict):
        return f"an object with {', '.join(map(repr, list(content)[:5])) or 'no key'}"
    return f"a {type(content).__name__}"


def _guess_split(stem: str) -> str:
    for split in source.USUAL_SPLITS:
        if split in stem.lower():
            return split
    return source.DEFAULT_SPLIT


def _labels(
    categories: list[Any], keep_ids: bool, path: pathlib.Path
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Returns category id (as a string) to label, and the class names."""
    names: dict[int, str] = {}
    for category in categories:
        try:
            category_id, name = int(category["id"]), str(category["name"])
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                f"{path}: a category must have an integer `id` and a `name`, got "
                f"{json.dumps(category)}."
            ) from None
        if category_id in names:
            raise ValueError(f"{path}: two categories have the id {category_id}.")
        names[category_id] = name
    if not keep_ids:
        ordered = sorted(names)
        labels = {str(i): label for label, i in enumerate(ordered, start=1)}
        return labels, source.distinct([names[i] for i in ordered])
    if names and min(names) < 1:
        raise ValueError(
            f"{path}: `keep_category_ids` needs ids from 1, as 0 is the background in "
            f"records, got {min(names)}. Leave the flag away."
        )
    every = range(1, max(names, default=0) + 1)
    class_names = source.distinct([names.get(i, f"unused_{i}") for i in every])
    return {str(i): i for i in names}, class_names


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
