"""Time, disk and memory, worked out by pencil."""

import dataclasses

import pytest

from st_keras.experiments.doctor import checkup, cost
from tests.experiments.doctor.ward import TRIAL


def stages(config, pictures_per_second=0.5):
    return cost.stage_seconds(
        config,
        steps_per_second=4.0,
        seconds_before=30.0,
        pictures_per_second=pictures_per_second,
        unlabeled_pictures=90,
    )


def test_each_stage_costs_its_steps_and_its_beginning(ward):
    config = ward.config("self_training.teacher_steps=1000")
    assert stages(config) == {
        "teacher": 30 + 1000 / 4,
        "labelling": 90 / 0.5,
        "student": 30 + 2000 / 4,
        "control": 30 + 3000 / 4,
    }


def test_a_teacher_takes_as_many_steps_as_its_student_unless_told(ward):
    config = ward.config("self_training.control=false")
    assert stages(config) == {"teacher": 530.0, "labelling": 180.0, "student": 530.0}


def test_a_teacher_with_fewer_pictures_has_shorter_steps(ward):
    config = ward.config()
    images = config.human.images_per_step + config.pseudo.images_per_step
    config = ward.config(
        f"human.images_per_step={images - 3}",
        "pseudo.images_per_step=3",
        f"self_training.teacher_images_per_step={images // 2}",
    )
    share = (images // 2) / images
    assert share < 1
    assert stages(config) == {
        "teacher": 30 + share * 500,
        "labelling": 180.0,
        "student": 530.0,
        "control": 30 + share * 1000,
    }


def test_the_steps_of_a_student_that_asks_a_teacher_take_longer(ward):
    config = ward.config(
        "pseudo.online=true",
        "self_training.student_init=teacher",
        "optimization.ema_decay=0.9",
    )
    of_student = config.human.images_per_step + config.pseudo.images_per_step
    # A forward pass more, beside the three of forward and backward, for a part of them.
    ratio = (3 * of_student + config.pseudo.images_per_step) / (3 * of_student)
    found = stages(config)
    assert found["student"] == pytest.approx(30 + ratio * 500)
    assert found["control"] == 30 + 1000


def test_a_run_alone_has_one_stage(ward):
    assert stages(ward.config(pseudo=None, self_training=None)) == {"teacher": 530.0}
    alone = ward.config("pseudo.records=labels/*.tfrecord", self_training=None)
    assert stages(alone) == {"student": 530.0}


def test_labelling_whose_speed_is_not_known_is_left_out(ward):
    assert "labelling" not in stages(ward.config(), pictures_per_second=0.0)


def test_disk_holds_the_kept_checkpoints_of_all_runs_and_one_in_the_making(ward):
    config = ward.config("training.keep_checkpoints=3")
    sizes = {"checkpoint_bytes": 100, "unlabeled_bytes": 7777}
    assert cost.disk_bytes(config, **sizes) == {
        "checkpoints": (3 * 3 + 1) * 100,
        "pseudo records": 7777,
    }
    alone = ward.config("training.keep_checkpoints=3", pseudo=None, self_training=None)
    assert cost.disk_bytes(alone, **sizes) == {"checkpoints": 400}


def test_pictures_that_fit_are_held_and_of_others_as_many_as_are_mixed(ward):
    case, _ = checkup.examine(ward.config(), steps=0)
    megabyte = 2**20
    for name, size in (("human", 5 * megabyte), ("unlabeled", 12 * megabyte)):
        case.opened[name] = dataclasses.replace(case.opened[name], size_bytes=size)
    assert cost.buffer_bytes(case) == 17 * megabyte
    # The four pictures to label have 12 MB, of which one in four is mixed.
    case.config = ward.config("pseudo.cache_mb=11", "pseudo.shuffle_buffer=1")
    assert cost.buffer_bytes(case) == 8 * megabyte
    case.config = ward.config("human.cache_mb=4", "human.shuffle_buffer=4096")
    assert cost.buffer_bytes(case) == 17 * megabyte


@pytest.mark.parametrize(
    ("free", "kind"), [(83_000, "problem"), (85_000, "warning"), (400_000, None)]
)
def test_a_disk_that_is_too_small_is_found(ward, monkeypatch, free, kind):
    # 3 runs keep 2 checkpoints each: 7 * 12,000 bytes, and pictures of 24 kB each.
    case, _ = checkup.examine(ward.config(), workdir="runs/x", steps=0)
    case.trial = TRIAL
    case.opened["unlabeled"] = dataclasses.replace(
        case.opened["unlabeled"], size_bytes=0
    )
    monkeypatch.setattr(cost, "free_disk_bytes", lambda folder: free)
    found = cost.check_disk(case)
    assert [finding.kind for finding in found] == ([kind] if kind else [])
    for finding in found:
        assert finding.what.startswith("runs/x: 84 kB of checkpoints and 0 B of")


@pytest.mark.parametrize(
    ("free", "kind"), [(0.9, "problem"), (1.5, "warning"), (2.5, None)]
)
def test_memory_that_is_too_small_is_found(ward, monkeypatch, free, kind):
    case, _ = checkup.examine(ward.config(), steps=0)
    held = cost.buffer_bytes(case)
    monkeypatch.setattr(cost, "free_memory_bytes", lambda: round(free * held))
    found = cost.check_memory(case)
    assert [finding.kind for finding in found] == ([kind] if kind else [])


def test_what_is_free_is_asked_of_the_first_folder_that_is_there(tmp_path):
    here = cost.free_disk_bytes(str(tmp_path))
    there = cost.free_disk_bytes(str(tmp_path / "not" / "yet"))
    assert here > 0
    assert there == pytest.approx(here, rel=0.05)


def test_free_memory_is_some_and_not_more_than_there_is():
    total = int(open("/proc/meminfo").readline().split()[1]) * 1024
    assert 0 < cost.free_memory_bytes() <= total


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (12_345, "12.3 kB"), (4.2e9, "4.2 GB")],
)
def test_sizes_are_told_in_the_unit_that_suits(count, text):
    assert cost.size(count) == text


@pytest.mark.parametrize("version", [1, 2])
def test_cache_that_a_container_would_give_back_is_free(version, tmp_path, monkeypatch):
    _, bound, used, cache = cost._GROUPS[2 - version]
    (tmp_path / bound).write_text("3000\n")
    (tmp_path / used).write_text("2900\n")
    (tmp_path / "memory.stat").write_text(f"anon 1100\n{cache} 1700\npgfault 5\n")
    monkeypatch.setattr(cost, "_GROUPS", [(str(tmp_path), bound, used, cache)])
    assert cost.free_memory_bytes() == 1800  # 3000 - (2900 - 1700).
