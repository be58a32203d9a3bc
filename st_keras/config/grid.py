"""Settings of a grid: many runs of one design, such as a table of the paper."""

import dataclasses
import itertools
import pathlib

from st_keras.config.checks import check, check_choice, settings
from st_keras.config.identity import digest
from st_keras.config.load import ConfigError, build, load, load_file
from st_keras.config.schema import Config

_KINDS = ("supervised", "self_training")


@settings
class ArmConfig:
    """One way to train, at every point of the grid."""

    # supervised: human labels only. self_training: a teacher and its students.
    kind: str = "self_training"
    set: tuple[str, ...] = ()  # Overrides of the config, as `pseudo.min_score=0.6`.
    iterations: int = 1  # Students, each taught by the one before.
    # Of `supervised`: name of the arm at whose whole cost, teachers and labelling
    # included, this one is trained; empty: as many steps as a teacher.
    cost_of: str = ""

    def __post_init__(self):
        check_choice(self, "kind", _KINDS)
        check("iterations", self.iterations, self.iterations > 0, "1 or more")
        is_supervised = self.kind == "supervised"
        wanted = "1 with `kind: supervised`, which has no students"
        check(
            "iterations",
            self.iterations,
            self.iterations == 1 or not is_supervised,
            wanted,
        )
        wanted = "empty with `kind: self_training`"
        check("cost_of", repr(self.cost_of), is_supervised or not self.cost_of, wanted)


@settings
class GridConfig:
    """Cells: every arm at every combination of the axes' values, for every seed."""

    title: str
    config: str  # The student's YAML, relative to this file.
    seeds: tuple[int, ...]
    set: tuple[str, ...] = ()  # Overrides of all cells; all other overrides win.
    # Overrides by axis and value; the first axis gives the columns of the table.
    axes: dict[str, dict[str, tuple[str, ...]]] = dataclasses.field(
        default_factory=dict
    )
    arms: dict[str, ArmConfig]
    # Models to start from, by name: the YAML of each. `{name}` in an override stands
    # for its run with the cell's seed, made once and counted in no cell's cost.
    pretrained: dict[str, str] = dataclasses.field(default_factory=dict)
    reference: str = ""  # Arm that the others are compared with, seed by seed.
    # Factors by claim and cell: a claim holds if the sum of its cells' results, times
    # their factors, is above 0 beyond chance.
    claims: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    only_claims: bool = False  # Leave out the cells that no claim uses.
    # The paper's numbers by cell, named `arm` or `value/value/arm`.
    published: dict[str, float] = dataclasses.field(default_factory=dict)
    source: str = ""  # Where these are published.
    # Pictures by glob of records: what `--dry_run` counts where these are elsewhere.
    images: dict[str, int] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        unique = len(set(self.seeds)) == len(self.seeds)
        check("seeds", self.seeds, bool(self.seeds) and unique, "different numbers")
        check("arms", self.arms, bool(self.arms), "one or more")
        of_axes = {f"axes.{axis}": values for axis, values in self.axes.items()}
        for axis, values in of_axes.items():
            check(axis, values, bool(values), "one or more")
        for what, names in {"arms": self.arms, **of_axes}.items():
            for name in names:
                # Results are in folders of these names: `a/b` would be two.
                is_folder = "/" not in name and name not in ("", ".", "..")
                check(what, repr(name), is_folder, "names of folders, without `/`")
        for name, arm in self.arms.items():
            if arm.cost_of:
                target = self.arms.get(arm.cost_of)
                is_there = target is not None and target.kind == "self_training"
                check(
                    f"arms.{name}.cost_of",
                    repr(arm.cost_of),
                    is_there,
                    "an arm of self_training",
                )
        if self.reference:
            check_choice(self, "reference", tuple(self.arms))
        for name, of_cells in self.claims.items():
            check(name, "none", bool(of_cells), "of cells of the grid")
            unknown = sorted(set(of_cells) - set(self._product()))
            check(name, ", ".join(unknown), not unknown, "of cells of the grid")
        check(
            "only_claims",
            "true",
            bool(self.claims) or not self.only_claims,
            "false without `claims`",
        )
        unknown = sorted(set(self.published) - set(self.cells()))
        check("published", ", ".join(unknown), not unknown, "of cells of the grid")
        check(
            "source",
            repr(self.source),
            bool(self.source) == bool(self.published),
            "given with `published`",
        )
        too_few = {name: count for name, count in self.images.items() if count < 1}
        check("images", too_few, not too_few, "above 0")

    def points(self) -> list[tuple[str, ...]]:
        """Returns the combinations of the axes' values; without axes, one empty one."""
        return list(itertools.product(*self.axes.values()))

    def cells(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Returns point and arm of every cell by its name."""
        found = self._product()
        if self.only_claims:
            wanted = {cell for factors in self.claims.values() for cell in factors}
            return {name: found[name] for name in found if name in wanted}
        return found

    def _product(self) -> dict[str, tuple[tuple[str, ...], str]]:
        return {
            cell_name(point, arm): (point, arm)
            for point in self.points()
            for arm in self.arms
        }


def cell_name(point: tuple[str, ...], arm: str) -> str:
    """Returns the name of a cell: its point's values, then its arm."""
    return "/".join((*point, arm))


@settings
class Cell:
    """One cell: what is trained, and how."""

    name: str
    point: tuple[str, ...]
    arm_name: str
    arm: ArmConfig
    overrides: tuple[str, ...]


def load_grid(path: str) -> GridConfig:
    """Reads the YAML of a grid.

    Raises:
      ConfigError: Names the file, the path inside it, the value and the fix.
    """
    return build(GridConfig, load_file(path), str(path))


def cells_of(grid: GridConfig) -> list[Cell]:
    """Returns the cells in the order of the file."""
    return [cell_at(grid, point, arm) for point, arm in grid.cells().values()]


def cell_at(grid: GridConfig, point: tuple[str, ...], arm_name: str) -> Cell:
    """Returns one cell, even if the grid leaves it out."""
    arm = grid.arms[arm_name]
    values = zip(grid.axes.values(), point, strict=True)
    overrides = [text for axis, value in values for text in axis[value]]
    return Cell(
        name=cell_name(point, arm_name),
        point=point,
        arm_name=arm_name,
        arm=arm,
        overrides=(*overrides, *arm.set),
    )


def config_of_cell(
    path: str, grid: GridConfig, cell: Cell, seed: int, overrides: tuple[str, ...] = ()
) -> Config:
    """Returns the student's config of a cell.

    Args:
      path: Of the grid's file.
      grid: Its content.
      cell: One of its cells.
      seed: One of its seeds.
      overrides: Of all cells, after the grid's `set` and before their own.

    Raises:
      ConfigError: An override cannot be used; names the cell.
    """
    base = str(pathlib.Path(path).parent / grid.config)
    own = _named(path, grid, cell, seed, overrides)
    every = (*grid.set, *overrides, *own, f"seed={seed}")
    try:
        config = load(base, every)
    except ConfigError as error:
        raise ConfigError(f"{path}: {cell.name}: {error}") from None
    if not (config.self_training and config.pseudo):
        raise ConfigError(
            f"{path}: {cell.name}: {base} needs the `self_training` and `pseudo` parts."
        )
    # What the file is known to reach says nothing of a cell, which has other settings.
    return dataclasses.replace(config, expect=None)


def pretraining(
    path: str, grid: GridConfig, seed: int, overrides: tuple[str, ...] = ()
) -> dict[str, tuple[str, Config]]:
    """Returns stage and config of the models that cells start from, by name.

    Args:
      path: Of the grid's file.
      grid: Its content.
      seed: One of its seeds.
      overrides: Of all cells; here only those of `runtime` count.

    Raises:
      ConfigError: A config cannot be used.
    """
    device = [text for text in overrides if text.startswith("runtime.")]
    found = {}
    for name, file in grid.pretrained.items():
        config = load(str(pathlib.Path(path).parent / file), (*device, f"seed={seed}"))
        found[name] = f"pretrained-{name}-{digest(config)[:8]}", config
    return found


def _named(path, grid: GridConfig, cell: Cell, seed: int, overrides) -> list[str]:
    """Returns a cell's overrides with the stages of pre-training in their places."""
    texts = list(cell.overrides)
    for name, (stage, _) in pretraining(path, grid, seed, overrides).items():
        texts = [text.replace(f"{{{name}}}", stage) for text in texts]
    return texts


def check_all(path: str, overrides: tuple[str, ...] = ()) -> None:
    """Reads a grid and the config of each of its cells.

    Raises:
      ConfigError: One cannot be used.
    """
    grid = load_grid(path)
    for cell in cells_of(grid):
        config_of_cell(path, grid, cell, grid.seeds[0], overrides)
