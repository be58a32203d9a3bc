"""Compilations as a page of text, with what follows from each."""

from collections.abc import Callable, Sequence

from st_keras.experiments import tables
from st_keras.experiments.tpu import estimate
from st_keras.experiments.tpu.chips import Chip
from st_keras.experiments.tpu.results import Row

_GIB = 2**30


def format_page(rows: Sequence[Row]) -> str:
    """Returns what the compiler says of a config's steps for one kind of TPU.

    Args:
      rows: Of one config, one step and one chip; at least one.
    """
    chip, first = rows[0].kind_of_tpu, rows[0]
    lines = [
        f"{first.config}: {first.step} step for a {chip.name}, "
        f"{first.parameters:,} trainable parameters",
        f"A replica is a {chip.replica} with {gib(chip.hbm_bytes)} of memory, "
        f"{chip.flops_per_second / 1e12:.4g} TFLOP/s and "
        f"{chip.hbm_bytes_per_second / 1e9:.4g} GB/s ({chip.source}).",
        "",
        _table(rows),
    ]
    lines += [
        f"\n{row.images_per_replica} images: {row.compiled.error}"
        for row in rows
        if row.compiled.error
    ]
    if text := what_fits(rows):
        lines += ["", text]
    return "\n".join(lines)


def what_fits(rows: Sequence[Row]) -> str:
    """Returns the largest number of images per replica that is known to fit, or "".

    Args:
      rows: Of one config, one step and one chip.
    """
    chip, parts, slices = rows[0].kind_of_tpu, rows[0].images_per_step, rows[0].slices
    fitting = [row for row in rows if row.compiled.verdict == "fits"]
    if not fitting:
        return ""
    largest = max(row.images_per_replica for row in fitting)
    text = f"Compiled and fits: {largest} images per {chip.replica}"
    if count := estimate.fewest_replicas(parts, chip, largest, slices):
        text += f", so the {sum(parts.values())} of a step take a "
        text += chip.slice_name(count)
    line = memory_of(rows)
    sizes = {
        row.images_per_replica
        for row in rows
        if row.compiled.needed_bytes and not row.compiled.is_partial
    }
    by = "By the line through all sizes"
    if len(sizes) == 1:
        by = "If all but variables and code grows with the images"
    most = line.most_images(room_bytes(rows, chip))
    text += f". {by}, one takes {gib(line.per_image_bytes)}, and up to {most} would fit"
    if count := estimate.fewest_replicas(parts, chip, most, slices):
        text += f"; the fewest replicas would be those of a {chip.slice_name(count)}"
    return f"{text}."


def memory_of(rows: Sequence[Row]) -> estimate.Memory:
    """Returns the memory of a step by its images, from rows whose memory is known."""
    known = [row for row in rows if row.compiled.needed_bytes]
    known = [row for row in known if not row.compiled.is_partial] or known
    return estimate.memory(
        {row.images_per_replica: row.compiled.needed_bytes for row in known},
        max(row.compiled.fixed_bytes for row in known),
    )


def room_bytes(rows: Sequence[Row], chip: Chip) -> float:
    """Returns the memory for a step: a replica's, or less if the compiler said so."""
    said = [row.compiled.room_bytes for row in rows if row.compiled.room_bytes]
    return min([*said, chip.hbm_bytes - chip.reserved_bytes])


def gib(count_bytes: float) -> str:
    """Returns bytes as text, in the unit that chips are sold by."""
    return f"{count_bytes / _GIB:.2f} GiB"


def _table(rows: Sequence[Row]) -> str:
    columns = [
        ("images per replica", lambda r: str(r.images_per_replica)),
        ("slice", lambda r: r.kind_of_tpu.slice_name(r.replicas)),
        ("verdict", lambda r: r.compiled.verdict),
        ("compiled in", lambda r: _known(r.compiled.compile_seconds, tables.duration)),
        ("memory", lambda r: _known(r.compiled.needed_bytes, gib)),
        ("  arguments", lambda r: _part(r, "arguments")),
        ("  temporaries", lambda r: _part(r, "temporaries")),
        ("  code", lambda r: _part(r, "code")),
        ("TFLOP a step", lambda r: _known(r.slices * r.compiled.flops, _tera)),
        ("memory traffic", lambda r: _known(r.slices * r.compiled.traffic_bytes, gib)),
        ("FLOP per byte", lambda r: _of_roofline(r, lambda x: f"{x.intensity:.0f}")),
        ("bound by", lambda r: _of_roofline(r, lambda x: x.bound)),
        ("step, at best", lambda r: _of_roofline(r, _milliseconds)),
        ("run, at best", lambda r: _of_cost(r, lambda x: f"{x.hours:.1f} h")),
        ("chip-hours", lambda r: _of_cost(r, lambda x: f"{x.chip_hours:,.0f}")),
    ]
    cells = [[name, *(read(row) for row in rows)] for name, read in columns]
    return tables.align(cells)


def roofline_of(row: Row) -> estimate.Roofline | None:
    """Returns a step's least time; None where it was not compiled."""
    compiled = row.compiled
    if not compiled.flops:
        return None
    # The compiler counts the body of a loop once.
    flops, traffic = compiled.flops * row.slices, compiled.traffic_bytes * row.slices
    return estimate.roofline(flops, traffic, row.kind_of_tpu)


def cost_of(row: Row) -> estimate.Cost | None:
    """Returns a run's cost at the roofline; None where there is none."""
    bound = roofline_of(row)
    if bound is None or row.step != "train":
        return None
    chips = row.kind_of_tpu.chips(row.replicas)
    return estimate.cost(bound.seconds, steps=row.steps, chips=chips)


def _known(number: float, text: Callable[[float], str]) -> str:
    """Returns a number as text, or a dash: a step that was not compiled has zeros."""
    return text(number) if number else "-"


def _tera(operations: float) -> str:
    return f"{operations / 1e12:.3f}"


def _part(row: Row, name: str) -> str:
    return gib(row.compiled.memory_bytes[name]) if row.compiled.memory_bytes else "-"


def _of_roofline(row: Row, read) -> str:
    bound = roofline_of(row)
    return read(bound) if bound else "-"


def _of_cost(row: Row, read) -> str:
    cost = cost_of(row)
    return read(cost) if cost else "-"


def _milliseconds(bound: estimate.Roofline) -> str:
    return f"{1000 * bound.seconds:.1f} ms"
