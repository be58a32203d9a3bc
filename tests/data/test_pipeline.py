"""What the streams promise: the examples are a function of seed and position."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from st_keras.data import dataset_info, decode, pipeline
from tests.record_files import write_records

SEED = (7, 0)
COUNT = 12  # Pictures of `tiny_records`.


def prepare(serialized, seed):
    """The id and the numbers that an augmentation would be made of."""
    numbers = tf.random.stateless_uniform([2], seed, maxval=1000, dtype=tf.int32)
    return decode.decode_image_id(serialized), numbers


@pytest.fixture
def source(tiny_records):
    return pipeline.open_source(tiny_records.glob, None, cache_mb=64)


@pytest.fixture
def some(tiny_records):
    """Five of the pictures, not in the order of the files."""
    ids = [f"tiny_{number:02d}" for number in (9, 0, 4, 11, 6)]
    return pipeline.open_source(tiny_records.glob, ids, cache_mb=64)


def stream(source, *, start=0, batch_size=1, buffer=100, seed=SEED, **replicas):
    return pipeline.training_stream(
        source,
        prepare,
        seed=seed,
        start=start,
        batch_size=batch_size,
        shuffle_buffer=buffer,
        **replicas,
    )


def take(dataset, count):
    """Returns the first examples of a stream of batches, (id, numbers) each."""
    examples = []
    for ids, numbers in dataset.as_numpy_iterator():
        rows = zip(ids.tolist(), numbers.tolist(), strict=True)
        examples += [(image_id.decode(), tuple(n)) for image_id, n in rows]
        if len(examples) >= count:
            return examples[:count]
    raise AssertionError(f"The stream ended after {len(examples)} examples.")


def ids_of(examples):
    return [image_id for image_id, _ in examples]


@pytest.mark.parametrize("start", [1, 5, 12, 17, 36, 41])
def test_a_stream_entered_later_goes_on_as_if_it_had_never_stopped(source, start):
    # Epochs end at 12, 24, 36.
    whole = take(stream(source), start + 15)
    assert take(stream(source, start=start), 15) == whole[start:]


@pytest.mark.parametrize("start", [3, 5, 12])
@pytest.mark.parametrize("buffer", [2, 100])
def test_that_holds_for_chosen_ids_and_for_buffers_smaller_than_the_set(
    some, start, buffer
):
    # Epochs end at 5, 10, 15. A source that does not fit in memory is not cached.
    some = pipeline.Source(**(vars(some) | {"fits_in_memory": False}))
    whole = take(stream(some, buffer=buffer), start + 9)
    assert take(stream(some, start=start, buffer=buffer), 9) == whole[start:]


def test_the_process_wide_seed_changes_nothing(source):
    tf.random.set_seed(0)
    first = take(stream(source), 15)
    tf.random.set_seed(1234)
    assert take(stream(source), 15) == first


def test_every_epoch_shows_every_picture_once(source, some, tiny_records):
    examples = ids_of(take(stream(source, batch_size=5), 3 * COUNT))
    for epoch in range(3):
        shown = examples[epoch * COUNT : (epoch + 1) * COUNT]
        assert sorted(shown) == sorted(tiny_records.by_id)
    chosen = ids_of(take(stream(some), 10))
    assert sorted(chosen[:5]) == sorted(chosen[5:]) == sorted(some.ids)


def test_no_two_epochs_have_one_order_and_none_that_of_the_files(source):
    examples = ids_of(take(stream(source), 4 * COUNT))
    orders = [tuple(examples[i : i + COUNT]) for i in range(0, 4 * COUNT, COUNT)]
    in_files = tuple(
        decode.decode_image_id(text).numpy().decode()
        for text in pipeline.serialized_records(source)
    )
    assert len({*orders, in_files}) == 5


def test_a_picture_is_augmented_anew_in_every_epoch(source):
    examples = take(stream(source), 4 * COUNT)
    assert len({numbers for _, numbers in examples}) == 4 * COUNT


@pytest.mark.parametrize("seed", [(8, 0), (7, 1)])
def test_another_seed_or_another_stream_has_another_order(source, seed):
    assert take(stream(source, seed=seed), COUNT) != take(stream(source), COUNT)


def test_records_that_fit_in_memory_are_all_mixed_whatever_the_buffer(source):
    assert take(stream(source, buffer=1), 20) == take(stream(source, buffer=99), 20)


@pytest.mark.parametrize("start", [0, 18])
def test_what_replicas_get_in_turn_is_what_one_would_get(source, start):
    # 3 replicas of 2 images are one of 6.
    one = stream(source, start=start, batch_size=6)
    three = stream(
        source, start=start, batch_size=2, replicas=3, replicas_here=range(3)
    )
    assert take(three, 30) == take(one, 30)
    assert next(iter(three))[0].shape == [2]


def test_workers_share_the_stream_without_gap_or_overlap(source):
    # Replicas 0, 1 and 2 belong to worker 0, replica 3 to worker 1; 2 images each.
    whole = take(stream(source, batch_size=8), 40)
    settings = {"batch_size": 2, "replicas": 4}
    first = take(stream(source, replicas_here=range(3), **settings), 30)
    second = take(stream(source, replicas_here=range(3, 4), **settings), 10)
    for step in range(5):
        expected = whole[8 * step : 8 * step + 8]
        assert first[6 * step : 6 * step + 6] == expected[:6]
        assert second[2 * step : 2 * step + 2] == expected[6:]


def test_a_worker_may_enter_later_too(source):
    settings = {"batch_size": 2, "replicas": 4, "replicas_here": range(1, 3)}
    whole = take(stream(source, **settings), 24)
    # 16 examples over all replicas are two steps, so 8 of this worker.
    assert take(stream(source, start=16, **settings), 16) == whole[8:]


def test_all_batches_are_full_and_static(source):
    dataset = stream(source, batch_size=5)
    assert dataset.element_spec[1].shape.as_list() == [5, 2]
    for _, numbers in itertools.islice(dataset, 7):
        assert numbers.shape == [5, 2]


def _plain(serialized):
    labels, image_id = decode.decode_labels(serialized)
    return image_id[None], tf.shape(labels.class_ids) + 1


def ordered(source, batch_size):
    return pipeline.ordered_batches(
        pipeline.serialized_records(source), _plain, batch_size=batch_size
    )


def test_ordered_batches_show_every_picture_once_and_fill_the_last_with_zeros(source):
    batches = list(ordered(source, batch_size=5))
    # 12 pictures are 5 + 5 + 2, and 3 rows of nothing.
    assert [batch[0].shape.as_list() for batch in batches] == [[5]] * 3
    ids = np.concatenate([batch[0] for batch in batches]).tolist()
    counts = np.concatenate([batch[1] for batch in batches]).tolist()
    assert ids[12:] == [b""] * 3 and counts[12:] == [0] * 3
    in_files = [
        decode.decode_image_id(text).numpy()
        for text in pipeline.serialized_records(source)
    ]
    assert ids[:12] == in_files
    assert all(count > 0 for count in counts[:12])


def test_a_record_can_give_several_examples_or_few(source):
    def as_many_as_boxes(serialized):
        labels, image_id = decode.decode_labels(serialized)
        count = tf.shape(labels.class_ids)[0]
        return tf.fill([count], image_id), tf.range(1, count + 1)

    batches = pipeline.ordered_batches(
        pipeline.serialized_records(source), as_many_as_boxes, batch_size=5
    )
    # 24 boxes in 12 pictures; two pictures have none.
    ids = [i.decode() for batch in batches for i in batch[0].numpy()]
    assert len(ids) == 25 and ids[24] == ""
    assert ids[:3] == ["tiny_00"] * 3
    assert len(set(ids[:24])) == 10


def test_ordered_batches_of_chosen_ids_show_those(some):
    batches = list(ordered(some, batch_size=5))
    assert len(batches) == 1
    shown = {image_id.decode() for image_id in batches[0][0].numpy()}
    assert shown == set(some.ids)


def test_a_set_that_fits_its_batches_is_not_filled(source):
    batches = list(ordered(source, batch_size=4))
    assert len(batches) == 3
    assert all(np.all(batch[1] > 0) for batch in batches)


def test_a_source_knows_how_many_pictures_an_epoch_has(source, some):
    assert (source.count, some.count) == (12, 5)


def test_only_what_fits_is_kept_in_memory(tiny_records):
    megabyte = 2**20
    big = sum(len(r.encoded) for r in tiny_records.by_id.values()) / megabyte
    assert 0.1 < big < 1  # Of all; a third of it is in five pictures.
    assert pipeline.open_source(tiny_records.glob, None, 1).fits_in_memory
    assert not pipeline.open_source(tiny_records.glob, None, 0).fits_in_memory


@pytest.mark.parametrize(
    "ids, message",
    [
        (["tiny_01", "cat", "ape"], r"no picture 'ape' \(2 of 3 ids are unknown\)"),
        (["tiny_01", "tiny_02", "tiny_01"], "1 of 3 ids are there twice"),
        ([], "no picture to read"),
    ],
)
def test_ids_that_cannot_be_read_are_refused(tiny_records, ids, message):
    with pytest.raises(ValueError, match=message):
        pipeline.open_source(tiny_records.glob, ids, 1)


def test_what_must_fit_is_the_chosen_share_of_the_records(tiny_records, monkeypatch):
    # As if a picture took a megabyte, whatever its size.
    paths = dataset_info.shard_paths(tiny_records.glob)
    images = dataset_info.load(tiny_records.glob).images
    each = images * 2**20 // len(paths)
    monkeypatch.setattr(pipeline.os.path, "getsize", lambda path: each)
    ids = sorted(dataset_info.picture_digests(tiny_records.glob))[:3]
    assert pipeline.open_source(tiny_records.glob, ids, 3).fits_in_memory
    assert not pipeline.open_source(tiny_records.glob, ids, 2).fits_in_memory
    assert not pipeline.open_source(tiny_records.glob, None, 3).fits_in_memory


def test_a_glob_of_nothing_names_the_tool_that_makes_records(tmp_path):
    with pytest.raises(ValueError, match=r"none/\*`: no such file.*make_records.py"):
        pipeline.open_source(f"{tmp_path}/none/*", None, 1)


def test_a_folder_without_dataset_json_is_not_complete(tmp_path):
    (tmp_path / "a.tfrecord").write_bytes(b"")
    with pytest.raises(ValueError, match=r"dataset.json: missing; .*run it again"):
        pipeline.open_source(f"{tmp_path}/*.tfrecord", None, 1)


def test_shards_that_dataset_json_does_not_speak_of_are_refused(tiny_records):
    # Its count would be wrong, and a stream entered later would be another.
    one = tiny_records.glob.replace("*", "*-00001-of-*")
    with pytest.raises(ValueError, match="the 3 shards .*, got 1 files"):
        pipeline.open_source(one, None, 1)


def test_an_empty_set_is_refused(tmp_path):
    write_records(tmp_path, [], class_names=("a",))
    with pytest.raises(ValueError, match="no picture to read"):
        pipeline.open_source(f"{tmp_path}/*.tfrecord", None, 1)


def test_a_shard_that_a_full_disk_has_emptied_is_found(tiny_records, tmp_path):
    write_records(tmp_path, tiny_records.by_id.values(), num_shards=3)
    sorted(tmp_path.glob("*.tfrecord"))[1].write_bytes(b"")
    with pytest.raises(ValueError, match="the shards hold 8 records, .* says 12"):
        pipeline.open_source(f"{tmp_path}/*.tfrecord", None, 1)


def test_fewer_pictures_than_shards_are_all_of_them(tiny_records, tmp_path):
    write_records(tmp_path, list(tiny_records.by_id.values())[:2], num_shards=3)
    assert pipeline.open_source(f"{tmp_path}/*.tfrecord", None, 1).count == 2


def test_no_step_of_a_stream_has_a_state(some):
    # Where one has, a deterministic run prepares one example at a time.
    variant = tf.data.experimental.to_variant(stream(some))
    graph = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=1)
    library = tf.compat.v1.GraphDef.FromString(graph.numpy()).library
    ops = {node.op for function in library.function for node in function.node_def}
    with_state = {op for op in ops if op_def_registry.get(op).is_stateful}
    assert with_state <= {"TFRecordDataset", "TensorSliceDataset"}  # Sources.
    assert {"LowerBound", "StatelessRandomUniformIntV2"} & ops  # It is the whole graph.


def test_two_ids_of_one_hash_are_refused(tiny_records, monkeypatch):
    ids = list(tiny_records.by_id)[:2]
    monkeypatch.setattr(pipeline, "_hashes", lambda ids: tf.ones(len(ids), tf.int64))
    with pytest.raises(ValueError, match="two image ids have one hash"):
        pipeline.open_source(tiny_records.glob, ids, 1)
