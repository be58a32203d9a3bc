"""What the whole procedure promises when it is killed."""

import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

KILLS = 50
TOOL = pathlib.Path(__file__).parents[2] / "tools/self_train.py"


def start(student_yaml, workdir):
    return subprocess.Popen(
        [
            *(sys.executable, str(TOOL), "--config", student_yaml),
            *("--workdir", str(workdir), "--set", "training.steps=6"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def report_without(workdir):
    """Returns what a report says apart from times and the names of its folders."""
    report = json.loads((workdir / "report.json").read_text())
    for role in ("teacher", "student", "control"):
        del report[role]["protocol"]["checkpoint"]
        del report[role]["total"]["device_seconds"]
    for cost in report["ledger"].values():
        del cost["device_seconds"]
    return report


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_fifty_kills_at_random_moments_lose_nothing(student_yaml, tmp_path):
    """Over training, labelling and evaluation, in as many experiments as it takes."""
    calm = tmp_path / "calm"
    began = time.time()
    assert start(student_yaml, calm).wait() == 0
    whole = time.time() - began
    chance, kills, experiments = random.Random(1), 0, 0
    while kills < KILLS:
        experiments += 1
        troubled = tmp_path / f"troubled_{experiments}"
        while not (troubled / "report.html").exists():
            process = start(student_yaml, troubled)
            try:
                # Mostly early, where a process that starts again has done little yet.
                process.wait(chance.triangular(0.05, 1.0, 0.3) * whole)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                kills += 1
            code = process.wait()
            assert code in (0, -signal.SIGKILL)
            print(f"{kills} kills in {experiments} experiments", flush=True)
        # Digests of the checkpoints are among what is compared.
        assert report_without(troubled) == report_without(calm)
        assert labels(troubled) == labels(calm)


def labels(workdir):
    """Returns the pseudo records of an experiment, byte by byte."""
    shards = sorted((workdir / "labels_1").glob("*.tfrecord"))
    assert shards
    return [(shard.name, shard.read_bytes()) for shard in shards]
