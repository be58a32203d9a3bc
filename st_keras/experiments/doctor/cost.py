"""What a run takes: time, disk and memory."""

import os
import pathlib
import shutil

from st_keras.config import Config
from st_keras.experiments import ledger, multiply_adds
from st_keras.experiments.doctor.case import Case, Finding, problem, warning
from st_keras.experiments.doctor.trial import trial_config
from st_keras.experiments.roles import control_config, teacher_config

_MUCH = 0.5  # Share of what is free; above it, a warning.
# A container's folder, and its files of the limit and of what is used, cache included;
# last, in memory.stat, the cache that is given back when memory is asked for.
_GROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    (
        *("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
        "total_inactive_file",
    ),
)


def stage_seconds(
    config: Config,
    *,
    steps_per_second: float,
    seconds_before: float,
    pictures_per_second: float,
    unlabeled_pictures: int,
) -> dict[str, float]:
    """Returns the seconds of each stage, in order; evaluations are not counted.

    Args:
      config: Of one run, or of a student with its teacher and control.
      steps_per_second: Of training, as `trial_config` has it; the steps of other stages
        are taken to last as much longer as they have more multiply-adds.
      seconds_before: Of each training run, besides its steps.
      pictures_per_second: Of labelling; 0: not known, and left out.
      unlabeled_pictures: Pictures that the teacher labels.
    """

    def training(steps: float) -> float:
        return seconds_before + steps / steps_per_second

    steps = config.training.steps
    if not (config.self_training and config.pseudo):
        return {config.role: training(steps)}
    teacher = teacher_config(config)
    control = control_config(config, teacher.training.steps + steps)
    tried = trial_config(config, steps)
    forward = multiply_adds.of_training(config) if config.joint else (1, 0)

    def of_step(run: Config) -> float:
        return ledger.training(run, *forward).multiply_adds / run.training.steps

    def of_run(run: Config) -> float:
        """Scales a run's steps by their cost, as the step that was tried is another."""
        return training(run.training.steps * of_step(run) / of_step(tried))

    stages = {"teacher": of_run(teacher)}
    if pictures_per_second:
        stages["labelling"] = unlabeled_pictures / pictures_per_second
    stages["student"] = of_run(config)
    if config.self_training.control:
        stages["control"] = of_run(control)
    return stages


def disk_bytes(
    config: Config, *, checkpoint_bytes: int, unlabeled_bytes: int
) -> dict[str, int]:
    """Returns what the run writes: checkpoints of all stages, and pseudo records.

    Args:
      config: Of one run, or of a student with its teacher and control.
      checkpoint_bytes: Of one: model, optimizer, averages.
      unlabeled_bytes: Of the pictures to label; the pseudo records store them again.
    """
    runs, records = 1, {}
    if config.self_training and config.pseudo:
        runs = 2 + config.self_training.control
        if not config.pseudo.online:
            records = {"pseudo records": unlabeled_bytes}
    # The oldest one is deleted only once the newest is written.
    count = runs * config.training.keep_checkpoints + 1
    return {"checkpoints": count * checkpoint_bytes} | records


def buffer_bytes(case: Case) -> int:
    """Returns the bytes of encoded pictures that the input pipeline of a step holds."""
    config, total = case.config, 0
    parts = {"human": ("human", config.human)}
    if config.pseudo:
        source = "pseudo" if "pseudo" in case.opened else "unlabeled"
        parts["pseudo"] = (source, config.pseudo)
    if config.joint:
        parts["joint"] = ("joint", config.joint)
    for name, settings in parts.values():
        if name not in case.opened:
            continue
        opened = case.opened[name]
        if opened.size_bytes <= settings.cache_mb * 2**20:
            total += opened.size_bytes
        else:
            share = min(1.0, settings.shuffle_buffer / opened.source.count)
            total += round(opened.size_bytes * share)
    return total


def check_disk(case: Case) -> list[Finding]:
    """What the run writes must fit into the free space."""
    if case.trial is None:
        return []
    needed = disk_bytes(
        case.config,
        checkpoint_bytes=case.trial.checkpoint_bytes,
        unlabeled_bytes=_unlabeled(case, "size_bytes"),
    )
    free, total = free_disk_bytes(case.workdir), sum(needed.values())
    parts = " and ".join(f"{size(value)} of {name}" for name, value in needed.items())
    return _judge(
        total,
        free,
        f"{case.workdir}: {parts} are to be written, {size(free)} are free",
        "Make room, name another `--workdir`, or lower `training.keep_checkpoints`.",
    )


def check_memory(case: Case) -> list[Finding]:
    """What the input pipeline holds must fit into memory."""
    held, free = buffer_bytes(case), free_memory_bytes()
    return _judge(
        held,
        free,
        f"`cache_mb` and `shuffle_buffer` hold {size(held)} of encoded pictures, "
        f"{size(free)} of memory are free",
        "Lower `cache_mb` of `human`, `pseudo` and `joint`, and `shuffle_buffer` if "
        "it is not enough.",
    )


def free_disk_bytes(folder: str) -> int:
    """Returns the free space where a folder is, or will be."""
    path = pathlib.Path(folder).expanduser().absolute()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def free_memory_bytes() -> int:
    """Returns the memory this process may still take, within its container's limit."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = pathlib.Path("/proc/meminfo")
    if meminfo.exists():
        rows = dict(line.split(":") for line in meminfo.read_text().splitlines())
        if "MemAvailable" in rows:
            free = int(rows["MemAvailable"].split()[0]) * 1024
    for folder, bound, used, cache in _GROUPS:
        group = pathlib.Path(folder)
        try:
            left = int((group / bound).read_text()) - int((group / used).read_text())
            stat = (group / "memory.stat").read_text().split()
            left += int(dict(zip(stat[::2], stat[1::2], strict=True))[cache])
        except (OSError, ValueError, KeyError):
            continue  # No such limit.
        free = min(free, max(left, 0))
    return free


def size(count_bytes: float) -> str:
    """Returns a number of bytes as text."""
    for unit in ("B", "kB", "MB"):
        if count_bytes < 1000:
            return f"{count_bytes:.3g} {unit}"
        count_bytes /= 1000
    return f"{count_bytes:,.1f} GB"


def unlabeled_pictures(case: Case) -> int:
    """Returns how many pictures a teacher is to label."""
    opened = case.opened.get("unlabeled")
    return opened.source.count if opened else 0


def _unlabeled(case: Case, field: str) -> int:
    opened = case.opened.get("unlabeled")
    return getattr(opened, field) if opened else 0


def _judge(needed: int, free: int, what: str, fix: str) -> list[Finding]:
    if needed > free:
        return [problem(f"{what}.", fix)]
    if needed > _MUCH * free:
        return [warning(f"{what}.", fix)]
    return []
