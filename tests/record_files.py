"""Data sets on disk that a test makes of its own records."""

import os
from collections.abc import Iterable

from st_keras.data import dataset_info, records


def write_records(
    folder: str | os.PathLike,
    written: Iterable[records.Record],
    *,
    num_shards: int = 1,
    **names: tuple[str, ...],
) -> None:
    """Writes shards and their dataset.json; `names` are `class_names` or the like."""
    tally = dataset_info.Tally()
    with records.ShardWriter(str(folder), num_shards) as writer:
        for record in written:
            writer.write(record)
            tally.add(record)
    info = tally.info(
        source="tests",
        skipped={},
        content_sha256=writer.content_sha256,
        shards=writer.shards,
        **names,
    )
    dataset_info.save(info, folder)
