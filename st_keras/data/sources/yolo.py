"""Reads YOLO folders: pictures, one txt per picture, and data.yaml or classes.txt."""

import functools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import yaml

from st_keras.data.skipping import Reason, SkipPicture
from st_keras.data.sources import class_list, source
from st_keras.data.sources.source import Item, Scene, SourceBox

_SPLITS = ("train", "val", "valid", "test")
_OPTIONAL = ("test",)  # Many a data.yaml names it where nobody has made one.
_BOX_COLUMNS = 5  # Class, centre x, centre y, width, height.
_YAML_SUFFIXES = (".yaml", ".yml")
_TEXT_SUFFIXES = (*_YAML_SUFFIXES, ".txt", ".cache")  # Laid beside pictures by tools.
_FEWEST_POLYGON_COLUMNS = 7  # Class and three points.


class YoloSource(source.Source):
    """A YOLO folder, as Ultralytics, Roboflow and LabelImg write it.

    The labels of `.../images/.../a.jpg` are in `.../labels/.../a.txt`, or beside a
    picture that is in no `images` folder of the data set. A picture without that file
    has no objects. Segmentation polygons become their bounding boxes. Where data.yaml
    has `kpt_shape`, as that of poses must, only the box of a line is read. A line that
    repeats another's class and box is skipped. A label without a picture is skipped by
    name, and so is a file of another extension that lies beside no picture of its name.
    Image ids are paths relative to the folder.

    Source: https://docs.ultralytics.com/datasets/detect/.
    """

    name = "yolo"

    def __init__(self, images: str | os.PathLike, classes: Sequence[str] = ()):
        """Reads data.yaml (or the only yaml there is) and the class names.

        Args:
          images: The folder that holds data.yaml, or `images` and classes.txt.
          classes: Names, id 0 first, or a file like data.yaml or classes.txt; empty
            means those in the folder's own.

        Raises:
          ValueError: The names or the pictures cannot be found.
        """
        self._root = source.existing_folder(images, "images")
        settings, path = _load_yaml(self._root)
        names = _chosen(classes) or _names(settings, path) or _read_classes(self._root)
        if not names:
            raise ValueError(
                f"{self._root}: found neither a data.yaml with `names` nor a "
                "classes.txt; pass the names as `--classes a,b,c`."
            )
        self._class_names = source.distinct(names)
        # After the columns of the box.
        self._has_keypoints = bool(settings.get("kpt_shape"))
        self._folders, self._absent = _folders_of_yaml(self._root, settings, path)
        self.left_out = tuple(self._absent.values())
        if not self._folders:
            self._folders = _usual_folders(self._root)
            read = [place for places in self._folders.values() for place in places]
            self.unread = source.beside(self._root / "images", read)

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self._folders)

    @property
    def class_names(self) -> tuple[str, ...]:
        return self._class_names

    def items(self, split: str) -> list[Item]:
        if split in self._absent:
            others = ",".join(self.splits)
            raise ValueError(
                f"{self._absent[split]} Correct it, or leave the split out: --splits "
                f"{others}."
            )
        source.check_split(split, self.splits)
        paths, others = [], []
        for place in self._folders[split]:
            pictures, rest = _files(place)
            paths += pictures
            others += rest
        if paths and not any(_label_file(path, self._root) for path in paths):
            # Without labels, every picture would silently count as empty.
            expected = _label_files(paths[0], self._root)[0]
            raise ValueError(
                f"`{split}`: none of the {len(paths)} pictures has labels; expected "
                f"{expected}, for one. Leave the split out with --splits, or use "
                "--source images."
            )
        ids = source.image_ids(paths, self._root)
        items = [
            Item(image_id, functools.partial(self._read, path))
            for image_id, path in zip(ids, paths, strict=True)
        ]
        items = source.mixed(items)
        ids = source.image_ids(others, self._root)
        for image_id, path in zip(ids, others, strict=True):
            told = path.suffix or "none"
            read = source.skipped(Reason.UNKNOWN_EXTENSION, told)
            items.append(Item(image_id, read))
        return items + self._alone(split, paths + others)

    def _alone(self, split: str, paths: list[pathlib.Path]) -> list[Item]:
        """Returns an item, to be skipped, for each label file without a picture."""
        if not all(place.is_dir() for place in self._folders[split]):
            return []  # A list may leave pictures out on purpose.
        pictures = {file for path in paths for file in _label_files(path, self._root)}
        folders = {file.parent for file in pictures}
        found = {
            path
            for folder in folders
            for path in folder.glob("*.[tT][xX][tT]")
            if not source.is_hidden(path.name)  # As macOS leaves on other disks.
        }
        others = sorted(found - pictures - {f / "classes.txt" for f in folders})
        return [
            Item(
                source.storable(path.stem),
                source.skipped(Reason.MISSING_FILE, f"no picture for {path.name}"),
            )
            for path in others
        ]

    def _read(self, path: pathlib.Path) -> Scene:
        label_file = _label_file(path, self._root)
        if label_file is None:
            return Scene(path)
        try:
            lines = label_file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            detail = f"{label_file.name}: {error}"
            raise SkipPicture(Reason.BAD_ANNOTATION_FILE, detail) from None
        boxes = [self._box(line.strip()) for line in lines if line.strip()]
        return Scene(path, source.repeats_marked(boxes), boxes_are_shares=True)

    def _box(self, line: str) -> SourceBox:
        class_text, *columns = line.split()
        class_id, values = source.number(class_text), list(map(source.number, columns))
        known = class_id in range(len(self._class_names))
        label = int(class_id) + 1 if known else None
        count = 1 + len(values)
        if count == _BOX_COLUMNS or (self._has_keypoints and count > _BOX_COLUMNS):
            x, y, width, height = values[: _BOX_COLUMNS - 1]
            box = (y - height / 2, x - width / 2, y + height / 2, x + width / 2)
        elif count >= _FEWEST_POLYGON_COLUMNS and count % 2 == 1:
            box = _around(xs=values[0::2], ys=values[1::2])
        else:
            return SourceBox(line, problem=Reason.MALFORMED)
        return SourceBox(line, box, label)


def _chosen(classes: Sequence[str]) -> list[str]:
    path = class_list.file_of(classes)
    if path is None:
        return list(classes)
    is_yaml = path.suffix in _YAML_SUFFIXES
    names = _names(_read_yaml(path), path) if is_yaml else _lines(path)
    if not names:
        raise ValueError(f"`classes`: {path}: no name in it.")
    return names


def _load_yaml(root: pathlib.Path) -> tuple[dict[str, Any], pathlib.Path]:
    """Returns the settings, empty if there are none, and their path."""
    path = root / "data.yaml"
    others = sorted(
        path
        for path in root.iterdir()
        if path.suffix in _YAML_SUFFIXES and not source.is_hidden(path.name)
    )
    if not path.exists() and len(others) == 1:
        path = others[0]
    if not path.exists():
        return {}, path
    return _read_yaml(path), path


def _read_yaml(path: pathlib.Path) -> dict[str, Any]:
    try:
        content = path.read_text(encoding="utf-8-sig")
        settings = yaml.safe_load(content)
        as_text = yaml.load(content, yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not YAML: {error}.") from None
    if not isinstance(settings, dict):
        raise ValueError(
            f"{path}: must have `names` and `train`, got a {type(settings).__name__}."
        )
    names = settings.get("names")
    if isinstance(names, (list, dict)) and "names" in as_text:  # Not merged in.
        settings["names"] = _as_written(names, as_text["names"])
    return settings


def _as_written(names: list | dict, as_text: list | dict) -> list | dict:
    """Returns names as they are written, of which YAML takes `no` for a truth value."""
    if isinstance(names, list):
        return as_text
    texts = {yaml.safe_load(key): name for key, name in as_text.items()}
    return {key: texts.get(key, name) for key, name in names.items()}


def _names(settings: dict[str, Any], path: pathlib.Path) -> list[str]:
    names = settings.get("names") or []
    if isinstance(names, dict):
        if not all(isinstance(key, int) and key >= 0 for key in names):
            raise ValueError(f"{path}: keys of `names` must be ids, got {list(names)}.")
        source.check_largest_id(max(names), str(path), "Number them from 0.")
        names = [names.get(i, f"unused_{i}") for i in range(max(names) + 1)]
    if not isinstance(names, list):
        raise ValueError(f"{path}: `names` must be a list, got {names!r}.")
    count = settings.get("nc", len(names))
    if names and source.number(count) != len(names):
        raise ValueError(
            f"{path}: `nc` must be the number of `names`, which is {len(names)}, got "
            f"{count!r}."
        )
    return [str(name) for name in names]


def _read_classes(root: pathlib.Path) -> list[str]:
    for path in (root / "classes.txt", root / "labels" / "classes.txt"):
        if path.is_file():
            return _lines(path)
    return []


def _lines(path: pathlib.Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text: {error}.") from None
    lines = [line.strip() for line in text.rstrip().splitlines()]
    # An empty line still has a number.
    return [line or f"unused_{i}" for i, line in enumerate(lines)]


def _folders_of_yaml(
    root: pathlib.Path, settings: dict[str, Any], path: pathlib.Path
) -> tuple[dict[str, list[pathlib.Path]], dict[str, str]]:
    """Returns the folders and lists of the splits, and what is missing of others.

    Raises:
      ValueError: A split is no path, or is not there and cannot be done without.
    """
    base = root / str(settings.get("path") or "")
    folders, absent = {}, {}
    for split in _SPLITS:
        places = settings.get(split) or []
        places = [places] if isinstance(places, str) else places
        if not isinstance(places, list):
            raise ValueError(f"{path}: `{split}` must be a path, got {places!r}.")
        found = [_found(str(place), base, root) for place in places]
        if None in found:
            where = " or ".join(dict.fromkeys((str(base), str(root))))
            absent[split] = (
                f"{path}: `{split}`: there is no {places[found.index(None)]} in "
                f"{where}."
            )
            if split not in _OPTIONAL or not folders:
                raise ValueError(f"{absent[split]} Correct it, or take the line out.")
        elif found:
            folders[split] = found
    return folders, absent


def _found(place: str, base: pathlib.Path, root: pathlib.Path) -> pathlib.Path | None:
    # Roboflow writes "../train/images" and means "train/images".
    guesses = (base / place, root / place, root / place.removeprefix("../"))
    return next((guess for guess in guesses if guess.exists()), None)


def _usual_folders(root: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    pictures = root / "images"
    if not pictures.is_dir():
        raise ValueError(f"{root}: found neither a data.yaml nor a folder `images`.")
    named = source.usual_first(
        path.name
        for path in pictures.iterdir()
        if path.is_dir() and source.is_split_name(path.name)
    )
    folders = {split: [pictures / split] for split in named}
    return folders or {source.DEFAULT_SPLIT: [pictures]}


def _files(place: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Returns the pictures of a folder, or those a txt file lists, and other files.

    The others may be pictures of an unknown kind: `b.heic`, but not `a.npy` beside
    `a.jpg`, which some tool has made of it.
    """
    if place.is_dir():
        files = source.files_below(place)
        pictures = [path for path in files if source.is_picture_name(path)]
        known = {path.with_suffix("") for path in pictures}
        return pictures, [
            path
            for path in files
            if path.suffix.lower() not in _TEXT_SUFFIXES
            and path.with_suffix("") not in known
        ]
    try:
        lines = place.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{place}: not a list in UTF-8: {error}.") from None
    pictures = [place.parent / line.strip() for line in lines if line.strip()]
    if not all(path.name for path in pictures):
        raise ValueError(f"{place}: a line such as `.` or `/` names no picture.")
    return pictures, []


def _label_file(picture: pathlib.Path, root: pathlib.Path) -> pathlib.Path | None:
    return next((p for p in _label_files(picture, root) if p.exists()), None)


def _label_files(picture: pathlib.Path, root: pathlib.Path) -> list[pathlib.Path]:
    """Returns where the labels of a picture may be, the likeliest first."""
    stems = [picture]
    parts = list(picture.parts)
    if "images" in parts[:-1]:
        last = len(parts) - 2 - parts[-2::-1].index("images")
        parts[last] = "labels"
        is_above = picture.is_relative_to(root) and last < len(root.parts)
        # A folder above the data set may be called `images` for another reason.
        stems = [pathlib.Path(*parts), *(stems if is_above else [])]
    return [stem.with_suffix(end) for stem in stems for end in (".txt", ".TXT")]


def _around(
    xs: Sequence[float], ys: Sequence[float]
) -> tuple[float, float, float, float]:
    """Returns the box around a polygon; nan if any of its numbers is, as `sum` is."""
    nan_or_zero = 0 * (sum(xs) + sum(ys))
    return (
        min(ys) + nan_or_zero,
        min(xs) + nan_or_zero,
        max(ys) + nan_or_zero,
        max(xs) + nan_or_zero,
    )
