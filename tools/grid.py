r"""Runs many experiments of one design and draws their table.

    python tools/grid.py --preset digits_study --workdir runs/digits_study
    python tools/grid.py --preset digits_study --workdir runs/digits_study --dry_run
    python tools/grid.py --preset digits_study --workdir runs/digits_study \
        --cell soft_labels --seeds 1

The same command goes on where a killed one stopped. Cells share what they have in
common, such as a teacher. At the end it writes a table, numbers and a figure, also for
cells from several machines, once their `cells` folders are merged into one workdir.
"""

import os
import pathlib
import shlex
import sys

from absl import flags

from st_keras import command_line, environment

_PRESETS = pathlib.Path(__file__).parents[1] / "configs/experiments"

_PRESET = flags.DEFINE_string("preset", None, "Name in configs/experiments, or a YAML.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for the runs.")
_CELL = flags.DEFINE_list("cell", [], "Cells to run; empty: all.")
_SEEDS = flags.DEFINE_list("seeds", [], "Seeds to run; empty: those of the grid.")
_QUICK = flags.DEFINE_bool(
    "quick", False, "The short form: the YAML called NAME_quick."
)
_SET = flags.DEFINE_multi_string("set", [], "Overrides of all cells.")
_DEVICES = command_line.define_device_overrides(hosts=False)
_PROCESSES = flags.DEFINE_integer(
    "processes", 1, "Cells at once, each on its share of the cores.", lower_bound=1
)
_DRY_RUN = flags.DEFINE_bool("dry_run", False, "Say what it would take.")
flags.mark_flags_as_required(["preset", "workdir"])


def main(argv):
    del argv
    environment.quiet()
    from st_keras.config import grid as grid_config

    path = _path(_PRESET.value, _QUICK.value)
    overrides = (*_SET.value, *_DEVICES())
    seeds = command_line.whole_numbers("seeds", _SEEDS.value)
    grid_config.check_all(path, overrides)
    # Here and not above: a mistake in a config need not wait for TensorFlow.
    from st_keras.experiments.grids import grid, jobs, plan, table

    of_all = jobs.of_grid(
        path, _WORKDIR.value, cells=_CELL.value, seeds=seeds, overrides=overrides
    )
    if _DRY_RUN.value:
        print(plan.format_plan(of_all))
        return
    failures = grid.run(of_all, _PROCESSES.value)
    if failures:
        raise ValueError("; ".join(f"{name}: {why}" for name, why in failures.items()))
    if _CELL.value:
        print(f"{len(of_all)} runs finished: {_WORKDIR.value}")
        return
    output = os.path.join(_WORKDIR.value, pathlib.Path(path).stem)
    command = shlex.join(["python", *sys.argv])
    print(table.write(path, _WORKDIR.value, output, command, overrides, seeds))
    print(f"Written: {output}.md, .json, .png")


def _path(preset: str, is_quick: bool) -> str:
    path = pathlib.Path(preset)
    if path.suffix not in (".yaml", ".yml"):
        path = _PRESETS / f"{preset}.yaml"
    if is_quick:
        path = path.with_stem(f"{path.stem}_quick")
    return os.path.relpath(path)


if __name__ == "__main__":
    command_line.run(main)
