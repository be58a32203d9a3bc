"""Detections of a batch next to those of tf-models-official, suppression included."""

from collections.abc import Iterator, Sequence

import tensorflow as tf
from tqdm import tqdm

from st_keras.experiments.benchmarks import (
    all_cores,
    lone,
    predictions,
    rows,
    steps,
    twin_cases,
    twins,
)
from st_keras.experiments.benchmarks.predictions import SLOW
from st_keras.experiments.benchmarks.twins import Sizes

_CALLS = 4  # Per measurement.
_CLASSES = 91

CASES = {
    f"predict/retinanet_{name}_{side}": Sizes(backbone, (side, side), 4, _CLASSES)
    for name, backbone in (
        ("resnet50_fpn", "resnet50"),
        ("spinenet_49", "spinenet_49"),
    )
    for side in (256, 384)
}
_NOTE = (
    "From uint8 pictures of the network's size in memory to boxes on the host: "
    "normalisation, forward pass, decoding, suppression. The peer's suppression is "
    "version {}. " + f"{twins.CANDIDATES} pairs of anchor and class a picture are "
    "above the score."
)
ENDS = {
    "": _NOTE.format("v2, the default of its configs"),
    "/peer_batched_nms": _NOTE.format("batched, the fastest it has on a CPU"),
    **lone.ENDS,
}
_VERSIONS = {"": SLOW, "/peer_batched_nms": "batched"}
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
      only: Of `NAMES`; empty is all but those that take hours.
      pairs: How often both sides are measured.
      cases: Sizes by the names of rows.

    Returns:
      What is in the file.

    Raises:
      ValueError: A name is unknown.
    """
    return twin_cases.run(
        "predict",
        output,
        command=command,
        only=only,
        pairs=pairs,
        cases=cases,
        ends=ENDS,
        measure=_measure,
        slow_ends=[end for end, version in _VERSIONS.items() if version == SLOW],
    )


def format_content(content: dict) -> str:
    """Returns what `run` found as text."""
    return rows.format_rows(content["rows"])


def _measure(
    name: str, sizes: Sizes, chosen: list[str], pairs: int, bar: tqdm
) -> Iterator[dict]:
    ends = {f"{name}{end}": end for end in _VERSIONS if f"{name}{end}" in chosen}
    if not ends:
        return
    pair = twins.detectors(sizes)
    pixels = steps.make_pictures(
        sizes.batch_size, sizes.size_px, sizes.num_classes
    ).pixels
    twins.give_candidates(pair, tf.constant(pixels))
    look = predictions.ours(pair.task, pair.model, pixels)

    def timed(call):
        call()  # Traces.
        return lambda: all_cores.measure(
            _CALLS * sizes.batch_size, lambda: [call() for _ in range(_CALLS)]
        )

    def peer_of(end):
        peer = predictions.with_suppression(
            pair.peer_task, pair.peer_model, _VERSIONS[end]
        )
        return timed(predictions.peer(peer, pixels))

    yield from twin_cases.comparisons(
        ends, timed(look), peer_of, notes=ENDS, pairs=pairs, bar=bar
    )
