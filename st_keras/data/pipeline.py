"""Streams of prepared examples that can be entered at any position.

What a training step sees is a function of (seed, position) alone: the records are in
an order shuffled anew for every epoch by the seed and the epoch's number, and example
i of the stream is augmented with a seed made from i. So a killed run needs no saved
iterator: it starts the stream at the position its checkpoint's step implies.
"""

import dataclasses
import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from st_keras.data import dataset_info, decode
from st_keras.data.records import count_records
from st_keras.data.untuned import PARALLEL_CALLS, PREFETCH, untuned

_PARALLEL_FILES = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """Records on disk, and which of them to read."""

    paths: tuple[str, ...]
    count: int  # Pictures that are read per epoch.
    ids: tuple[str, ...]  # Empty: all.
    fits_in_memory: bool


def open_source(records: str, ids: list[str] | None, cache_mb: int) -> Source:
    """Returns what a glob of records and a list of ids select.

    Args:
      records: Glob of TFRecord shards with a dataset.json beside them.
      ids: Image ids to keep; None keeps all.
      cache_mb: The encoded pictures are kept in memory if they fit into this.

    Raises:
      ValueError: Files are missing, unexpected or wrongly empty, there are no pictures,
        or an id is unknown or repeated.
    """
    paths = dataset_info.shard_paths(records)
    info = dataset_info.load(records)
    _check_shards(records, paths, info.shards)
    if ids is not None:
        _check_ids(records, ids)
    count = info.images if ids is None else len(ids)
    if ids is not None and not count:
        raise ValueError(f"`{records}`: the list of ids is empty: no picture to read.")
    if not count:
        raise ValueError(f"`{records}`: no picture to read.")
    sizes = [os.path.getsize(path) for path in paths]
    if not all(sizes):  # As after a copy to a full disk, or in a set of few pictures.
        check_count(records, sum(map(count_records, paths)), info.images)
    megabytes = sum(sizes) / 2**20
    return Source(
        paths=tuple(paths),
        count=count,
        ids=tuple(ids or ()),
        fits_in_memory=megabytes * count / info.images <= cache_mb,
    )


# The mapped functions are plain TensorFlow: AutoGraph's search of their source for
# conditions and loops would take most of the time until the first step.
@tf.autograph.experimental.do_not_convert
def training_stream(
    source: Source,
    prepare: Callable,
    *,
    seed: tuple[int, int],
    start: int,
    batch_size: int,
    shuffle_buffer: int,
    replicas: int = 1,
    replicas_here: range = range(1),
) -> tf.data.Dataset:
    """Returns endless batches, from example number `start` of the stream on.

    Args:
      source: The records.
      prepare: From (serialised record, [2] int64 seed) to a nest of tensors of static
        shape.
      seed: Two numbers that name the stream.
      start: Examples to skip: those that all replicas together have seen.
      batch_size: Examples per replica and step.
      shuffle_buffer: Records that are mixed; all of them if they fit in memory.
      replicas: Number of replicas that get batches in turn.
      replicas_here: Those of them that this process feeds.

    Returns:
      A dataset; its elements are batches for the replicas of this process, in turn.
    """
    raw = _read(source)
    if source.fits_in_memory:
        raw = raw.cache()
        shuffle_buffer = source.count
    base = tf.constant(seed, tf.int32)

    def epoch(number):
        order = tf.random.experimental.stateless_fold_in(base, number)
        return _shuffle(raw, shuffle_buffer, order)

    first_epoch, offset = divmod(start, source.count)
    stream = tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(epoch)
    stream = stream.skip(offset).enumerate(start)
    if len(replicas_here) < replicas:

        def is_fed_here(index, _):
            turn = index // batch_size % replicas
            return (replicas_here.start <= turn) & (turn < replicas_here.stop)

        stream = stream.filter(is_fed_here)

    def prepare_with_seed(index, serialized):
        own = tf.random.experimental.stateless_fold_in(base, index)
        return prepare(serialized, own)

    batches = stream.map(
        prepare_with_seed, num_parallel_calls=PARALLEL_CALLS, deterministic=True
    ).batch(batch_size, drop_remainder=True)
    # Without it, several hosts would ask each other before every step if there is more.
    return untuned(
        batches.apply(
            tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        )
    )


@tf.autograph.experimental.do_not_convert
def ordered_batches(
    serialized: tf.data.Dataset, prepare: Callable, *, batch_size: int
) -> tf.data.Dataset:
    """Returns every example of every record once, in order, in full batches.

    The last batch is filled up with zeros, so that every batch has one static shape; a
    filled row is all zeros.

    Args:
      serialized: Records, one by one.
      prepare: From a serialised record to a nest of tensors [V, ...], V examples of a
        static shape.
      batch_size: Examples per batch.
    """
    examples = serialized.map(
        prepare, num_parallel_calls=PARALLEL_CALLS, deterministic=True
    ).unbatch()
    zeros = tf.nest.map_structure(
        lambda spec: (
            tf.zeros(spec.shape, spec.dtype)
            if spec.dtype != tf.string
            else tf.constant("")
        ),
        examples.element_spec,
    )
    # As many as a last batch can lack; what it does not need is dropped.
    padding = tf.data.Dataset.from_tensors(zeros).repeat(batch_size - 1)
    return untuned(
        examples.concatenate(padding)
        .batch(batch_size, drop_remainder=True)
        .prefetch(PREFETCH)
    )


def serialized_records(source: Source) -> tf.data.Dataset:
    """Returns the serialised records one by one, in the order of the files."""
    return untuned(_read(source))


def check_count(records: str, found: int, images: int) -> None:
    """Refuses shards that do not hold what the dataset.json beside them says.

    Raises:
      ValueError: The counts differ; the message shows both.
    """
    if found != images:
        raise ValueError(
            f"`{records}`: the shards hold {found} records, the dataset.json beside "
            f"them says {images}; copy or make them again."
        )


def _check_shards(records: str, paths: list[str], shards: tuple[str, ...]) -> None:
    # Epochs and batches are counted by dataset.json, so it must describe these files.
    if sorted(os.path.basename(path) for path in paths) != sorted(shards):
        raise ValueError(
            f"`{records}` must match the {len(shards)} shards that the dataset.json "
            f"beside them lists, got {len(paths)} files. Choose pictures by ids, not "
            "by shards; delete shards of an older conversion."
        )


def _check_ids(records: str, ids: list[str]) -> None:
    repeated = len(ids) - len(set(ids))
    if repeated:
        raise ValueError(f"`{records}`: {repeated} of {len(ids)} ids are there twice.")
    there = list(dataset_info.picture_digests(records))
    hashes = _hashes(there).numpy()
    if len(np.unique(hashes)) < len(there):  # Of 10^7 pictures, once in 10^5 sets.
        raise ValueError(
            f"`{records}`: two image ids have one hash, so that neither can be chosen "
            "without the other; rename one."
        )
    unknown = sorted(set(ids) - set(there))
    if unknown:
        raise ValueError(
            f"`{records}` has no picture {unknown[0]!r} ({len(unknown)} of "
            f"{len(ids)} ids are unknown); the ids must belong to these records."
        )


def _shuffle(dataset: tf.data.Dataset, buffer: int, seed: tf.Tensor) -> tf.data.Dataset:
    """Returns the dataset in an order that depends on a [2] seed alone.

    `Dataset.shuffle` mixes the process's global seed in, and refuses a seed that is a
    tensor when the global one is 0.
    """
    first, second = tf.unstack(tf.cast(seed, tf.int64))
    variant = tf.raw_ops.ShuffleDataset(
        input_dataset=tf.data.experimental.to_variant(dataset),
        buffer_size=buffer,
        seed=first,
        seed2=second,
        output_types=[tf.string],
        output_shapes=[[]],
        reshuffle_each_iteration=False,
    )
    return tf.data.experimental.from_variant(variant, dataset.element_spec)


def _read(source: Source) -> tf.data.Dataset:
    # Absolute, as other hosts of a TPU slice read them from folders of their own.
    paths = tf.data.Dataset.from_tensor_slices([*map(os.path.abspath, source.paths)])
    files = min(_PARALLEL_FILES, len(source.paths))
    raw = paths.interleave(
        tf.data.TFRecordDataset,
        cycle_length=files,
        num_parallel_calls=min(PARALLEL_CALLS, files),
        deterministic=True,
    )
    if not source.ids:
        return raw
    chosen = tf.sort(_hashes(source.ids))

    def is_chosen(serialized):
        key = _hashes(decode.decode_image_id(serialized))
        place = tf.searchsorted(chosen, key[None])[0]
        return tf.gather(chosen, tf.minimum(place, len(source.ids) - 1)) == key

    # Not a lookup table: because it has state, a deterministic run would prepare one
    # example at a time.
    return raw.filter(is_chosen)


def _hashes(ids) -> tf.Tensor:
    """Returns int64 numbers for strings, equal on all machines."""
    return tf.strings.to_hash_bucket_fast(ids, tf.int64.max)
