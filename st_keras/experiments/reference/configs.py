"""The page of all settings, made from the dataclasses that hold them."""

import dataclasses
import inspect
import types
import typing

import yaml

from st_keras.config import Config, TaskConfig
from st_keras.config.grid import ArmConfig, GridConfig
from st_keras.experiments.reference import ranges, source

_INTRODUCTION = """\
# Settings

All that a file of [configs](../../configs/README.md) can say. It lists what differs
from the defaults here; `--set pseudo.min_score=0.4` on the command line changes a
setting of the file, and `--set pseudo=null` takes a part out. A name that is not on
this page, a wrong type or a value out of range stops a tool at once and is named.

`ids:` with nothing behind it is empty. `base: other.yaml` on top takes over another
file, one level deep.

Made from the code by `python tools/reference.py --output docs/reference`.
"""
_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}
_MANY = {int: "whole numbers", float: "numbers", str: "texts"}
_COUNTS = {2: "two", 3: "three"}


def page() -> str:
    """Returns the page in Markdown."""
    parts = [_INTRODUCTION, _section("The file", Config)]
    parts.append(_section("Every task", TaskConfig))
    parts += [
        _section(", ".join(f"`{path}`" for path in paths), kind)
        for kind, paths in _kinds(Config).items()
    ]
    parts.append(_section("A grid", GridConfig))
    parts.append(_section("`arms` of a grid", ArmConfig))
    return "\n".join(parts)


def _kinds(top: type) -> dict[type, list[str]]:
    """Returns every nested class, with the paths at which it occurs."""
    found: dict[type, list[str]] = {}

    def visit(kind: type, path: str) -> None:
        for field in dataclasses.fields(kind):
            inner = _inner(typing.get_type_hints(kind)[field.name])
            if dataclasses.is_dataclass(inner):
                place = f"{path}{field.name}"
                found.setdefault(inner, []).append(place)
                visit(inner, f"{place}.")

    visit(top, "")
    return found


def _section(title: str, kind: type) -> str:
    module, node = ranges.class_of(kind.__module__, kind.__name__)
    wanted = ranges.ranges(module, node)
    own = {field.name: field for field in source.fields(module, node)}
    hints = typing.get_type_hints(kind)
    rows = [
        "| setting | type | default | range | what |",
        "| --- | --- | --- | --- | --- |",
    ]
    for field in dataclasses.fields(kind):
        # Inherited fields are listed with their own class, unless checked further here.
        if field.name not in own and field.name not in wanted:
            continue
        cells = [
            f"`{field.name}`",
            _type(hints[field.name]),
            _default(field),
            wanted.get(field.name, ""),
            own[field.name].comment if field.name in own else "",
        ]
        cells[-1] = cells[-1] or _elsewhere(kind, field.name, hints[field.name])
        rows.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    lines = [f"## {title}", "", inspect.getdoc(kind) or "", ""]
    if issubclass(kind, TaskConfig) and kind is not TaskConfig:
        lines += ["It also has the settings of [every task](#every-task).", ""]
    return "\n".join([*lines, *(rows if len(rows) > 2 else []), ""])


def _elsewhere(kind: type, name: str, hint: object) -> str:
    """Returns the description of a field that has no comment of its own."""
    inner = _inner(hint)
    if dataclasses.is_dataclass(inner):
        return inspect.getdoc(inner).partition("\n")[0]
    is_inherited = any(name in base.__annotations__ for base in kind.__mro__[1:-1])
    return "As in every task." if is_inherited else ""


def _inner(hint: object) -> object:
    """Returns the type without `| None`."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = [h for h in typing.get_args(hint) if h is not type(None)]
    return hint


def _type(hint: object) -> str:
    inner = _inner(hint)
    optional = ", or empty" if inner is not hint else ""
    if dataclasses.is_dataclass(inner):
        return f"part{optional}"
    arguments = typing.get_args(inner)
    if typing.get_origin(inner) is dict:
        return "names with values"
    if typing.get_origin(inner) is tuple:
        many = _MANY[arguments[0]]
        is_open = arguments[-1] is Ellipsis
        return f"list of {many}" if is_open else f"{_COUNTS[len(arguments)]} {many}"
    return f"{_WORDS[inner]}{optional}"


def _default(field: dataclasses.Field) -> str:
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING:
        return "required"
    if value is None or value in ("", (), {}):
        return "empty"
    if dataclasses.is_dataclass(value):
        changed = {
            f.name: getattr(value, f.name)
            for f in dataclasses.fields(value)
            if f.default != getattr(value, f.name)
        }
        return f"`{_yaml(changed)}`" if changed else "its defaults"
    return f"`{_yaml(value)}`"


def _yaml(value: object) -> str:
    """Returns a value as it would stand in a file."""
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, dict):
        value = {k: list(v) if isinstance(v, tuple) else v for k, v in value.items()}
    if isinstance(value, float):
        return f"{value:.6g}"
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")
