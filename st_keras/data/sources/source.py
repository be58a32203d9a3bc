"""What every kind of data set tells the conversion, and what readers share."""

import abc
import collections
import math
import os
import pathlib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from st_keras.data import images
from st_keras.data.skipping import Reason, SkipPicture
from st_keras.types import IGNORED

DEFAULT_SPLIT = "train"
USUAL_SPLITS = ("train", "val", "test")
# As in train2017, Training, valid, Validation, Test and eval.
_SPLIT_NAME = re.compile(
    r"(train(ing)?|val(id(ation)?)?|dev|eval(uation)?|test(ing)?)([-_]?\d{4})?"
)
# Unicode's control characters, halves of characters, and ends of lines and paragraphs.
_MOST_CLASSES = 100_000
_NOT_IN_A_LINE = ("Cc", "Cs", "Zl", "Zp")
_Picture = TypeVar("_Picture")


class SourceBox(NamedTuple):
    """One object as its source tells it, not checked yet."""

    told: str  # The source's own words, for skipped.txt.
    box_yxyx: tuple[float, float, float, float] = (math.nan,) * 4
    label: int | None = None  # From 1; None if the class is not known.
    is_crowd: bool = False
    problem: Reason | None = None  # What the source already knows to be wrong.


def repeats_marked(boxes: Iterable[SourceBox]) -> list[SourceBox]:
    """Marks the boxes that have the label and the place of one before them.

    Args:
      boxes: Of one picture. Those of no known class, or with a side that is no number,
        keep that as their reason.
    """
    found, places = [], set()
    for box in boxes:
        place = (box.label, *box.box_yxyx)
        is_sound = box.problem is None and box.label is not None
        if is_sound and all(map(math.isfinite, box.box_yxyx)):
            if place in places:
                box = box._replace(problem=Reason.DUPLICATE_ANNOTATION)
            places.add(place)
        found.append(box)
    return found


class Problem(NamedTuple):
    """What a source knows of an annotation that is no box."""

    index: int  # Of the annotation in its picture, from 0.
    reason: Reason
    told: str  # The source's own words, for skipped.txt.


class Scene(NamedTuple):
    """One picture with its objects, not checked yet."""

    picture: pathlib.Path | bytes  # The file or its content.
    boxes: Sequence[SourceBox] = ()
    boxes_are_shares: bool = False  # Of height and width; otherwise pixels.
    stated_size_px: tuple[int, int] | None = None  # Height and width, if told.
    # [H, W] integers, upright: positions in `Source.label_map_names`, or `IGNORED`.
    label_map: np.ndarray | None = None
    problems: Sequence[Problem] = ()  # Of annotations that `label_map` is made of.
    shapes: int = 0  # How many annotations `label_map` shows, crowds among them.
    image_class: int | None = None  # Of the whole picture, from 1; None: not known.


class Item(NamedTuple):
    """One picture that can be read later."""

    image_id: str
    read: Callable[[], Scene]  # May raise SkipPicture.
    is_picture: bool = True  # Otherwise an annotation of none, only to be listed.


class Source(abc.ABC):
    """One data set in one of the usual layouts."""

    name: str  # As `--source` takes it.
    seed: int = 0  # Of whatever is drawn.
    label_map_names: tuple[str, ...] = ()  # Value 0 first, where there are maps.
    image_class_names: tuple[str, ...] = ()  # Label 1 first, where pictures have one.
    unread: tuple[str, ...] = ()  # Folders and pictures beside the folders of splits.
    left_out: tuple[str, ...] = ()  # Of each split that is named but not there: why.

    @property
    @abc.abstractmethod
    def splits(self) -> tuple[str, ...]:
        """The splits that are converted unless some are chosen."""

    @property
    @abc.abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """Label 1 first; empty where nothing is labelled."""

    @abc.abstractmethod
    def items(self, split: str) -> list[Item]:
        """Returns the pictures of a split, cheaply: files are read by `Item.read`.

        Records are written in this order; see `mixed`.

        Raises:
          ValueError: There is no such split.
        """

    def num_labeled(self, split: str) -> int | None:
        """Returns the number of pictures of a split whose labels a student may see.

        None means that the source has no opinion; see data/splits.py.
        """
        del split
        return None


def number(value: Any) -> float:
    """Returns a file's value as a float; nan if it is none, which box checks report."""
    if isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def stated_size(height: Any, width: Any) -> tuple[int, int] | None:
    """Returns an annotation's height and width; None if it states none, or 0 x 0."""
    sides = (number(height), number(width))
    if not all(math.isfinite(side) and side >= 1 for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def mixed(pictures: Sequence[_Picture]) -> list[_Picture]:
    """Returns pictures in another order, always the same for as many.

    By name, all pictures of a class come together, and all frames of a video. A set too
    large for memory is only mixed within a buffer when it is read, so that a step would
    see few classes.
    """
    order = np.random.default_rng(0).permutation(len(pictures))
    return [pictures[place] for place in order]


def files_below(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns all files of a folder and its sub-folders, sorted by path.

    Follows symlinks, each folder once; leaves out what `is_hidden`.

    Raises:
      OSError: A folder cannot be read.
    """
    found = []
    visited = set()
    for parent, folders, names in os.walk(folder, onerror=_fail, followlinks=True):
        real = os.path.realpath(parent)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        found += [pathlib.Path(parent, n) for n in names if not is_hidden(n)]
    return sorted(found, key=lambda path: path.as_posix())


def _fail(error: OSError) -> None:
    raise error


def is_hidden(name: str) -> bool:
    """Says whether a file or folder of this name is no part of a data set.

    That is a hidden one, and `lost+found`, which a disk has at its root for no user to
    read.
    """
    return name.startswith(".") or name == "lost+found"


def beside(parent: pathlib.Path, read: Collection[pathlib.Path]) -> tuple[str, ...]:
    """Returns the folders and pictures directly in a folder that are not read.

    Args:
      parent: The folder.
      read: Folders that are read whole; nothing is beside them if it is among them.
    """
    if parent in read:
        return ()
    return tuple(
        str(path)
        for path in sorted(parent.iterdir())
        if not is_hidden(path.name)
        and path not in read
        and (path.is_dir() or is_picture_name(path))
    )


def by_stem(
    paths: Sequence[pathlib.Path], folder: pathlib.Path
) -> dict[str, list[pathlib.Path]]:
    """Returns files by their path below a folder, without extension."""
    found: dict[str, list[pathlib.Path]] = {}
    for path in paths:
        stem = path.relative_to(folder).with_suffix("").as_posix()
        found.setdefault(storable(stem), []).append(path)
    return found


def is_picture_name(path: pathlib.Path) -> bool:
    """Says whether the extension, in any case, is one of a picture."""
    return path.suffix.lower() in images.EXTENSIONS


def image_ids(paths: Sequence[pathlib.Path], root: pathlib.Path) -> list[str]:
    """Returns paths relative to `root` without extension.

    Files that differ only in the extension keep it, as does `a.jpg.json` beside
    `a.jpg`; files outside `root` keep their whole path, and `root` itself is `.`.
    """
    whole = [_relative(path, root) for path in paths]
    stems = [_without_suffix(name) for name in whole]
    taken = collections.Counter([*stems, *set(whole)])
    return [
        # A name without an extension is its own stem.
        stem if taken[stem] == 1 + (stem == name) else name
        for stem, name in zip(stems, whole, strict=True)
    ]


def _without_suffix(name: str) -> str:
    path = pathlib.PurePosixPath(name)
    return storable(str(path.with_suffix(""))) if path.name else name


def skipped(reason: Reason, detail: str) -> Callable[[], Scene]:
    """Returns an `Item.read` of a picture that is known to be unusable."""

    def read() -> Scene:
        raise SkipPicture(reason, detail)

    return read


def existing_folder(path: str | os.PathLike, flag: str) -> pathlib.Path:
    """Returns the folder that a flag names.

    Raises:
      ValueError: It does not exist or is a file.
    """
    folder = pathlib.Path(path).expanduser()
    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing there"
        raise ValueError(f"`{flag}` must be a folder, got {folder}: {got}.")
    return folder


def check_split(split: str, known: Sequence[str]) -> None:
    """Raises ValueError if `split` is not one of the known ones."""
    if split not in known:
        raise ValueError(
            f"`splits` must be from {', '.join(known) or 'nothing'}, got {split}."
        )


def is_split_name(name: str) -> bool:
    """Says whether a folder of this name, in any case, usually holds a split."""
    return _SPLIT_NAME.fullmatch(name.lower()) is not None


def usual_first(splits: Iterable[str]) -> list[str]:
    """Returns names of splits sorted, but train, val and test before all others."""
    order = {split: i for i, split in enumerate(USUAL_SPLITS)}
    return sorted(splits, key=lambda name: (order.get(name, len(order)), name))


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Numbers repeated class names: two of one name would share a row in each table."""
    told = set(names)
    result: dict[str, None] = {}
    for name in names:
        chosen, count = name, 1
        while chosen in result or (count > 1 and chosen in told):
            count += 1
            chosen = f"{name}_{count}"
        result[chosen] = None
    return tuple(result)


def check_class_names(names: Iterable[str], where: str) -> None:
    """Makes sure that every name can stand in a record and in a row of a table.

    Args:
      names: Of classes.
      where: What the message begins with, such as a file.

    Raises:
      ValueError: A name is blank, has a line break or another control character, or
        half of a character.
    """
    for name in names:
        odd = any(unicodedata.category(c) in _NOT_IN_A_LINE for c in name)
        if odd or not name.strip():
            raise ValueError(
                f"{where}: the name of a class must be text in one line, got {name!r}. "
                "Rename it."
            )


def check_largest_id(largest: int, where: str, cure: str) -> None:
    """Refuses ids that are no numbers of classes: every id up to them gets a name.

    Args:
      largest: Id of a class.
      where: What the message begins with, such as a file.
      cure: What it ends with.

    Raises:
      ValueError: The id is too large.
    """
    if largest > _MOST_CLASSES:
        raise ValueError(
            f"{where}: the ids of classes must be at most {_MOST_CLASSES:,}, as each "
            f"number up to the largest is a class, got {largest:,}. {cure}"
        )


def label_map_names(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names of a label map's values, from 0, all different.

    Raises:
      ValueError: There is none, or more than a pixel of 8 bits can tell apart.
    """
    if not 1 <= len(names) <= IGNORED:
        raise ValueError(
            f"`classes` must be 1 to {IGNORED} names, as a pixel has 8 bits and "
            f"{IGNORED} is ignored, got {len(names)}."
        )
    return distinct(names)


def storable(name: str) -> str:
    """Returns a file name as an image id: characters that break a list are escaped.

    Line breaks and tabs are among them, bytes that are no UTF-8, blanks at either end
    and `# ` at the beginning, which a list takes for a comment.
    """
    text = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in name
    )
    if text.startswith("# "):
        text = rf"\x23{text[1:]}"
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" "))
    after = len(text) - len(inner) - before
    return r"\x20" * before + inner + r"\x20" * after


def _relative(path: pathlib.Path, root: pathlib.Path) -> str:
    inside = path.is_relative_to(root)
    return storable((path.relative_to(root) if inside else path).as_posix())
