"""What is promised where another process reads and writes: paths that it finds too."""

import os
import subprocess
import sys

import pytest

from tests.host_processes import ROOT, free_addresses

_SERVER = """
import sys
import tensorflow as tf

cluster = {"worker": [sys.argv[1]]}
tf.distribute.Server(cluster, job_name="worker", task_index=0, protocol="grpc").join()
"""


@pytest.fixture
def worker(tmp_path):
    """The address of a process in another folder, as on a host of a TPU slice."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    [address] = free_addresses(1)
    with subprocess.Popen([sys.executable, "-c", _SERVER, address], cwd=folder) as host:
        yield address
        host.kill()
    assert not list(folder.iterdir())  # Nothing was written where nobody looks.


@pytest.mark.slow
def test_relative_paths_are_those_of_the_process_that_names_them(
    worker, tiny_records, tmp_path
):
    folder = tmp_path / "here"
    folder.mkdir()
    program = ROOT / "tests/runtime/worker_program.py"
    records = os.path.relpath(tiny_records.glob, folder)
    done = subprocess.run(
        [sys.executable, program, worker, records],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "records 12",
        "labels 12",
        "saved run/checkpoints/ckpt-0 latest run/checkpoints/ckpt-0 restored 0",
        "events 1",
    ]
