"""What `--classes` and `--ignore` mean: names, and values or colours of masks."""

import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from st_keras.data.sources import source
from st_keras.data.sources.mask_files import color_value
from st_keras.types import IGNORED

_IGNORED_NAMES = ("ignore", "void")
_SEPARATOR = r"[\s,]+"
_COLOR_LINE = re.compile(rf"(\d+){_SEPARATOR}(\d+){_SEPARATOR}(\d+){_SEPARATOR}(\S.*)")
_VALUE_LINE = re.compile(r"(\d+)\s+(\S.*)")
_LARGEST_CHANNEL = 255


class ClassList(NamedTuple):
    """What the pixels of masks mean."""

    names: tuple[str, ...]  # Class id 0 first.
    class_ids: dict[int, int]  # By value, or by `color_value`; some are `IGNORED`.
    is_color: bool


def read_classes(classes: Sequence[str], ignore: Sequence[str | int] = ()) -> ClassList:
    """Reads the names, or the one text file that has a line per class.

    A line is `name`, where lines are numbered from 0; or `value name`; or `r,g,b name`
    (blanks may replace the commas). Class ids follow the first occurrence of each name.
    Lines of one name merge; `ignore` and `void`, in any case, are no classes. Empty
    lines and those that start with `#` do not count. The value 255 is ignored unless a
    line names it.

    Args:
      classes: Names, value 0 first, or the path of one file.
      ignore: More values that are no class.

    Raises:
      ValueError: The file cannot be read or a line is not like the first one; a value
        is there twice or is no number; there is no class or there are too many.
    """
    path = file_of(classes)
    lines = [name.strip() for name in classes] if path is None else _lines(path)
    if "" in lines:
        raise ValueError(f"`classes` must not be empty names, got {','.join(lines)}.")
    # Names given one by one mean themselves, whatever they look like.
    first_line = lines[0] if path is not None and lines else ""
    is_color = _COLOR_LINE.fullmatch(first_line) is not None
    if is_color or _VALUE_LINE.fullmatch(first_line):
        pairs = [_value_and_name(line, first_line, is_color, path) for line in lines]
    else:
        pairs = list(enumerate(lines))
    names = tuple(dict.fromkeys(n for _, n in pairs if n.lower() not in _IGNORED_NAMES))
    source.label_map_names(names)  # Raises if there are too many.
    ids_by_name = {name: i for i, name in enumerate(names)}
    class_ids: dict[int, int] = {}
    for value, name in pairs:
        if value in class_ids:
            told = f"`classes`: {name}" if path is None else f"{path}: {name}"
            raise ValueError(f"{told} has a value or colour that was there before.")
        class_ids[value] = ids_by_name.get(name, IGNORED)
    if is_color and ignore:
        raise ValueError(
            f"`ignore` must be empty where classes are colours, got {list(ignore)}; "
            f"call these colours `ignore` in {path}."
        )
    if not is_color:
        _add_ignored(class_ids, ignore, names)
        class_ids.setdefault(IGNORED, IGNORED)
    return ClassList(names, class_ids, is_color)


def read_names(classes: Sequence[str]) -> list[str]:
    """Returns names as they are given, or the lines of the one text file.

    Empty lines and those that start with `#` do not count.

    Raises:
      ValueError: The file cannot be read or has no name in it.
    """
    path = file_of(classes)
    if path is None:
        return list(classes)
    names = _lines(path)
    if not names:
        raise ValueError(f"`classes`: {path}: no name in it; write one per line.")
    return names


def file_of(classes: Sequence[str]) -> pathlib.Path | None:
    """Returns the file that `classes` is the path of; None if they are names.

    Raises:
      ValueError: It looks like a path, and there is no such file.
    """
    if len(classes) != 1:
        return None
    path = pathlib.Path(classes[0]).expanduser()
    if path.is_file():
        return path
    if path.suffix or len(path.parts) > 1:
        raise ValueError(
            f"`classes`: no such file: {path}. If it is a name, write it into a text "
            "file and pass that."
        )
    return None


def _lines(path: pathlib.Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"`classes`: {path}: not UTF-8 text: {error}.") from None
    stripped = [line.strip() for line in text.splitlines()]
    return [line for line in stripped if line and not line.startswith("#")]


def _value_and_name(
    line: str, first_line: str, is_color: bool, path: pathlib.Path
) -> tuple[int, str]:
    match = (_COLOR_LINE if is_color else _VALUE_LINE).fullmatch(line)
    if match is None:
        raise ValueError(
            f"{path}: every line must be like the first, `{first_line}`, got `{line}`."
        )
    *texts, name = match.groups()
    numbers = [int(text) for text in texts]
    if is_color and max(numbers) > _LARGEST_CHANNEL:
        raise ValueError(
            f"{path}: colours must be 0 to {_LARGEST_CHANNEL}, got `{line}`."
        )
    return color_value(*numbers) if is_color else numbers[0], name


def _add_ignored(
    class_ids: dict[int, int], ignore: Sequence[str | int], names: Sequence[str]
) -> None:
    for told in ignore:
        try:
            value = int(told)
        except ValueError:
            raise ValueError(
                f"`ignore` must be values of pixels such as 11,12, got {told}."
            ) from None
        if class_ids.setdefault(value, IGNORED) != IGNORED:
            name = names[class_ids[value]]
            raise ValueError(
                f"`ignore` must not hold values of `classes`, got {value}, which is "
                f"{name}; values count from 0."
            )
