"""What hosts promise who look at pictures together: none twice, none missing."""

import threading

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data import decode, pipeline
from st_keras.runtime import shared_inference
from st_keras.types import Boxes, Classes, LabelMap


class Meeting:
    """Hosts of one process, each a thread."""

    def __init__(self, count):
        self.count = count
        self._given = [b""] * count
        self._barrier = threading.Barrier(count, timeout=60)

    def host(self, index):
        return Host(self, index)


class Host:
    def __init__(self, meeting, index):
        self._meeting = meeting
        self.count, self.index, self.is_chief = meeting.count, index, index == 0

    def gather(self, payload, what):
        self._meeting._given[self.index] = payload
        self._meeting._barrier.wait()
        gathered = list(self._meeting._given)
        self._meeting._barrier.wait()
        return gathered


class Counter:
    """A predictor that says of a picture how many it has seen before, and who it is."""

    def __init__(self, host):
        self.hosts = host

    def over_serialized(self, serialized, *, count, batch_size, progress):
        assert batch_size == 2  # Of all hosts together: 5, 7 or 4.
        number = -1
        for number, row in enumerate(serialized):
            image_id = decode.decode_image_id(row).numpy().decode()
            yield (
                image_id,
                Classes(
                    class_ids=np.array([number], np.int32),
                    scores=np.array([self.hosts.index], np.float32),
                    weights=np.ones([number % 3], np.float32),
                ),
            )
        assert number + 1 == count


def look_together(source, count, batch_size):
    meeting, seen = Meeting(count), [[] for _ in range(count)]

    def work(index):
        seen[index] = list(
            shared_inference.over_records(
                Counter(meeting.host(index)), source, batch_size=batch_size
            )
        )

    threads = [threading.Thread(target=work, args=[i]) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return seen


@pytest.mark.parametrize(("count", "batch_size"), [(2, 5), (3, 7)])
@pytest.mark.parametrize("kept", [12, 7, 1])
def test_each_host_gets_every_picture_once_in_the_order_of_the_files(
    tiny_records, count, batch_size, kept, monkeypatch
):
    # Rounds of two pictures each: with 7 pictures, the last one is not full.
    monkeypatch.setattr(shared_inference, "_PICTURES_PER_ROUND", 2)
    ids = list(tiny_records.by_id)[:kept]
    source = pipeline.open_source(tiny_records.glob, ids, 0)
    in_files = [
        decode.decode_image_id(row).numpy().decode()
        for row in pipeline.serialized_records(source)
    ]
    for seen in look_together(source, count, batch_size):
        assert [image_id for image_id, _ in seen] == in_files
        # Picture n is looked at by host n % count, as its n // count-th.
        for number, (_, labels) in enumerate(seen):
            assert labels.class_ids.tolist() == [number // count]
            assert labels.scores.tolist() == [number % count]
            assert labels.weights.shape == (number // count % 3,)


def test_labels_of_every_kind_arrive_as_they_were_sent():
    rng = np.random.default_rng(0)
    boxes = Boxes(
        boxes_yxyx=rng.random([3, 4]).astype(np.float32),
        class_ids=np.array([2, 0, 1], np.int32),
        scores=rng.random(3).astype(np.float32),
        weights=np.array([1, 0, 1], np.float32),
        is_crowd=np.array([False, True, False]),
    )
    nothing = tf.nest.map_structure(lambda field: field[:0], boxes)
    pixels = rng.integers(0, 256, [2, 4, 7]).astype(np.uint8)
    rows = [("ä\x00", boxes), ("b", nothing), ("c", LabelMap(*pixels))]
    back = shared_inference._unpack(shared_inference._pack(rows))
    assert [image_id for image_id, _ in back] == ["ä\x00", "b", "c"]
    for (_, labels), (_, other) in zip(rows, back, strict=True):
        assert type(labels) is type(other)
        for field, same in zip(labels, other, strict=True):
            assert field.dtype == same.dtype
            np.testing.assert_array_equal(field, same)
