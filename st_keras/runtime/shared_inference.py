"""Inference that the hosts of a job share, with all results on every host."""

import io
import itertools
import json
import typing
from collections.abc import Iterator

import numpy as np

from st_keras.data import pipeline
from st_keras.runtime.inference import Predictor
from st_keras.types import Labels

_KINDS = {kind.__name__: kind for kind in typing.get_args(Labels)}
_PICTURES_PER_ROUND = 64  # Of each host; so many label maps take some 30 MB.


def over_records(
    predictor: Predictor,
    source: pipeline.Source,
    *,
    batch_size: int,
    progress: str = "",
) -> Iterator[tuple[str, Labels]]:
    """Yields what `Predictor.over_records` yields, in the same order, on every host.

    Each of n hosts runs over every n-th picture and sends the others its predictions.

    Args:
      predictor: Of the same model on all hosts.
      source: The records, the same on all hosts.
      batch_size: Views at a time, of all hosts together.
      progress: Title of the progress bar; empty: none.

    Raises:
      HostLostError: Another host has died.
    """
    hosts = predictor.hosts
    if hosts.count == 1:
        yield from predictor.over_records(
            source, batch_size=batch_size, progress=progress
        )
        return
    mine = predictor.over_serialized(
        pipeline.serialized_records(source).shard(hosts.count, hosts.index),
        count=len(range(hosts.index, source.count, hosts.count)),
        batch_size=max(1, batch_size // hosts.count),
        progress=progress if hosts.is_chief else "",
    )
    per_round = hosts.count * _PICTURES_PER_ROUND
    for _ in range(0, source.count, per_round):
        rows = list(itertools.islice(mine, _PICTURES_PER_ROUND))
        parts = [_unpack(p) for p in hosts.gather(_pack(rows), "predictions")]
        for number in range(max(map(len, parts))):
            yield from (part[number] for part in parts if number < len(part))


def _pack(rows: list[tuple[str, Labels]]) -> bytes:
    arrays = {
        f"{number}/{field}": np.asarray(value)
        for number, (_, labels) in enumerate(rows)
        for field, value in labels._asdict().items()
    }
    # Ids are sent as JSON: an array of texts would lose the zeros at their ends.
    names = [[image_id, type(labels).__name__] for image_id, labels in rows]
    names = np.frombuffer(json.dumps(names).encode(), np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, names=names, **arrays)
    return file.getvalue()


def _unpack(payload: bytes) -> list[tuple[str, Labels]]:
    rows = []
    with np.load(io.BytesIO(payload), allow_pickle=False) as arrays:
        for number, (image_id, kind) in enumerate(
            json.loads(arrays["names"].tobytes())
        ):
            fields = {name: arrays[f"{number}/{name}"] for name in _KINDS[kind]._fields}
            rows.append((image_id, _KINDS[kind](**fields)))
    return rows
