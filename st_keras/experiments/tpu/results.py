"""What was compiled, as a file of rows that grows from run to run."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

from st_keras.experiments.tpu.chips import CHIPS, Chip
from st_keras.experiments.tpu.compiler import Compiled


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One compilation: of which step, for which chip, and its outcome."""

    config: str  # Its path, and the overrides.
    step: str  # One of `lowering.STEPS`.
    chip: str  # A key of `CHIPS`.
    images: dict[str, int]  # Per replica, by part.
    images_per_step: dict[str, int]  # Of the config, over all replicas.
    steps: int  # Of the config's run.
    parameters: int
    compiled: Compiled
    slices: int = 1  # In which a replica takes its images.
    compiler: dict[str, str] = dataclasses.field(default_factory=dict)  # Versions.

    @property
    def kind_of_tpu(self) -> Chip:
        return CHIPS[self.chip]

    @property
    def images_per_replica(self) -> int:
        return sum(self.images.values())

    @property
    def replicas(self) -> int:
        """How many replicas the config's batch is spread over."""
        return sum(self.images_per_step.values()) // self.images_per_replica

    @property
    def key(self) -> tuple:
        return self.config, self.step, self.chip, self.images_per_replica


def read(path: str) -> list[Row]:
    """Returns the rows of a file; none if it is not there.

    Raises:
      ValueError: It is not such a file.
    """
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        return [
            Row(**{**row, "compiled": Compiled(**row["compiled"])})
            for row in content["rows"]
        ]
    except FileNotFoundError:
        return []
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not what `--tpu` writes: {error!r}.") from None


def check_none(path: str) -> None:
    """Refuses to write something else over a file of rows, which took hours to compile.

    Raises:
      ValueError: It has rows.
    """
    try:
        rows = read(path)
    except ValueError:  # Of another kind.
        return
    if rows:
        raise ValueError(
            f"{path}: has compiled steps, and only `--tpu` with a kind or a slice, "
            "such as v3-8, adds to them; choose another file."
        )


def merged(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """Returns the rows in their order; a new one replaces the old one of its key."""
    return list({row.key: row for row in (*old, *new)}.values())


def to_json(rows: Sequence[Row]) -> dict:
    """Returns what `read` reads."""
    return {
        "command": "python tools/doctor.py --config CONFIG --tpu SLICE --json FILE",
        "rows": [dataclasses.asdict(row) for row in rows],
    }
