"""What the whole procedure promises when it is killed."""

import json
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest

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
def test_stages_killed_at_random_end_in_the_report_of_one_never_killed(
    student_yaml, tmp_path
):
    calm, troubled = tmp_path / "calm", tmp_path / "troubled"
    began = time.time()
    assert start(student_yaml, calm).wait() == 0
    whole = time.time() - began
    chance = random.Random(1)
    for _ in range(6):
        process = start(student_yaml, troubled)
        time.sleep(chance.uniform(0.1, 0.5) * whole)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(student_yaml, troubled).wait() == 0
    # Digests of the checkpoints are among what is compared.
    assert report_without(troubled) == report_without(calm)
