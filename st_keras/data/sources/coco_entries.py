"""Tells which annotations of COCO's JSON belong to which entry of its `images`."""

import collections
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from st_keras.data.skipping import Reason
from st_keras.data.sources import coco_json, source

_Problem = tuple[Reason, str]


class Entry(NamedTuple):
    """One entry of `images`."""

    image_id: str
    file_name: str = ""
    size_px: tuple[int, int] | None = None  # Height and width, if told.
    # Those of every id that the file is listed under, as the JSON has them.
    annotations: tuple[Any, ...] = ()
    problem: _Problem | None = None  # Why it cannot be used, and what to tell.


def match(
    images: list[Any], annotations: list[Any]
) -> tuple[list[Entry], list[tuple[str, Any]]]:
    """Gives annotations to the entries of their pictures.

    Two lists put together may have an id for two files: which of them an annotation
    means cannot be known, so neither is used if there is any. They may also have a file
    under two ids, each with a part of its objects: the first id that has annotations
    gets all of them, and the others are left out.

    Args:
      images: Of the JSON, not checked.
      annotations: Of the JSON, not checked.

    Returns:
      An entry for each of `images`, in their order; and the annotations of no entry
      with the id that they state, sorted by it.
    """
    by_id = collections.defaultdict(list)
    for annotation in annotations:
        by_id[image_id(annotation)].append(annotation)
    # Without an id it has no picture, not even one whose id is `NO_ID`.
    lost = [(coco_json.NO_ID, a) for a in by_id.pop(coco_json.NO_ID, [])]
    valid = [entry for entry in images if coco_json.is_image(entry)]
    refused = _shared_ids(valid) & by_id.keys()
    groups = _by_file(valid, by_id, refused)
    entries = [_entry(told, groups, by_id, refused) for told in images]
    known = {entry.image_id for entry in entries}
    lost += [(i, a) for i in by_id.keys() - known for a in by_id[i]]
    return entries, sorted(lost, key=lambda pair: pair[0])


def image_id(annotation: Any) -> str:
    """Returns the id of the picture that an annotation is of, or `NO_ID`."""
    told = annotation.get("image_id") if isinstance(annotation, dict) else None
    return coco_json.NO_ID if told is None else coco_json.id_text(told)


def _file(entry: dict[str, Any]) -> pathlib.PurePath:
    return pathlib.PurePath(str(entry["file_name"]))


def _size(entry: dict[str, Any]) -> tuple[int, int] | None:
    return source.stated_size(entry.get("height"), entry.get("width"))


def _shared_ids(images: list[dict[str, Any]]) -> set[str]:
    files = collections.defaultdict(set)
    for entry in images:
        files[coco_json.id_text(entry["id"])].add(_file(entry))
    return {identifier for identifier, names in files.items() if len(names) > 1}


class _Group(NamedTuple):
    """The ids of one file; the first of them is used."""

    ids: list[str]
    size_px: tuple[int, int] | None
    problem: str  # Why their annotations cannot be joined; empty if they can.


def _by_file(
    images: list[dict[str, Any]], by_id: Mapping[str, list], refused: set[str]
) -> dict[pathlib.PurePath, _Group]:
    sizes = collections.defaultdict(dict)
    for entry in images:
        sizes[_file(entry)].setdefault(coco_json.id_text(entry["id"]), _size(entry))
    groups = {}
    for file, size_of in sizes.items():
        ids = sorted(size_of, key=lambda i: (i in refused, i not in by_id))
        joined = [i for i in ids if i in by_id and i not in refused]
        stated = sorted({size_of[i] for i in joined} - {None})
        problem = ""
        if len(stated) > 1:
            told = " and ".join(f"{height} x {width}" for height, width in stated)
            problem = (
                f"{file}: listed as {', '.join(ids)} with {told} pixels (height x "
                "width), so that their annotations cannot be joined"
            )
        groups[file] = _Group(ids, max(stated, default=size_of[ids[0]]), problem)
    return groups


def _entry(
    told: Any,
    groups: Mapping[pathlib.PurePath, _Group],
    by_id: Mapping[str, list],
    refused: set[str],
) -> Entry:
    if not coco_json.is_image(told):
        problem = (Reason.MALFORMED, f"image {json.dumps(told)}")
        return Entry(coco_json.NO_ID, problem=problem)
    identifier, file = coco_json.id_text(told["id"]), _file(told)
    entry = Entry(identifier, str(told["file_name"]), _size(told))
    if identifier in refused:
        problem = (Reason.DUPLICATE_IMAGE_ID, f"{file}: other files have this id too")
        return entry._replace(problem=problem)
    group = groups[file]
    if group.problem:
        return entry._replace(problem=(Reason.DUPLICATE_FILE, group.problem))
    if identifier != group.ids[0]:
        count = len(by_id.get(identifier, ()))
        detail = (
            f"{file}: {group.ids[0]} is this file too, and gets {count} annotations"
        )
        return entry._replace(problem=(Reason.DUPLICATE_FILE, detail))
    joined = [a for i in group.ids if i not in refused for a in by_id.get(i, ())]
    return entry._replace(size_px=group.size_px, annotations=tuple(joined))
