"""Reads pictures that lie in one folder per class, as in ImageNet."""

import functools
import os
import pathlib
from collections.abc import Sequence

from st_keras.data.skipping import Reason
from st_keras.data.sources import source
from st_keras.data.sources.source import Item, Scene


class ClassFolderSource(source.Source):
    """`train/<class>/...` and `val/<class>/...`, or `<class>/...` alone.

    Folders called train, val or test, or two of such names as `training`, `Valid` and
    `test2017`, are splits if they have folders in them; else they are classes like the
    others. An image id is the path below the split, without extension. All splits share
    the same classes.
    """

    name = "class_folders"

    def __init__(
        self,
        images: str | os.PathLike,
        classes: Sequence[str] = (),
        split: str = source.DEFAULT_SPLIT,
    ):
        """Finds the folders.

        Args:
          images: The folder of the splits or of the classes.
          classes: Folders that are classes, label 1 first; pictures in others are
            skipped. Empty means all folders, by name.
          split: Name of the only split if there are only classes.

        Raises:
          ValueError: There is no such folder, or fewer than two classes, or one twice.
        """
        root = source.existing_folder(images, "images")
        self._roots = {name: root / name for name in _splits(root)} or {split: root}
        self.unread = source.beside(root, self._roots.values())
        found = {name for folder in self._roots.values() for name in _folders(folder)}
        names = list(classes) or sorted(found)
        if len(names) < 2:
            raise ValueError(
                f"`images` must have a folder for each of two or more classes, got "
                f"{', '.join(names) or 'none'} in {root}."
            )
        if len(set(names)) < len(names):
            raise ValueError(f"`classes` must not repeat, got {', '.join(names)}.")
        absent = [name for name in names if name not in found]
        if absent:
            raise ValueError(
                f"`classes` must be folders of {root}, got {', '.join(absent)}; it has "
                f"{', '.join(sorted(found)) or 'none'}."
            )
        self._labels = {name: label for label, name in enumerate(names, start=1)}
        self.image_class_names = tuple(source.storable(name) for name in names)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._roots)

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    def items(self, split: str) -> list[Item]:
        source.check_split(split, self.splits)
        root = self._roots[split]
        paths = source.files_below(root)
        image_ids = source.image_ids(paths, root)
        return source.mixed(
            [
                Item(image_id, self._reader(path, path.relative_to(root).parts))
                for image_id, path in zip(image_ids, paths, strict=True)
            ]
        )

    def _reader(self, path: pathlib.Path, parts: tuple[str, ...]):
        if not source.is_picture_name(path):
            return source.skipped(Reason.UNKNOWN_EXTENSION, path.suffix or "none")
        folder = parts[0] if len(parts) > 1 else ""
        if folder not in self._labels:
            told = f"in folder {folder}" if folder else "beside the folders of classes"
            return source.skipped(Reason.UNKNOWN_CLASS, told)
        return functools.partial(Scene, path, image_class=self._labels[folder])


def _splits(root: pathlib.Path) -> list[str]:
    """Returns the folders that are splits: one of a usual name, or several such."""
    found = [
        n for n in _folders(root) if source.is_split_name(n) and _folders(root / n)
    ]
    is_usual = set(found) & set(source.USUAL_SPLITS)
    return source.usual_first(found) if is_usual or len(found) > 1 else []


def _folders(parent: pathlib.Path) -> list[str]:
    if not parent.is_dir():
        return []
    return [
        path.name
        for path in parent.iterdir()
        if path.is_dir() and not source.is_hidden(path.name)
    ]
