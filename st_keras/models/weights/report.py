"""What was loaded, what is missing, what was left, and why."""

import collections
import dataclasses
import json

from st_keras import writing

_SHOWN = 5  # Lines per list; the JSON file has all.
_UNKNOWN = "nothing in the model corresponds to it"


@dataclasses.dataclass
class Report:
    """The outcome of loading one file into one model."""

    path: str
    origin: str  # In words, where the file is from.
    parts: tuple[str, ...]
    loaded: dict[str, str]  # Our address to the name in the file.
    missing: dict[str, str]  # Our address to the reason.
    unused: dict[str, str]  # Name in the file to the reason.
    left: tuple[str, ...] = ()  # Parts of the model that keep their random weights.
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Returns counts and the first lines of each list."""
        lines = [f"{self.path}: {self.origin}"]
        lines.append(f"loaded: {len(self.loaded)} weights of {', '.join(self.parts)}")
        if self.left:
            lines.append(f"random as before: {', '.join(self.left)}")
        lines.append(f"missing: {len(self.missing)}")
        lines += _first(f"{name}: {why}" for name, why in self.missing.items())
        lines.append(f"unused: {len(self.unused)}")
        lines += _groups(self.unused)
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    def write(self, path: str, **more: object) -> None:
        """Writes all of it as JSON, and `more` with it."""
        content = dataclasses.asdict(self) | more
        content["unused"] = {n: why or _UNKNOWN for n, why in self.unused.items()}
        writing.write_text(path, json.dumps(content, indent=1))


class IncompleteError(ValueError):
    """A file does not hold what was asked for; `report` tells what is missing."""

    def __init__(self, message: str, report: Report):
        super().__init__(message)
        self.report = report


def count(names: dict[str, str]) -> str:
    """Returns the first reasons of a list and how many more there are."""
    shown = [f"{name}: {why}" for name, why in list(names.items())[:3]]
    more = len(names) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _first(lines) -> list[str]:
    lines = list(lines)
    shown = [f"  {line}" for line in lines[:_SHOWN]]
    return shown + ([f"  and {len(lines) - _SHOWN} more"] if lines[_SHOWN:] else [])


def _groups(reasons: dict[str, str]) -> list[str]:
    """Returns one line per reason, with an example."""
    groups = collections.defaultdict(list)
    for name, why in reasons.items():
        groups[why or _UNKNOWN].append(name)
    return [
        f"  {len(names)}: {why}, as {names[0]}"
        for why, names in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]
