"""Compiles a config's step for a TPU, at one size or until it is known what fits."""

import dataclasses
import gc
from collections.abc import Callable

from absl import logging

from st_keras.config import Config
from st_keras.experiments.tpu import (
    compiler,
    environment,
    estimate,
    lowering,
    page,
)
from st_keras.experiments.tpu.chips import Chip
from st_keras.experiments.tpu.results import Row

_FIRST = 2  # Images per replica of a part.


def examine(
    config: Config,
    name: str,
    chip: Chip,
    *,
    replicas: int | None = None,
    step: str = "train",
    timeout_seconds: float = 3600.0,
    keep: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """Returns the compilations that were made, in order.

    With a slice, there is one, of the images that each replica gets there. Without, a
    small size is compiled; its memory predicts the largest number of images that fits;
    that is compiled, and so on by the line through both, until the largest is known.

    Args:
      config: Of any run; records need not be there.
      name: Of the config.
      chip: Kind of TPU.
      replicas: Of the slice; None: to be found.
      step: One of `lowering.STEPS`.
      timeout_seconds: Of each compilation.
      keep: Called with each row as soon as it is made.

    Raises:
      ValueError: The config's images cannot be spread over the replicas.
      OSError: The compiler is not available.
    """
    parts = images_per_step(config, step)
    case = _Case(config, name, chip, step, timeout_seconds, parts, keep)
    in_slices = f" in {case.slices} slices" if case.slices > 1 else ""
    if replicas is not None:
        for part, images in parts.items():
            if images % (replicas * case.slices):
                raise ValueError(
                    f"`{part}.images_per_step` is {images}, which {replicas} replicas "
                    f"of {chip.slice_name(replicas)} cannot share evenly{in_slices}."
                )
        return [case.compile(replicas)]
    # From few images per replica to many.
    counts = estimate.replica_counts(parts, chip, case.slices)[::-1]
    if not counts:
        raise ValueError(
            f"{name}: {parts} images per step cannot be spread over "
            f"{chip.fewest_replicas} replicas, the fewest of a {chip.name}{in_slices}."
        )
    return _search(case, counts)


def images_per_step(config: Config, step: str) -> dict[str, int]:
    """Returns the images of a step by part, over all replicas."""
    if step != "train":  # Labelling uses the batch of evaluation.
        return {"evaluation": config.evaluation.images_per_step}
    parts = {"human": config.human, "pseudo": config.pseudo, "joint": config.joint}
    return {part: own.images_per_step for part, own in parts.items() if own}


@dataclasses.dataclass(frozen=True)
class _Case:
    config: Config
    name: str
    chip: Chip
    step: str
    timeout_seconds: float
    parts: dict[str, int]
    keep: Callable[[Row], None]

    @property
    def slices(self) -> int:
        is_train = self.step == "train"
        return self.config.training.accumulation_steps if is_train else 1

    def compile(self, replicas: int) -> Row:
        images = {part: count // replicas for part, count in self.parts.items()}
        # A warning, as binaries show nothing less; lowering takes minutes.
        logging.warning(
            "%s: lowering a step of %s for a replica of %s",
            self.name,
            images,
            self.chip.name,
        )
        lowered = lowering.lower(self.config, self.step, images)
        gc.collect()  # Frees the model; the compiler takes gigabytes of its own.
        compiled = compiler.compile_step(
            lowered.hlo, self.chip, timeout_seconds=self.timeout_seconds
        )
        row = Row(
            config=self.name,
            step=self.step,
            chip=self.chip.name,
            images=images,
            images_per_step=self.parts,
            steps=self.config.training.steps,
            parameters=lowered.parameters,
            compiled=compiled,
            slices=self.slices,
            compiler=environment.versions(),
        )
        self.keep(row)
        return row


def _search(case: _Case, counts: list[int]) -> list[Row]:
    """Compiles for some of the replica counts, from many replicas to few.

    Args:
      case: What is compiled.
      counts: In falling order.
    """
    largest_part = max(case.parts.values())
    start = next(
        (i for i, count in enumerate(counts) if largest_part // count >= _FIRST),
        len(counts) - 1,
    )
    rows: dict[int, Row] = {}  # By place in `counts`.
    place = start
    while place not in rows:
        rows[place] = case.compile(counts[place])
        verdict = rows[place].compiled.verdict
        if verdict in ("refused", "no answer"):
            break
        place = _next_place(rows, counts, case)
    return list(rows.values())


def _next_place(rows: dict[int, Row], counts: list[int], case: _Case) -> int:
    """Returns the size to compile next; one already compiled ends the search."""
    sizes = [sum(case.parts.values()) // count for count in counts]
    made = list(rows.values())
    room = page.room_bytes(made, case.chip)
    most = page.memory_of(made).most_images(room)
    guess = max((i for i, size in enumerate(sizes) if size <= most), default=0)
    fitting = [i for i, row in rows.items() if row.compiled.verdict == "fits"]
    too_large = [i for i, row in rows.items() if row.compiled.verdict == "too large"]
    # Always below the smallest size that does not fit.
    highest = min(too_large, default=len(counts)) - 1
    return max(0, min(guess, highest), max(fitting, default=0))
