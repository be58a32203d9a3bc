"""What a grid would run, and what that would cost."""

from collections.abc import Mapping, Sequence

from st_keras.config import Config
from st_keras.config.grid import cell_at
from st_keras.data import dataset_info, splits
from st_keras.experiments import ledger, multiply_adds, tables
from st_keras.experiments.data_checks import held_out_pictures, unlabeled_pictures
from st_keras.experiments.grids.jobs import Job, config_of, of_job, status
from st_keras.experiments.ledger import Cost
from st_keras.experiments.roles import teacher_config
from st_keras.experiments.stages import Pictures

# Of a TPU v3 chip: 123 TFLOP/s in bfloat16 (cloud.google.com/tpu/docs/v3), of which
# large convolutional models use about a third. An assumption, which the plan states.
_CHIP_FLOPS = 123e12
_USE = 0.3
_FLOPS_PER_MULTIPLY_ADD = 2
_MORE = "+"  # Behind a number to which labelling would add.


def format_plan(of_all: Sequence[Job]) -> str:
    """Returns a table of jobs: status, images, steps, multiply-adds, chip-hours.

    Stages that cells share are counted in each of them, although they run only once.
    """
    rows = [
        ["cell", "seed", "status", "images", "steps", "multiply-adds", "chip-hours"]
    ]
    known: dict[tuple[str, str], tuple[Cost, bool]] = {}
    total, is_whole = Cost(), True
    for job in of_all:
        name = job.grid, job.cell
        if name not in known:
            known[name] = cost_of(job), not uncounted(job)
        cost, is_counted = known[name]
        total, is_whole = total + cost, is_whole and is_counted
        rows.append([job.cell, str(job.seed), status(job), *_texts(cost, is_counted)])
    rows.append(["all", "", "", *_texts(total, is_whole)])
    paragraphs = [
        "Images and steps are of the stages behind each cell, with those it shares "
        "with others. Chip-hours are of a TPU v3 chip of "
        f"{_CHIP_FLOPS / 1e12:.0f} TFLOP/s at {_USE:.0%} of its peak. Labelling is "
        "counted once a picture."
    ]
    if not is_whole:
        missing = sorted({name for job in of_all for name in uncounted(job)})
        paragraphs.append(
            f"{_MORE}: more, by the labelling of {', '.join(missing)}, whose pictures "
            "no one can count here: a grid's `images` says how many records have. A "
            "control that costs as much has more steps too."
        )
    return "\n\n".join([tables.align(rows), *map(tables.wrap, paragraphs)])


def cost_of(job: Job) -> Cost:
    """Returns the cost of the stages behind a job, without their time.

    Pictures that are `uncounted` are labelled at no cost.
    """
    grid, cell = of_job(job)
    config = config_of(job)
    forward = multiply_adds.of_training(config)
    alone = ledger.training(teacher_config(config), *forward)
    if cell.arm.cost_of:
        other = cell_at(grid, cell.point, cell.arm.cost_of)
        theirs = config_of(job, other)
        whole = _self_training(theirs, other.arm.iterations, grid.images)
        steps = ledger.steps_worth(whole, teacher_config(config), *forward)
        share = steps / alone.steps
        return Cost(
            images=round(alone.images * share),
            steps=steps,
            multiply_adds=round(alone.multiply_adds * share),
        )
    if cell.arm.kind == "supervised":
        return alone
    return _self_training(config, cell.arm.iterations, grid.images)


def uncounted(job: Job) -> list[str]:
    """Returns the records and files of ids whose pictures no one can count here.

    Those that a teacher labels for the job, or for the arm that it costs as much as.
    """
    grid, cell = of_job(job)
    if cell.arm.cost_of:
        cell = cell_at(grid, cell.point, cell.arm.cost_of)
    if cell.arm.kind == "supervised":
        return []
    config = config_of(job, cell)
    return [
        ids or records
        for records, ids in _labelled(config)
        if _count((records, ids), grid.images) is None
    ]


def _self_training(config: Config, iterations: int, known: Mapping[str, int]) -> Cost:
    forward = multiply_adds.of_training(config)
    total = ledger.training(teacher_config(config), *forward)
    for _ in range(iterations):
        for pictures in _labelled(config):
            total += ledger.inference(_count(pictures, known) or 0, forward[0])
        total += ledger.training(config, *forward)
    return total


def _labelled(config: Config) -> list[Pictures]:
    """Returns what a teacher labels for each student."""
    found = []
    if not config.pseudo.online:
        found.append(unlabeled_pictures(config.self_training))
    if config.self_training.calibration:
        found.append(held_out_pictures(config))
    return found


def _count(pictures: Pictures, known: Mapping[str, int]) -> int | None:
    """Returns how many pictures there are; None if that is not known here."""
    records, ids_file = pictures
    try:
        if ids_file:
            return len(splits.read_ids(ids_file))
        return dataset_info.load(records).images
    except ValueError:
        return None if ids_file else known.get(records)


def _texts(cost: Cost, is_whole: bool) -> list[str]:
    operations = _FLOPS_PER_MULTIPLY_ADD * cost.multiply_adds
    hours = operations / (_CHIP_FLOPS * _USE) / 3600
    more = "" if is_whole else _MORE
    return [
        f"{cost.images:,}{more}",
        f"{cost.steps:,}",
        f"{tables.billions(cost.multiply_adds)}{more}",
        f"{hours:,.0f}{more}" if hours >= 100 else f"{hours:.3g}{more}",
    ]
