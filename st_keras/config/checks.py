"""How the sections of a config refuse a value: by name, with what was wanted."""

import dataclasses

# For every section; frozen, so that nothing changes after the checks.
settings = dataclasses.dataclass(frozen=True, kw_only=True)


def check(name: str, value: object, ok: bool, wanted: str) -> None:
    """Raises ValueError with what was wanted and got, unless it is ok."""
    if not ok:
        raise ValueError(f"`{name}` must be {wanted}, got {value}.")


def check_above_zero(section: object, *names: str) -> None:
    """Checks fields of a section by name."""
    for name in names:
        value = getattr(section, name)
        check(name, value, value > 0, "above 0")


def check_not_negative(section: object, *names: str) -> None:
    """Checks fields of a section by name."""
    for name in names:
        value = getattr(section, name)
        check(name, value, value >= 0, "0 or more")


def check_share(section: object, *names: str) -> None:
    """Checks that fields are in [0, 1]."""
    for name in names:
        value = getattr(section, name)
        check(name, value, 0.0 <= value <= 1.0, "in [0, 1]")


def check_choice(section: object, name: str, choices: tuple[str, ...]) -> None:
    """Checks that a field is one of a few words."""
    value = getattr(section, name)
    check(name, repr(value), value in choices, f"one of {', '.join(choices)}")
