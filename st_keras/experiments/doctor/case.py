"""What the checks share: the config, what they have opened, and what they find."""

import dataclasses

from st_keras.config import Config
from st_keras.data.dataset_info import DatasetInfo
from st_keras.data.pipeline import Source
from st_keras.experiments.doctor.trial import Trial
from st_keras.tasks import Task

PROBLEM, WARNING = "problem", "warning"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, or may be."""

    kind: str  # `problem`: the run fails or cannot serve its purpose. `warning`.
    what: str  # Names the file or the setting, and the value.
    fix: str  # One sentence.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Opened:
    """Records that can be read."""

    records: str
    info: DatasetInfo  # Of all pictures, including those that the ids leave out.
    source: Source
    digests: dict[str, str]  # Of the chosen pictures, by id.
    size_bytes: int  # Of the chosen pictures, as they are stored.


@dataclasses.dataclass(kw_only=True)
class Survey:
    """Statistics of a set's labels, from a pass over them."""

    pictures: int = 0
    empty: int = 0
    per_class: dict[int, int] = dataclasses.field(default_factory=dict)
    most_per_picture: int = 0
    small: int = 0  # Objects whose shorter side is under 8 px in the network's input.
    human: dict[str, float] | None = None  # Density, from the quality measure.

    @property
    def objects(self) -> int:
        return sum(self.per_class.values())


@dataclasses.dataclass(kw_only=True)
class Case:
    """A config under examination; checks fill in what later ones need."""

    config: Config
    workdir: str  # Where the run will write.
    steps: int  # Of the trial; 0: none.
    opened: dict[str, Opened] = dataclasses.field(default_factory=dict)  # By set.
    task: Task | None = None  # None: the classes are not known.
    labelled: list[str] = dataclasses.field(default_factory=list)  # Sets to survey.
    surveys: dict[str, Survey] = dataclasses.field(default_factory=dict)
    trial: Trial | None = None


def problem(what: str, fix: str) -> Finding:
    """Returns something that must be fixed before the run."""
    return Finding(kind=PROBLEM, what=what, fix=fix)


def warning(what: str, fix: str) -> Finding:
    """Returns something that may be intended."""
    return Finding(kind=WARNING, what=what, fix=fix)


def from_error(error: Exception, fix: str, where: str = "") -> Finding:
    """Returns an error as a problem.

    Messages of this package first say what is wrong, then how to fix it, in a second
    sentence or after a semicolon.

    Args:
      error: Raised during a check.
      fix: For a message that does not say.
      where: What it is about, where the message does not say.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    what, stop, cure = text.partition(". ")
    if not stop:
        what, stop, cure = text.removesuffix(".").rpartition("; ")
        what, cure = (what, f"{cure[:1].upper()}{cure[1:]}.") if stop else (cure, fix)
    return problem(f"{where}: {what}." if where else f"{what}.", cure)
