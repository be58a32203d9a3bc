"""What the loop promises to several hosts: two processes here, over the network."""

import pathlib
import time

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.runtime.run_log import read_rows
from st_keras.training.loop import train
from tests.host_processes import (
    ROOT,
    free_addresses,
    said,
    start_host,
    start_hosts,
    wait_for,
)

# Adam divides by the root of its second moment, so where a gradient is nothing but
# rounding, rounding decides its direction: SGD keeps the runs comparable.
OVERRIDES = [
    "pseudo=null",
    "self_training=null",
    "human.images_per_step=6",
    "optimization.optimizer=sgd",
]
SHORT = [*OVERRIDES, "training.steps=6", "optimization.ema_decay=0.0"]
LONG = [*OVERRIDES, "training.steps=20"]


def weights(workdir):
    reader = tf.train.load_checkpoint(str(pathlib.Path(workdir, "checkpoints")))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


def command_of(student_yaml, workdir, overrides):
    command = [ROOT / "tools/train.py", "--config", student_yaml]
    command += ["--workdir", workdir / "run", "--strategy", "multi_worker"]
    return command + [part for text in overrides for part in ("--set", text)]


def start(student_yaml, workdir, overrides):
    return start_hosts(command_of(student_yaml, workdir, overrides), workdir)


def train_in_one_process(student_yaml, workdir, overrides):
    """Trains the same with two replicas in this process."""
    config = config_lib.load(student_yaml, [*overrides, "runtime.strategy=mirrored"])
    train(config, str(workdir), devices=["CPU:0", "CPU:1"])


def assert_same_run(first, second, tolerance):
    """Compares all that a run leaves.

    Sums over replicas are of two numbers, the same in either order. What differs is the
    rounding of what one replica computes, as a process shares its cores out to two of
    them or has them for one: after 6 steps, 5e-7 where values are about 3. Training
    makes it larger with every step.
    """
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_allclose(
            value, theirs[name], tolerance, tolerance, err_msg=name
        )
    for row, other in zip(read_rows(first), read_rows(second), strict=True):
        assert row == pytest.approx(other, rel=10 * tolerance, abs=10 * tolerance)


def test_two_hosts_train_like_two_replicas_of_one(student_yaml, tmp_path):
    processes = start(student_yaml, tmp_path, SHORT)
    train_in_one_process(student_yaml, tmp_path / "one", SHORT)
    assert wait_for(processes, tmp_path) == [0, 0], said(tmp_path)
    assert_same_run(tmp_path / "one", tmp_path / "run", 2e-6)
    # The chief alone has written.
    assert len(list((tmp_path / "run/tensorboard").iterdir())) == 1
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names


def test_hosts_with_other_configs_stop_before_they_build_a_model(
    student_yaml, tmp_path
):
    """Of another shape, its variables would be waited for for ever."""
    addresses, processes = free_addresses(2), []
    for number, filters in enumerate((16, 24)):
        overrides = [*SHORT, f"detection.neck_filters={filters}"]
        command = command_of(student_yaml, tmp_path, overrides)
        processes.append(start_host(command, tmp_path, addresses, number))
    assert wait_for(processes, tmp_path, 120) == [1, 1], said(tmp_path)
    assert said(tmp_path).count("The config must be the same on all hosts") == 2
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.timeout(6000)
def test_a_job_whose_hosts_were_killed_ends_like_one_never_killed(
    student_yaml, tmp_path
):
    # First the other one, before a checkpoint; then the chief, between two of them.
    for victim, rows in ((1, 1), (0, 5)):
        processes = start(student_yaml, tmp_path, LONG)
        while len(read_rows(tmp_path / "run")) < rows:
            assert all(process.poll() is None for process in processes), said(tmp_path)
            time.sleep(0.05)
        processes[victim].kill()
        killed = time.time()
        # The one that is left ends by itself.
        codes = wait_for(processes, tmp_path, 600)
        print(f"noticed after {time.time() - killed:.0f} s")
        assert codes[1 - victim] == 1
        assert f"has lost host {victim} (127.0.0.1:" in said(tmp_path)
        assert "Start the command again on all hosts" in said(tmp_path)
        assert not (tmp_path / "run/summary.json").exists()
    processes = start(student_yaml, tmp_path, LONG)
    assert wait_for(processes, tmp_path, 2400) == [0, 0], said(tmp_path)
    train_in_one_process(student_yaml, tmp_path / "one", LONG)
    assert_same_run(tmp_path / "one", tmp_path / "run", 1e-4)
