"""What follows from a compiled step: its time at best, what fits, what a run costs."""

import dataclasses
from collections.abc import Mapping

from st_keras.experiments.tpu.chips import Chip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Roofline:
    """The least time that a step can take.

    It is the larger of two times: that of its operations at the chip's peak, and that
    of its bytes at the memory's peak. Latencies, exchange between replicas and waiting
    for pictures come on top and are not included.
    """

    compute_seconds: float
    memory_seconds: float
    intensity: float  # Operations per byte of memory traffic.

    @property
    def seconds(self) -> float:
        return max(self.compute_seconds, self.memory_seconds)

    @property
    def bound(self) -> str:
        return "compute" if self.compute_seconds >= self.memory_seconds else "memory"


def roofline(flops: float, traffic_bytes: float, chip: Chip) -> Roofline:
    """Returns the least time of a step with so many operations and bytes."""
    return Roofline(
        compute_seconds=flops / chip.flops_per_second,
        memory_seconds=traffic_bytes / chip.hbm_bytes_per_second,
        intensity=flops / traffic_bytes,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of a whole run, at the roofline."""

    hours: float
    chip_hours: float


def cost(step_seconds: float, *, steps: int, chips: float) -> Cost:
    """Returns the cost of that many steps on that many chips."""
    hours = step_seconds * steps / 3600.0
    return Cost(hours=hours, chip_hours=hours * chips)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Memory:
    """The memory of a step: a fixed part, and a part for every image."""

    fixed_bytes: float
    per_image_bytes: float

    def at(self, images: int) -> float:
        return self.fixed_bytes + self.per_image_bytes * images

    def most_images(self, room_bytes: float) -> int:
        """Returns how many images there is room for."""
        return max(0, int((room_bytes - self.fixed_bytes) // self.per_image_bytes))


def memory(measured: Mapping[int, float], fixed_bytes: float = 0.0) -> Memory:
    """Returns the memory of a step as a line.

    Args:
      measured: Memory in bytes by images per replica. Of several sizes, the smallest
        and the largest make the line. Of one, all but the fixed part is assumed to grow
        with the images, which promises too few rather than too many.
      fixed_bytes: What does not grow with the images, such as variables and code.
    """
    few, many = min(measured), max(measured)
    # Memory comes in tiles: where two sizes take the same, the smaller says nothing.
    if few == many or measured[few] >= measured[many]:
        few = many
        per_image = (measured[few] - fixed_bytes) / few
        return Memory(fixed_bytes=fixed_bytes, per_image_bytes=per_image)
    per_image = (measured[many] - measured[few]) / (many - few)
    return Memory(
        fixed_bytes=measured[few] - per_image * few, per_image_bytes=per_image
    )


def replica_counts(parts: Mapping[str, int], chip: Chip, slices: int = 1) -> list[int]:
    """Returns the powers of two that divide every part of a batch, fewest first.

    Args:
      parts: Images per step by part, over all replicas.
      chip: Slices have at least its `fewest_replicas`.
      slices: Parts of equal size in which a replica takes its images.
    """
    counts, count = [], 1
    while all(images % (count * slices) == 0 for images in parts.values()):
        if count >= chip.fewest_replicas:
            counts.append(count)
        count *= 2
    return counts


def fewest_replicas(
    parts: Mapping[str, int], chip: Chip, largest_images: int, slices: int = 1
) -> int | None:
    """Returns the smallest slice on which the batch fits; None: on none.

    Args:
      parts: Images per step by part, over all replicas.
      chip: Of the slice.
      largest_images: Most images that fit into a replica.
      slices: As for `replica_counts`.
    """
    total = sum(parts.values())
    for count in replica_counts(parts, chip, slices):
        if total // count <= largest_images:
            return count
    return None
