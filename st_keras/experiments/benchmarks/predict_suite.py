"""Detections of a batch next to those of tf-models-official, suppression included."""

import functools
from collections.abc import Iterator

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


run = functools.partial(
    twin_cases.run,
    "predict",
    ends=ENDS,
    measure=_measure,
    slow_ends=[end for end, version in _VERSIONS.items() if version == SLOW],
)
format_content = rows.format_content
