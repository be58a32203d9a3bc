"""The TPUs that a step can be compiled for: their memory and their speed."""

import dataclasses

_GIB = 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chip:
    """One kind of TPU, by what a replica of `tf.distribute.TPUStrategy` gets of it."""

    name: str
    replica: str  # What a replica is: `core` or `chip`.
    replicas_per_chip: int
    slice_prefix: str  # Of the accelerator's name...
    slice_units: int  # ...whose number grows by this much with each replica.
    fewest_replicas: int  # Of a slice.
    hbm_bytes: int  # Per replica, as are the next three.
    reserved_bytes: int = 0  # What the compiler reports as unavailable; 0: not known.
    flops_per_second: float  # bfloat16.
    hbm_bytes_per_second: float
    topology: str  # What the compiler calls a small slice of it.
    topology_options: dict[str, str] = dataclasses.field(default_factory=dict)
    source: str

    def slice_name(self, replicas: int) -> str:
        """Returns the name of the accelerator type with that many replicas."""
        return f"{self.slice_prefix}-{replicas * self.slice_units}"

    def chips(self, replicas: int) -> float:
        return replicas / self.replicas_per_chip


CHIPS = {
    # A chip has two cores, each with its own half of the memory.
    "v3": Chip(
        name="v3",
        replica="core",
        replicas_per_chip=2,
        slice_prefix="v3",
        slice_units=1,
        fewest_replicas=8,
        hbm_bytes=16 * _GIB,
        reserved_bytes=round(0.52 * _GIB),  # "of 15.48G hbm".
        flops_per_second=123e12 / 2,
        hbm_bytes_per_second=900e9 / 2,
        topology="v3:2x2x1",
        source="https://cloud.google.com/tpu/docs/v3",
    ),
    # A chip's two cores work as one, on one memory; slices are named by cores.
    "v4": Chip(
        name="v4",
        replica="chip",
        replicas_per_chip=1,
        slice_prefix="v4",
        slice_units=2,
        fewest_replicas=4,
        hbm_bytes=32 * _GIB,
        flops_per_second=275e12,
        hbm_bytes_per_second=1200e9,
        topology="v4:2x2x1",
        topology_options={"chip_config_name": "megacore"},
        source="https://cloud.google.com/tpu/docs/v4",
    ),
    "v5e": Chip(
        name="v5e",
        replica="chip",
        replicas_per_chip=1,
        slice_prefix="v5litepod",
        slice_units=1,
        fewest_replicas=1,
        hbm_bytes=16 * _GIB,
        flops_per_second=197e12,
        hbm_bytes_per_second=819e9,
        topology="v5e:2x2",
        source="https://cloud.google.com/tpu/docs/v5e",
    ),
}


def is_kind(text: str) -> bool:
    """Whether a text is a kind or a slice of TPU rather than the name of a TPU."""
    kinds = {*CHIPS, *(chip.slice_prefix for chip in CHIPS.values())}
    kind, _, units = text.rpartition("-")
    return text in kinds or (kind in kinds and units.isdecimal())


def replicas_of_slice(chip: Chip, slice_name: str) -> int:
    """Returns the replicas of an accelerator type such as `v3-32`.

    Raises:
      ValueError: There is no such slice.
    """
    prefix, _, units = slice_name.rpartition("-")
    count = int(units) if units.isdecimal() else 0
    if prefix not in (chip.name, chip.slice_prefix) or count % chip.slice_units:
        count = 0
    replicas = count // chip.slice_units
    if replicas < chip.fewest_replicas:
        raise ValueError(
            f"`--tpu` must be {chip.name} or a slice such as "
            f"{chip.slice_name(chip.fewest_replicas)}, got {slice_name}."
        )
    return replicas


def parse(text: str) -> tuple[Chip, int | None]:
    """Returns the chip of a name such as `v3` or `v3-32`, and the replicas, if said.

    Raises:
      ValueError: There is no such chip or slice.
    """
    names = {chip.slice_prefix: chip for chip in CHIPS.values()} | CHIPS
    chip = names.get(text) or names.get(text.rpartition("-")[0])
    if chip is None:
        raise ValueError(
            f"`--tpu` must be one of {', '.join(CHIPS)}, or a slice such as v3-32, got "
            f"{text}."
        )
    return chip, None if text in names else replicas_of_slice(chip, text)
