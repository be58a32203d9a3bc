"""Finds the files of a PASCAL VOC folder: pictures by stem, and lists of stems."""

import itertools
import os
import pathlib
import re
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

from st_keras.data.skipping import Reason, SkipPicture
from st_keras.data.sources import source

_FLAG = re.compile(r"\s+(-1|0|1)$")  # "000012 -1": whether a class is in the picture.


class Files(NamedTuple):
    """The files below a folder by stem."""

    known: dict[str, list[pathlib.Path]]
    unknown: dict[str, list[pathlib.Path]]  # Stems of which there are only others.


def by_stem(folder: pathlib.Path, extensions: Container[str]) -> Files:
    """Returns the files below a folder by whether their extension is one of these.

    The extensions are in lower case, those of the files in any.
    """
    files = source.files_below(folder)
    is_known = [path.suffix.lower() in extensions for path in files]
    known = source.by_stem(list(itertools.compress(files, is_known)), folder)
    unknown = source.by_stem(files, folder)
    return Files(known, {s: p for s, p in unknown.items() if s not in known})


def absent(
    stem: str, unknown: Mapping[str, Sequence[pathlib.Path]], told: str
) -> SkipPicture:
    """Returns why a stem has no file: nothing is there, or of another extension.

    Args:
      stem: Of the picture.
      unknown: As in `Files`.
      told: What to say if nothing is there.
    """
    if stem in unknown:
        return SkipPicture(Reason.UNKNOWN_EXTENSION, unknown[stem][0].name)
    return SkipPicture(Reason.MISSING_FILE, told)


def split_files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the lists in a folder by name; train, val and test come first."""
    if not folder.is_dir():
        return {}
    files = {p.stem: p for p in source.files_below(folder) if p.suffix == ".txt"}
    return {name: files[name] for name in source.usual_first(files)}


def without_repeats(
    lists: Mapping[str, pathlib.Path], stems: Container[str]
) -> list[str]:
    """Returns the names of lists, without trainval if it only repeats train and val.

    Args:
      lists: As from `split_files`.
      stems: Of all pictures.

    Raises:
      ValueError: One of the three is no text.
    """
    if not {"train", "val", "trainval"} <= set(lists):
        return list(lists)
    train, val, both = (
        set(listed(lists[name], stems)) for name in ("train", "val", "trainval")
    )
    return [name for name in lists if name != "trainval" or not both <= train | val]


def listed(path: pathlib.Path, stems: Container[str]) -> list[str]:
    """Returns the stems that a list names.

    Raises:
      ValueError: The list is no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text: {error}.") from None
    stripped = [source.storable(line.strip()) for line in lines]
    return [_stem(line, stems) for line in stripped if line]


def _stem(line: str, stems: Container[str]) -> str:
    """Returns the picture a line means; a file name may itself end in " 1"."""
    without_flag = _FLAG.sub("", line)
    for guess in (line, without_flag, os.path.splitext(without_flag)[0]):
        if guess in stems:
            return guess
    return without_flag
