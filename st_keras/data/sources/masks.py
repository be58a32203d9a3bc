"""Reads a folder of pictures and a folder of masks of the same names."""

import functools
import os
import pathlib
from collections.abc import Sequence

from st_keras.data import mask_checks
from st_keras.data.skipping import Reason
from st_keras.data.sources import class_list, mask_files, source
from st_keras.data.sources.source import Item, Scene

_SPLIT = "{split}"  # Stands for the name of a split in a path.


class MaskSource(source.Source):
    """Pictures with masks whose values or colours a list explains.

    The mask of `<images>/x/a.jpg` is `<masks>/x/a.png`. An image id is the path
    relative to the folder, without extension.

    Where a path has `{split}`, as in `camvid/{split}` and `camvid/{split}annot`, each
    name for which both folders exist is a split. Without it, the sub-folders that both
    have are splits if train, val, test or the like is among them and no split is named.
    """

    name = "masks"

    def __init__(
        self,
        images: str | os.PathLike,
        masks: str | os.PathLike,
        classes: Sequence[str],
        ignore: Sequence[str | int] = (),
        split: str = "",
    ):
        """Finds the files.

        Args:
          images: Folder, or several; see the class.
          masks: The same; not the same folder.
          classes: Names, value 0 first, or a text file; see `class_list`.
          ignore: Values that are ignored, besides 255.
          split: The only one to read, and its name in the output; empty means all, or
            `train` if the folders have no splits.

        Raises:
          ValueError: There is no such folder, the classes cannot be read, or no
            picture has a mask.
        """
        self._folders, self.unread = _split_folders(
            os.fspath(images), os.fspath(masks), split
        )
        self._classes = class_list.read_classes(classes, ignore)
        self.label_map_names = self._classes.names

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._folders)

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    def items(self, split: str) -> list[Item]:
        source.check_split(split, self.splits)
        picture_folder, mask_folder = self._folders[split]
        pictures = _files(picture_folder, but_not_in=mask_folder)
        masks = _files(mask_folder, but_not_in=picture_folder)
        mask_of = source.by_stem(filter(source.is_picture_name, masks), mask_folder)
        picture_of = source.by_stem(pictures, picture_folder)
        if picture_of and not picture_of.keys() & mask_of.keys():
            raise ValueError(
                "`masks` must have a mask of the same name for each picture, got "
                f"{min(mask_of, default='none')} for {min(picture_of)}; rename them."
            )
        image_ids = dict(
            zip(pictures, source.image_ids(pictures, picture_folder), strict=True)
        )
        items = [
            Item(image_ids[path], self._reader(path, mask_of.get(stem, [])))
            for stem, paths in picture_of.items()
            for path in paths
        ]
        items = source.mixed(items)
        for stem in sorted(mask_of.keys() - picture_of.keys()):
            detail = f"no picture for the mask {mask_of[stem][0].name}"
            items.append(Item(stem, source.skipped(Reason.MISSING_FILE, detail)))
        for path in masks:
            if not source.is_picture_name(path):
                detail = f"mask {path.name}"
                read = source.skipped(Reason.UNKNOWN_EXTENSION, detail)
                items.append(Item(source.storable(path.name), read))
        return items

    def _reader(self, path: pathlib.Path, masks: list[pathlib.Path]):
        if not source.is_picture_name(path):
            return source.skipped(Reason.UNKNOWN_EXTENSION, path.suffix or "none")
        if not masks:
            return source.skipped(Reason.MISSING_FILE, f"no mask for {path.name}")
        return functools.partial(self._read, path, mask_files.preferred(masks))

    def _read(self, path: pathlib.Path, mask: pathlib.Path) -> Scene:
        is_color = self._classes.is_color
        read = mask_files.read_colors if is_color else mask_files.read_values
        told = mask_files.told_color if is_color else mask_checks.told_value
        values = mask_checks.relabel(read(mask), self._classes.class_ids, told)
        return Scene(path, label_map=values)


def _split_folders(
    images: str, masks: str, split: str
) -> tuple[dict[str, tuple[pathlib.Path, pathlib.Path]], tuple[str, ...]]:
    """Returns the folder of pictures and that of masks by split, and what is in none.

    Raises:
      ValueError: One of them does not exist, or they are the same.
    """
    if (_SPLIT in images) != (_SPLIT in masks):
        raise ValueError(
            f"`{_SPLIT}` must be in both `images` and `masks` or in neither, got "
            f"{images} and {masks}."
        )
    names = [split or source.DEFAULT_SPLIT]
    if not split and _SPLIT in images:
        names = _common_splits(images, masks)
        if not names:
            raise ValueError(
                f"`images` and `masks` must be folders once `{_SPLIT}` has a name, got "
                f"{images} and {masks}: no name has both."
            )
    elif not split:
        inside = [os.path.join(folder, _SPLIT) for folder in (images, masks)]
        found = _common_splits(*inside)
        if any(map(source.is_split_name, found)):
            # Read as one split, test pictures would be trained on.
            (images, masks), names = inside, found
    folders = {name: _pair(images, masks, name) for name in names}
    chosen = split or _SPLIT not in images
    return folders, () if chosen else _unread(images, masks, names)


def _common_splits(images: str, masks: str) -> list[str]:
    """Returns the names for which both folders exist; train, val and test first."""
    return source.usual_first(
        name
        for name in set(_names(images, "images").values())
        if all(_folder(path, name).is_dir() for path in (images, masks))
    )


def _unread(images: str, masks: str, splits: Sequence[str]) -> tuple[str, ...]:
    """Returns the folders, and pictures beside them, that are like those of splits."""
    read = {_folder(path, name) for path in (images, masks) for name in splits}
    found = {}
    for path, flag in ((images, "images"), (masks, "masks")):
        for entry, name in sorted(_names(path, flag).items()):
            folder = _folder(path, name)
            is_beside = entry == folder and source.is_picture_name(entry)
            if folder not in read and (folder.is_dir() or is_beside):
                found[str(folder)] = None
    return tuple(found)


def _names(path: str, flag: str) -> dict[pathlib.Path, str]:
    """Returns what `{split}` may stand for, by the file or folder that has it."""
    parts = pathlib.Path(path).expanduser().parts
    place = next(i for i, part in enumerate(parts) if _SPLIT in part)
    before, _, after = parts[place].partition(_SPLIT)
    parent = source.existing_folder(pathlib.Path(*parts[:place]), flag)
    names = {
        entry: entry.name.removeprefix(before).removesuffix(after)
        for entry in parent.iterdir()
    }
    return {
        entry: name
        for entry, name in names.items()
        if name and not source.is_hidden(name)
    }


def _pair(images: str, masks: str, split: str) -> tuple[pathlib.Path, pathlib.Path]:
    pictures = source.existing_folder(_folder(images, split), "images")
    found = source.existing_folder(_folder(masks, split), "masks")
    if pictures.resolve() == found.resolve():
        raise ValueError(f"`masks` must be another folder than `images`: {found}.")
    return pictures, found


def _folder(path: str, split: str) -> pathlib.Path:
    return pathlib.Path(path.replace(_SPLIT, split)).expanduser()


def _files(folder: pathlib.Path, but_not_in: pathlib.Path) -> list[pathlib.Path]:
    paths = source.files_below(folder)
    if but_not_in.is_relative_to(folder):
        paths = [path for path in paths if not path.is_relative_to(but_not_in)]
    return paths
