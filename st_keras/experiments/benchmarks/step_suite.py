"""A step of training next to that of tf-models-official: speed, start, memory."""

import functools
from collections.abc import Callable, Iterator

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
_PLAIN = (
    "Our step against itself with TensorFlow's own gradients of convolutions, in place "
    "of those of models/conv_gradients.py."
)
ENDS = {
    "": _WITH_TARGETS,
    "/peer_without_targets": _WITHOUT,
    "/plain_gradients": _PLAIN,
    **lone.ENDS,
}


def _measure(
    name: str, sizes: Sizes, chosen: list[str], pairs: int, bar: tqdm
) -> Iterator[dict]:
    ends = {
        f"{name}{end}": end
        for end in ("", "/peer_without_targets", "/plain_gradients")
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
    if "/plain_gradients" in ends.values():
        plain = steps.ours(pair.config, pair.task, pair.model, own_gradients=False)
        plain(batch)
        peers["/plain_gradients"] = lambda: timed(
            lambda: [plain(batch) for _ in range(_STEPS)]
        )
    yield from twin_cases.comparisons(
        ends,
        lambda: timed(lambda: [step(batch) for _ in range(_STEPS)]),
        peers.__getitem__,
        notes=ENDS,
        pairs=pairs,
        bar=bar,
    )


run = functools.partial(twin_cases.run, "step", ends=ENDS, measure=_measure)
format_content = rows.format_content
