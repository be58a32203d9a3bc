"""What the two sides of the input benchmark promise: the same work on one core."""

import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data import decode
from st_keras.experiments.benchmarks import (
    input_operations,
    input_ours,
    input_peer,
    input_suite,
    one_core,
    scenes,
)

SIZE = (128, 256)
# The peer's are told apart from ours where they are known to be wrong or random.
_SAME = sorted(
    {"AutoContrast", "Equalize", "Invert", "Posterize", "Solarize", "SolarizeAdd"}
    | {"Color", "Brightness", "Sharpness"}
)
_MOVES = ["Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY"]


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> bytes:
    glob = scenes.write_scenes(str(tmp_path_factory.mktemp("scenes")), 2, seed=1)
    return list(tf.data.TFRecordDataset(tf.io.gfile.glob(glob)).as_numpy_iterator())[1]


@pytest.fixture(scope="module")
def both(record):
    """Both sides' operations, and a picture with levels from 25 to 230."""
    numbers = input_operations.arguments()
    image = tf.clip_by_value(decode.decode_example(record).image, 25, 230)
    ours = input_operations.our_operations(numbers)
    return ours, input_peer.operations(numbers), image


def test_both_sides_have_every_operation_of_randaugment(both):
    assert set(both[0]) == set(both[1]) == set(input_operations.arguments())


@pytest.mark.parametrize("name", _SAME)
def test_both_sides_do_the_same_to_pixels(both, name):
    ours, peers, image = both
    mine = ours[name](image).numpy().astype(int)
    other = peers[name](image, tf.zeros([0, 4])).numpy().astype(int)
    # The peer cuts off where ours rounds, before an enhancement by 1.54.
    assert np.abs(mine - other).max() <= 2
    assert np.abs(mine - image.numpy()).max() > 10


@pytest.mark.parametrize("name", _MOVES)
def test_both_sides_move_pixels_by_the_same_length(both, name):
    ours, peers, image = both
    # Around the middle, which a move by 80 px leaves inside.
    window = np.s_[180:300, 220:420]
    mine = ours[name](image).numpy().astype(float)[window]
    boxes = tf.constant([[0.4, 0.3, 0.6, 0.8]])

    def mean_difference(side):
        return np.abs(side.numpy().astype(float)[window] - mine).mean()

    # The sign of a move is in its number, and either side may count the other way.
    numbers = input_operations.arguments()
    turned = input_peer.operations({key: -value for key, value in numbers.items()})
    candidates = [side[name](image, boxes)[0] for side in (peers, turned)]
    # A picture that is moved otherwise has nothing to do with ours.
    assert min(map(mean_difference, candidates)) < 0.35 * mean_difference(image)


def test_both_sides_cut_out_a_square_of_the_same_side(both):
    ours, peers, image = both
    for side in (ours["Cutout"], lambda image: peers["Cutout"](image, None)):
        grey = [int((side(image).numpy() == 128).all(axis=-1).sum()) for _ in range(12)]
        # At magnitude 8, half a side is 32 px; at an edge of the picture it is less.
        assert 0.9 * 64 * 64 < max(grey) < 1.1 * 64 * 64


def test_targets_are_those_of_the_peer(record):
    labels = decode.decode_example(record).labels
    size = (384, 640)
    boxes = labels.boxes_yxyx * 0.75
    mine = input_ours.anchor_targets(labels._replace(boxes_yxyx=boxes), size)
    class_ids, offsets, is_positive, is_counted = (field.numpy() for field in mine)
    classes, theirs, _, _, weights = input_peer.anchor_targets(
        boxes, labels.class_ids, size
    )
    classes, theirs = (
        np.concatenate([level.numpy().reshape(-1, side) for level in levels.values()])
        for levels, side in ((classes, 1), (theirs, 4))
    )
    assert is_positive.sum() > 10 and is_counted.all()
    np.testing.assert_array_equal(class_ids, classes[:, 0])
    np.testing.assert_allclose(offsets[is_positive], theirs[is_positive], atol=1e-4)


def test_targets_of_no_boxes_are_all_background(record):
    labels = decode.decode_example(record).labels
    nothing = tf.nest.map_structure(lambda field: field[:0], labels)
    class_ids, _, is_positive, is_counted = input_ours.anchor_targets(nothing, SIZE)
    assert (class_ids.numpy() == -1).all()
    assert not is_positive.numpy().any() and is_counted.numpy().all()


def test_our_detection_yields_what_training_reads(record):
    prepared = input_ours.detection("S2", SIZE)(record, tf.constant([1, 2]))
    assert prepared.image.shape == (*SIZE, 3) and prepared.image.dtype == tf.uint8
    assert prepared.labels.boxes_yxyx.shape == (input_ours.NUM_BOXES, 4)
    assert prepared.changes == ()  # Nothing is left for the device.


def test_our_image_with_targets_is_normalized_and_as_wide(record):
    made = input_ours.detection_with_targets("S1", SIZE)(record, tf.constant([1, 2]))
    assert made[0].shape == (*SIZE, 3) and made[0].dtype == tf.bfloat16
    assert abs(float(tf.reduce_mean(tf.cast(made[0], tf.float32)))) < 2.0


@pytest.mark.parametrize("policy", ["randaugment", "autoaugment"])
@pytest.mark.slow
def test_the_peers_detection_yields_an_image_of_the_same_size(record, policy):
    parse = input_peer.detection(policy, (0.5, 2.0), SIZE)
    image, labels = next(iter(tf.data.Dataset.from_tensors(record).map(parse)))
    assert image.shape == (*SIZE, 3) and image.dtype == tf.bfloat16
    anchors = sum(2 * 4**i for i in range(5)) * 9  # Level 7 has 1 x 2 cells.
    targets = labels["cls_targets"].values()
    assert sum(np.prod(level.shape) for level in targets) == anchors


@pytest.mark.parametrize(
    "operations, policy", [(None, "randaugment"), ("none", "none")]
)
def test_both_segmentations_yield_an_image_and_a_map_of_the_same_size(
    record, operations, policy
):
    seed = tf.constant([1, 2])
    mine = input_ours.segmentation("S4", SIZE, operations)(record, seed)
    theirs = input_peer.segmentation(policy, (0.5, 2.0), SIZE)(tf.constant(record))
    assert mine.image.shape == theirs[0].shape == (*SIZE, 3)
    class_ids = mine.labels.class_ids
    assert class_ids.shape == theirs[1]["masks"].shape[:2] == SIZE
    for label_map in (class_ids, theirs[1]["masks"]):
        assert set(np.unique(label_map)) <= {*range(11), 255}


def test_a_pipeline_does_nothing_while_it_is_not_measured():
    seen = []

    def work(x):
        seen.append(threading.get_ident())
        return x

    dataset = tf.data.Dataset.range(10).repeat()
    dataset = dataset.map(lambda x: tf.py_function(work, [x], tf.int64))
    pipeline = one_core.Pipeline(dataset.batch(2), images_per_element=2)
    before = len(seen)
    time.sleep(0.1)
    assert len(seen) == before == 4  # Two batches, to warm up.
    pipeline.measure(0.0)
    assert len(seen) == before + 2
    assert len(set(seen)) == 1


def test_a_rate_is_per_second_of_processor_time(monkeypatch):
    clocks = {"cpu": 0.0, "wall": 0.0}

    def batches():
        while True:
            clocks["cpu"] += 0.5
            clocks["wall"] += 2.0
            yield 1

    monkeypatch.setattr(one_core.time, "process_time", lambda: clocks["cpu"])
    monkeypatch.setattr(one_core.time, "perf_counter", lambda: clocks["wall"])
    dataset = tf.data.Dataset.from_generator(
        batches, output_signature=tf.TensorSpec([], tf.int32)
    )
    # Three elements of 8 images take 1.5 s of the processor and 6 s on the wall.
    measured = one_core.Pipeline(dataset, images_per_element=8).measure(1.2)
    assert measured == (16.0, 0.25)


def test_an_unknown_row_is_named_before_anything_is_made(tmp_path):
    with pytest.raises(ValueError, match=r"--only.*input/operations; got input/x\."):
        input_suite.run(str(tmp_path / "x.json"), command="", only=["input/x"])


def test_an_operation_the_peer_has_not_is_a_dash():
    measured = [
        {"name": "Color", "ours": 2.0, "peer": 5.0},
        {"name": "flip", "ours": 4.0, "peer": None},
    ]
    assert input_operations.format_operations(measured).splitlines() == [
        "ms per image on one core  ours  peer  ratio",
        "Color                     2.00  5.00    2.5",
        "flip                      4.00     -      -",
    ]
