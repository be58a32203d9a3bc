"""A step of training next to that of tf-models-official: speed, start, memory."""

from collections.abc import Callable, Iterator, Sequence

from tqdm import tqdm

from st_keras.experiments.benchmarks import (
    all_cores,
    lone,
    rows,
    steps,
    twin_cases,
    twins,
)
from st_keras.experiments.benchmarks.twins import Sizes

_STEPS = 3  # Per measurement.
_CLASSES = 91

CASES = {
    f"step/retinanet_{name}_{side}": Sizes(backbone, (side, side), 4, _CLASSES)
    for name, backbone in (
        ("resnet50_fpn", "resnet50"),
        ("spinenet_49", "spinenet_49"),
    )
    for side in (256, 384)
}
_WITH_TARGETS = (
    "From decoded pictures of the network's size and 8 boxes in each to new weights: "
    "normalisation, anchor matching, forward, losses, backward, optimizer. The peer "
    "normalises and matches on the host, in its parser, in parallel and ahead; ours "
    "does both on the device, with 100 rows of boxes a picture after padding."
)
_WITHOUT = (
    "The peer's step alone, with images normalised and anchors matched before the "
    "clock starts; ours with both in it, as above."
)
ENDS = {"": _WITH_TARGETS, "/peer_without_targets": _WITHOUT, **lone.ENDS}
NAMES = tuple(f"{name}{end}" for name in CASES for end in ENDS)


def run(
    output: str,
    *,
    command: str,
    only: Sequence[str] = (),
    pairs: int = 5,
    cases: dict[str, Sizes] = CASES,
) -> dict:
    """Runs the measurements and writes the results as JSON.

    Args:
      output: JSON file.
      command: Repeats the measurement; it is stored with the results.
      only: Of `NAMES`; empty is all.
      pairs: How often both sides are measured.
      cases: Sizes by the names of rows.

    Returns:
      What is in the file.

    Raises:
      ValueError: A name is unknown.
    """
    return twin_cases.run(
        "step",
        output,
        command=command,
        only=only,
        pairs=pairs,
        cases=cases,
        ends=ENDS,
        measure=_measure,
    )


def format_content(content: dict) -> str:
    """Returns what `run` found as text."""
    return rows.format_rows(content["rows"])


def _measure(
    name: str, sizes: Sizes, chosen: list[str], pairs: int, bar: tqdm
) -> Iterator[dict]:
    ends = {
        f"{name}{end}": end
        for end in ("", "/peer_without_targets")
        if f"{name}{end}" in chosen
    }
    if not ends:
        return
    pair = twins.detectors(sizes)
    pictures = steps.make_pictures(sizes.batch_size, sizes.size_px, sizes.num_classes)
    step = steps.ours(pair.config, pair.task, pair.model)
    batch = steps.our_batch(pictures)
    peer_step = steps.peer(pair.config, pair.peer_task, pair.peer_model)
    batches = steps.peer_batches(pair.peer_task, pictures)

    def timed(work: Callable) -> rows.Measurement:
        return all_cores.measure(_STEPS * sizes.batch_size, work)

    def peer_parsing() -> rows.Measurement:
        # Starting a pipeline, and shutting down an autotuned one, can take idle
        # seconds: neither is part of a step.
        stream = iter(batches.take(_STEPS + 1))
        next(stream)
        return timed(lambda: [peer_step(*made) for made in stream])

    made = next(iter(batches))
    peers = {
        "": peer_parsing,
        "/peer_without_targets": lambda: timed(
            lambda: [peer_step(*made) for _ in range(_STEPS)]
        ),
    }
    step(batch)  # Traces.
    peer_step(*made)
    yield from twin_cases.comparisons(
        ends,
        lambda: timed(lambda: [step(batch) for _ in range(_STEPS)]),
        peers.__getitem__,
        notes=ENDS,
        pairs=pairs,
        bar=bar,
    )
