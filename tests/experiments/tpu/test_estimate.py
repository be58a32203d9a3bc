"""What is said to follow from a compiled step, by pencil."""

import pytest

from st_keras.experiments.tpu import estimate
from st_keras.experiments.tpu.chips import CHIPS, is_kind, parse

V3, V4, V5E = CHIPS["v3"], CHIPS["v4"], CHIPS["v5e"]


def test_a_step_of_many_operations_is_bound_by_compute():
    # A v3 core does 61.5 TFLOP and moves 450 GB a second: 6.15e12 / 61.5e12 = 0.1 s,
    # 9e9 / 450e9 = 0.02 s.
    bound = estimate.roofline(6.15e12, 9e9, V3)
    assert bound.seconds == pytest.approx(0.1)
    assert bound.memory_seconds == pytest.approx(0.02)
    assert bound.bound == "compute"
    assert bound.intensity == pytest.approx(683.3, abs=0.1)


def test_a_step_of_much_traffic_is_bound_by_memory():
    # 275e9 / 275e12 = 1 ms, 6e9 / 1200e9 = 5 ms.
    bound = estimate.roofline(275e9, 6e9, V4)
    assert bound.seconds == pytest.approx(0.005)
    assert bound.bound == "memory"


def test_hours_of_a_run_are_its_steps_and_chip_hours_those_of_every_chip():
    # 0.36 s x 20,000 = 7200 s = 2 h, on 64 cores of 32 chips.
    run = estimate.cost(0.36, steps=20_000, chips=V3.chips(64))
    assert run.hours == pytest.approx(2.0)
    assert run.chip_hours == pytest.approx(64.0)


def test_memory_of_several_sizes_is_on_the_line_of_the_outermost():
    # 2 images take 5 GB, 6 take 11: 1.5 each, and 2 without any.
    line = estimate.memory({6: 11e9, 4: 9e9, 2: 5e9})
    assert line.at(0) == pytest.approx(2e9)
    assert line.at(8) == pytest.approx(14e9)
    # 15 GB hold 8.67 images.
    assert line.most_images(15e9) == 8
    assert line.most_images(1e9) == 0


def test_memory_of_one_size_grows_by_all_that_is_not_fixed():
    # 4 images take 7 GB, 1 of it for variables and code: 1.5 each, 10 in 16 GB.
    line = estimate.memory({4: 7e9}, fixed_bytes=1e9)
    assert line.at(8) == pytest.approx(13e9)
    assert line.most_images(16e9) == 10


def test_of_two_sizes_that_take_the_same_the_larger_counts():
    # As if there were only 2 images in 7 GB, 1 of it fixed.
    line = estimate.memory({1: 7e9, 2: 7e9}, fixed_bytes=1e9)
    assert line.per_image_bytes == pytest.approx(3e9)
    assert line.most_images(16e9) == 5


def test_a_batch_is_spread_over_powers_of_two_that_divide_every_part():
    # 24 pseudo images divide by 8 and no more; a v4 has no slice under 4 chips.
    parts = {"human": 64, "pseudo": 24}
    assert estimate.replica_counts(parts, V4) == [4, 8]
    # Classes beside the task are a part as well: 192 divide by 64 and no more.
    beside = {"human": 256, "pseudo": 256, "joint": 192}
    assert estimate.replica_counts(beside, V3) == [8, 16, 32, 64]
    assert estimate.replica_counts(parts, V3) == [8]
    assert estimate.replica_counts({"human": 6}, V3) == []


def test_the_smallest_slice_is_the_first_whose_share_fits():
    # 256 + 256 images: on 64 cores 8 each, on 128 cores 4.
    parts = {"human": 256, "pseudo": 256}
    assert estimate.fewest_replicas(parts, V3, 8) == 64
    assert estimate.fewest_replicas(parts, V3, 7) == 128
    # One image of each part is the least that a replica can have: 2.
    assert estimate.fewest_replicas(parts, V3, 1) is None


def test_slices_are_named_as_they_are_ordered():
    assert V3.slice_name(64) == "v3-64"  # By cores, which are replicas.
    assert V4.slice_name(32) == "v4-64"  # By cores, two to a replica.
    assert V5E.slice_name(16) == "v5litepod-16"
    assert (V3.chips(64), V4.chips(32), V5E.chips(16)) == (32, 32, 16)


def test_a_slice_is_read_back_as_its_replicas():
    assert parse("v3") == (V3, None)
    assert parse("v3-64") == (V3, 64)
    assert parse("v4-64") == (V4, 32)
    assert parse("v5e-16") == parse("v5litepod-16") == (V5E, 16)


@pytest.mark.parametrize("name", ["v6", "v3-4", "v4-9", "v3-", "v3-x", "tpu"])
def test_what_is_no_slice_is_refused(name):
    with pytest.raises(ValueError, match=rf"`--tpu` must be .*, got {name}\."):
        parse(name)


def test_the_name_of_a_tpu_is_told_from_its_kind():
    assert all(map(is_kind, ["v3", "v4-64", "v5e", "v5litepod-8"]))
    assert not any(map(is_kind, ["", "local", "my-tpu", "v3-mine", "grpc://10.0.0.2"]))
