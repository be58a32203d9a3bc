"""Which settings tell one run from another."""

import dataclasses
import hashlib
import json

from st_keras.config.schema import Config

# They change none of the numbers that a run has reached: how much memory it takes, how
# much disk, on which slice of TPUs it is, and what it does if a loss is not finite.
MAY_CHANGE = frozenset(
    (
        "evaluation.images_per_step",
        "training.keep_checkpoints",
        "training.on_nonfinite",
        "runtime.tpu",
    )
)
_HEX_DIGITS = 12


def digest(config: Config) -> str:
    """Returns 12 hex digits that change with any setting that changes numbers.

    `config.MAY_CHANGE` names the others, such as `runtime.tpu`. Nor do the digits
    change with `expect`, which says what a run is known to reach. A setting at its
    default counts as one that is not there, so that a later version with more settings
    gives the same digits. Therefore no default may change: a test holds them to
    tests/config/defaults.json.
    """
    text = json.dumps(_told(_without_free(config)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_HEX_DIGITS]


def task_digest(config: Config) -> str:
    """Returns 12 hex digits that change with what the task's part says, as `digest`."""
    text = json.dumps({config.task_name: _told(config.section)}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_HEX_DIGITS]


def free_settings(config: Config) -> dict[str, object]:
    """Returns what the digest does not know, by dotted name."""
    found = {}
    for name in sorted(MAY_CHANGE):
        part, setting = name.split(".")
        found[name] = getattr(getattr(config, part), setting)
    return found


def _without_free(config: Config) -> Config:
    """Returns the config with what does not count at its defaults."""
    config = dataclasses.replace(config, expect=None)
    for name in MAY_CHANGE:
        part, setting = name.split(".")
        own = getattr(config, part)
        (field,) = (f for f in dataclasses.fields(own) if f.name == setting)
        own = dataclasses.replace(own, **{setting: _default(field)})
        config = dataclasses.replace(config, **{part: own})
    return config


def _told(part: object) -> dict:
    """Returns the settings of a dataclass that are not at their defaults."""
    found = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        if value != _default(field):
            is_part = dataclasses.is_dataclass(value)
            found[field.name] = _told(value) if is_part else _plain(value)
    return found


def _default(field: dataclasses.Field) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default  # MISSING, which equals no value, where there is none.


def _plain(value: object) -> object:
    """Returns a value that is no part, or a dictionary or tuple of parts."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
