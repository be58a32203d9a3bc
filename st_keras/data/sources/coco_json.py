"""What all readers of COCO's JSON share: its lists, checked, and its categories."""

import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from st_keras.data.sources import source

NO_ID = "?"  # Of an entry too damaged to have one.
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+")
# Also as in trainval35k, minival2014 and valminusminival2014, and as in testset.
_SPLIT_WORD = re.compile(
    "(?:mini)?(?:(?P<train>train(?:ing|val)?)"
    "|(?P<val>(?:val(?:id(?:ation)?)?|eval(?:uation)?)(?:minusminival)?)"
    "|(?P<test>test(?:ing)?))"
    "(?:set|split|data|images?|labels?|annotations?|instances)?"
)


def load(path: pathlib.Path) -> dict[str, Any]:
    """Returns the object: `images`, `annotations` and `categories` in it are lists.

    Only `images` must be there.

    Raises:
      ValueError: The file cannot be read or is not COCO's.
    """
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


def id_text(value: Any) -> str:
    """Returns an id as text: 1 and 1.0, which pandas writes, are the same."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return source.storable(str(value))


def is_crowd(annotation: dict[str, Any]) -> bool | None:
    """Says whether an annotation is of a crowd; None if `iscrowd` is neither 0 nor 1.

    Absent, null and NaN, which pandas writes for absent, mean 0.
    """
    told = annotation.get("iscrowd")
    if told is None or told != told:  # Only NaN is not itself.
        return False
    value = source.number(int(told) if isinstance(told, bool) else told)
    return bool(value) if value in (0, 1) else None


def is_image(entry: Any) -> bool:
    """Says whether an entry of `images` tells its id and its file."""
    return isinstance(entry, dict) and {"id", "file_name"} <= entry.keys()


def guess_split(path: pathlib.Path) -> str:
    """Returns `train`, `val` or `test`, whichever is the first such word of the name.

    `instances_train2017`, `trainAnnotations` and `my-test-set` have one, `latest` and
    `intervals` have none. Without one the folder tells, if it has the name of a split:
    Roboflow writes `valid/_annotations.coco.json`.
    """
    folder = path.absolute().parent.name
    names = [path.stem, *([folder] if source.is_split_name(folder) else [])]
    for word in _WORD.findall(" ".join(names)):
        if found := _SPLIT_WORD.fullmatch(word.lower()):
            return found.lastgroup
    return source.DEFAULT_SPLIT


def number_categories(
    categories: list[Any],
    keep_ids: bool,
    path: pathlib.Path,
    classes: Sequence[str] = (),
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Returns category id (as a string) to label, and the names, label 1 first.

    Args:
      categories: Of the JSON.
      keep_ids: Labels are the ids, and gaps have names too. Otherwise they are 1 to K
        in the order of the ids.
      path: Of the JSON, for messages.
      classes: Names, label 1 first, in place of that order; other categories have no
        label, and a name that no category has is a class without objects.

    Raises:
      ValueError: A category has no id or no name, or an id is there twice or is 0; or
        `classes` is given with `keep_ids`, or has no name that a category has.
    """
    names: dict[int, str] = {}
    for category in categories:
        try:
            category_id, name = int(category["id"]), category["name"]
        except (KeyError, TypeError, ValueError, OverflowError):
            name = None
        if name is None:
            raise ValueError(
                f"{path}: a category must have an integer `id` and a `name`, got "
                f"{json.dumps(category)}."
            )
        if category_id in names:
            raise ValueError(f"{path}: two categories have the id {category_id}.")
        names[category_id] = str(name)
    source.check_class_names(names.values(), str(path))
    if classes and keep_ids:
        raise ValueError("`classes` and `keep_category_ids` cannot both be given.")
    if classes:
        if not set(classes) & set(names.values()):
            raise ValueError(
                f"`classes` must be names of categories, got {', '.join(classes)}; "
                f"{path} has {', '.join(names.values()) or 'none'}."
            )
        class_names = source.distinct(classes)
        labels_by_name = {name: label for label, name in enumerate(class_names, 1)}
        numbered = {str(i): labels_by_name.get(name) for i, name in names.items()}
        return {i: label for i, label in numbered.items() if label}, class_names
    if not keep_ids:
        ordered = sorted(names)
        labels = {str(i): label for label, i in enumerate(ordered, start=1)}
        return labels, source.distinct([names[i] for i in ordered])
    if names and min(names) < 1:
        raise ValueError(
            f"{path}: `keep_category_ids` needs ids from 1, as 0 is the background in "
            f"records, got {min(names)}. Leave the flag away."
        )
    source.check_largest_id(
        max(names, default=0), str(path), "Leave `keep_category_ids` away."
    )
    every = range(1, max(names, default=0) + 1)
    class_names = source.distinct([names.get(i, f"unused_{i}") for i in every])
    return {str(i): i for i in names}, class_names


def _shape(content: Any) -> str:
    if isinstance(content, dict):
        return f"an object with {', '.join(map(repr, list(content)[:5])) or 'no key'}"
    return f"a {type(content).__name__}"
