"""What a grid would run, and what that would cost."""

from st_keras.config import Config
from st_keras.config.grid import cell_at, cells_of, config_of_cell, load_grid
from st_keras.data import dataset_info, splits
from st_keras.experiments import ledger, multiply_adds, tables
from st_keras.experiments.data_checks import held_out_pictures, unlabeled_pictures
from st_keras.experiments.grids.grid import Job, read_result
from st_keras.experiments.ledger import Cost
from st_keras.experiments.roles import teacher_config

# Of a TPU v3 chip: 123 TFLOP/s in bfloat16 (cloud.google.com/tpu/docs/v3), of which
# large convolutional models use about a third. An assumption, which the plan states.
_CHIP_FLOPS = 123e12
_USE = 0.3
_FLOPS_PER_MULTIPLY_ADD = 2


def format_plan(of_all: list[Job]) -> str:
    """Returns a table of jobs: status, images, steps, multiply-adds, chip-hours.

    Stages that cells share are counted in each of them, although they run only once.
    """
    rows = [
        ["cell", "seed", "status", "images", "steps", "multiply-adds", "chip-hours"]
    ]
    known: dict[tuple[str, str], Cost] = {}
    total = Cost()
    for job in of_all:
        cost = known.get((job.grid, job.cell))
        if cost is None:
            cost = known[job.grid, job.cell] = cost_of(job)
        total += cost
        status = "finished" if read_result(job) else "to run"
        rows.append([job.cell, str(job.seed), status, *_texts(cost)])
    rows.append(["all", "", "", *_texts(total)])
    return (
        f"{tables.align(rows)}\n\nImages and steps are of the stages behind each cell, "
        "with those it shares with others. Chip-hours are of a TPU v3 chip of "
        f"{_CHIP_FLOPS / 1e12:.0f} TFLOP/s at {_USE:.0%} of its peak. Labelling is "
        "counted once a picture, and only where the records are there."
    )


def cost_of(job: Job) -> Cost:
    """Returns the cost of the stages behind a job, without their time."""
    grid = load_grid(job.grid)
    cell = next(cell for cell in cells_of(grid) if cell.name == job.cell)
    config = config_of_cell(job.grid, grid, cell, job.seed, job.overrides)
    forward = multiply_adds.of_training(config)
    alone = ledger.training(teacher_config(config), *forward)
    if cell.arm.cost_of:
        other = cell_at(grid, cell.point, cell.arm.cost_of)
        theirs = config_of_cell(job.grid, grid, other, job.seed, job.overrides)
        whole = _self_training(theirs, other.arm.iterations)
        steps = ledger.steps_worth(whole, teacher_config(config), *forward)
        share = steps / alone.steps
        return Cost(
            images=round(alone.images * share),
            steps=steps,
            multiply_adds=round(alone.multiply_adds * share),
        )
    if cell.arm.kind == "supervised":
        return alone
    return _self_training(config, cell.arm.iterations)


def _self_training(config: Config, iterations: int) -> Cost:
    forward = multiply_adds.of_training(config)
    total = ledger.training(teacher_config(config), *forward)
    settings, labelled = config.self_training, []
    if not config.pseudo.online:
        labelled.append(unlabeled_pictures(settings))
    if settings.calibration:
        labelled.append(held_out_pictures(config))
    for _ in range(iterations):
        for records, ids in labelled:
            total += ledger.inference(_pictures(records, ids), forward[0])
        total += ledger.training(config, *forward)
    return total


def _pictures(records: str, ids_file: str) -> int:
    try:
        if ids_file:
            return len(splits.read_ids(ids_file))
        return dataset_info.load(records).images
    except ValueError:
        return 0


def _texts(cost: Cost) -> list[str]:
    operations = _FLOPS_PER_MULTIPLY_ADD * cost.multiply_adds
    hours = operations / (_CHIP_FLOPS * _USE) / 3600
    return [
        f"{cost.images:,}",
        f"{cost.steps:,}",
        tables.billions(cost.multiply_adds),
        f"{hours:.3g}",
    ]
