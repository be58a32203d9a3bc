"""Which weights of a file become which weights of a model."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from st_keras.models.weights.source import Source


@dataclasses.dataclass(frozen=True)
class Pick:
    """A weight computed from some of the file's; it has the shape of the first."""

    names: tuple[str, ...]
    combine: Callable[..., np.ndarray] | None = None
    how: str = ""  # What `combine` does, for the report.

    def value(self, source: Source) -> np.ndarray:
        """Reads the weight."""
        values = [source.value(name) for name in self.names]
        return self.combine(*values) if self.combine else values[0]


def pick(name: str) -> Pick:
    """Takes a weight of the file as it is."""
    return Pick((name,))


@dataclasses.dataclass
class Plan:
    """What to load, and what is known of the rest."""

    origin: str  # Where the file is from, in words.
    picks: dict[str, Pick] = dataclasses.field(default_factory=dict)  # By address.
    # Why an address has no pick.
    lacking: dict[str, str] = dataclasses.field(default_factory=dict)
    # Given a name in the file, returns why it is not used, or empty.
    explain: Callable[[str], str] = lambda name: ""
    # Prefixes of the names that belong to a part: all such names must be used.
    claims: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    # Why the model would compute another function than the file's.
    refusals: dict[str, str] = dataclasses.field(default_factory=dict)  # By part.
    notes: list[str] = dataclasses.field(default_factory=list)


def problems(
    plan: Plan,
    source: Source,
    wanted: Mapping[str, tuple[int, ...]],
) -> dict[str, str]:
    """Returns why addresses cannot be loaded.

    Args:
      plan: For this model and file.
      source: The file.
      wanted: Shape of each weight to load, by address.
    """
    found = {}
    for address, shape in wanted.items():
        chosen = plan.picks.get(address)
        if chosen is None:
            reason = plan.lacking.get(address, "the file has nothing of this part")
        elif absent := [name for name in chosen.names if name not in source.shapes]:
            reason = f"no `{absent[0]}` in the file"
        elif source.shapes[chosen.names[0]] != shape:
            reason = (
                f"must have shape {shape}, got {source.shapes[chosen.names[0]]} of "
                f"`{chosen.names[0]}`"
            )
        else:
            continue
        found[address] = reason
    return found


def unused(plan: Plan, source: Source, addresses: Iterable[str]) -> dict[str, str]:
    """Returns why weights of the file are not used.

    Args:
      plan: For this model and file.
      source: The file.
      addresses: What is loaded.
    """
    addresses = set(addresses)
    parts = {address.split("/")[0] for address in addresses}
    taken, others = set(), {}
    for address, chosen in plan.picks.items():
        part = address.split("/")[0]
        if address in addresses:
            taken.update(chosen.names)
        elif part not in parts:  # Else, the loaded part is larger in the file.
            others.update(
                dict.fromkeys(chosen.names, f"of part {part}, which is not loaded")
            )
    return {
        name: others.get(name) or plan.explain(name)
        for name in source.shapes
        if name not in taken
    }


def extra(
    plan: Plan, reasons: Mapping[str, str], parts: Iterable[str]
) -> dict[str, str]:
    """Returns weights of loaded parts that only the file has: name to part."""
    claims = {part: plan.claims.get(part, ()) for part in parts}
    return {
        name: part
        for name, reason in reasons.items()
        if not reason
        for part, prefixes in claims.items()
        if any(name.startswith(prefix) for prefix in prefixes)
    }
