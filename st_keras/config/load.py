"""Reads a Config from YAML: one-level `base`, overrides, strict types, clear errors."""

import dataclasses
import difflib
import json
import os
import pathlib
import re
import types
import typing

import yaml

from st_keras import writing
from st_keras.config.schema import Config

_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


_RENAMED = {
    "init_checkpoint": "`init: {kind: teacher, checkpoint: ...}`",
    "fpn_filters": "`neck_filters`",
}


class ConfigError(ValueError):
    """A setting that cannot be used, with its file and the path inside it."""


class _Loader(yaml.SafeLoader):
    """Refuses a name that occurs twice; PyYAML would silently keep the last."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a name must be a word", key.start_mark
                )
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"`{key.value}` is there twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def load(path: str, overrides: typing.Sequence[str] = ()) -> Config:
    """Reads a config file and applies overrides such as `pseudo.min_score=0.6`.

    Args:
      path: YAML file. Its `base`, relative to it, is read first; a base has no base.
      overrides: `a.b=value`; the value is YAML, `null` removes an optional part.

    Returns:
      The checked config.

    Raises:
      ConfigError: Names the file, the path inside it, the value and the fix.
    """
    settings = load_file(path)
    for override in overrides:
        _apply_override(settings, override)
    return from_dict(settings, source=str(path))


def load_file(path: str) -> dict:
    """Returns the settings of a YAML file, merged over those of its `base`."""
    settings = _read_yaml(path)
    base = settings.pop("base", None)
    if base is None:
        return settings
    if not isinstance(base, str):
        raise ConfigError(f"{path}: `base` must be a file name, got {base!r}.")
    base_path = pathlib.Path(path).parent / base
    base_settings = _read_yaml(base_path)
    if "base" in base_settings:
        raise ConfigError(
            f"{path}: `base` is one level deep, but {base_path} has a `base` itself; "
            "list the differences to the first file instead."
        )
    return _merge(base_settings, settings)


def from_dict(settings: dict, source: str = "config") -> Config:
    """Returns the checked Config that nested dictionaries describe."""
    return build(Config, settings, source)


def to_dict(config: Config) -> dict:
    """Returns nested dictionaries and lists that YAML and JSON can hold."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def save(config: Config, path: str) -> None:
    """Writes the whole config as YAML, so that a run can be read back."""
    text = yaml.safe_dump(to_dict(config), sort_keys=False)
    writing.write_text(path, text)


def _read_yaml(path: str | os.PathLike) -> dict:
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}.") from None
    try:
        settings = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as error:  # Such as the date 2020-13-45.
        raise ConfigError(f"{path}: not YAML: {error}") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: must hold `name: value` lines, got {settings!r}.")
    return settings


def _merge(base: dict, changes: dict) -> dict:
    merged = dict(base)
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(merged.get(name), dict):
            merged[name] = _merge(merged[name], value)
        else:
            merged[name] = value
    return merged


def _apply_override(settings: dict, override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set {override}: must look like `a.b=value`.")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"--set {override}: the value is not YAML: {error}") from None
    *parents, name = path.split(".")
    for parent in parents:
        if settings.get(parent) is None:
            settings[parent] = {}
        settings = settings[parent]
        if not isinstance(settings, dict):
            raise ConfigError(f"--set {override}: `{parent}` is a value, not a part.")
    settings[name] = value


def build(kind: type, settings: object, where: str):
    """Returns the checked settings that nested dictionaries describe.

    Args:
      kind: Dataclass of the settings.
      settings: By name.
      where: File and path inside it, for errors.

    Raises:
      ConfigError: Names the setting, the value and the fix.
    """
    if not isinstance(settings, dict):
        raise ConfigError(f"{where}: wanted `name: value` lines, got {settings!r}.")
    hints = typing.get_type_hints(kind)
    for name in settings:
        if name not in hints:
            if name in _RENAMED:
                raise ConfigError(f"{where}: `{name}` is {_RENAMED[name]} now.")
            near = difflib.get_close_matches(str(name), hints, n=1)
            fix = (
                f"Did you mean `{near[0]}`?"
                if near
                else f"There are: {', '.join(hints)}."
            )
            raise ConfigError(f"{where}: no setting `{name}`. {fix}")
    values = {
        name: _convert(value, hints[name], f"{where}: {name}")
        for name, value in settings.items()
    }
    missing = [
        field.name
        for field in dataclasses.fields(kind)
        if field.name not in values
        and field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ConfigError(f"{where}: `{missing[0]}` is required and not set.")
    try:
        return kind(**values)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _convert(value: object, hint: object, where: str):
    """Returns `value` as the annotated type, or raises an error naming its place."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        (hint,) = [h for h in typing.get_args(hint) if h is not type(None)]
    if hint is str and value is None:
        return ""  # `ids:` with nothing behind it.
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)
    if typing.get_origin(hint) is dict:
        return _convert_dict(value, typing.get_args(hint)[1], where)
    if typing.get_origin(hint) is tuple:
        return _convert_tuple(value, typing.get_args(hint), where)
    if hint is float and _is_number(value):
        return float(value)
    # PyYAML reads `1e-3` as a string: only `1.0e-3` is a float in YAML 1.1.
    if hint is float and isinstance(value, str) and _FLOAT.fullmatch(value):
        return float(value)
    if hint is str and isinstance(value, str) and value.startswith("~/"):
        return os.path.expanduser(value)
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(
        f"{where}: wanted {hint.__name__}, got {value!r} ({type(value).__name__})."
    )


def _convert_dict(value: object, hint: object, where: str) -> dict:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: wanted `name: value` lines, got {value!r}.")
    # YAML reads a name such as 20 as a number.
    return {str(k): _convert(v, hint, f"{where}: {k}") for k, v in value.items()}


def _convert_tuple(value: object, hints: tuple, where: str) -> tuple:
    if not isinstance(value, list | tuple):
        raise ConfigError(f"{where}: wanted a list, got {value!r}.")
    if hints[-1] is Ellipsis:
        hints = (hints[0],) * len(value)
    if len(hints) != len(value):
        raise ConfigError(f"{where}: wanted {len(hints)} values, got {list(value)}.")
    return tuple(
        _convert(v, h, f"{where}[{i}]")
        for i, (v, h) in enumerate(zip(value, hints, strict=True))
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
