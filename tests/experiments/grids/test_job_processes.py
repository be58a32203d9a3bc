"""What is promised of jobs in processes of their own."""

import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import pytest

from st_keras.experiments.grids import job_processes


class Note(NamedTuple):
    """A job, and where it leaves what it has to say."""

    name: str
    folder: pathlib.Path


def work(note):
    if note.name == "raises":
        raise ValueError("no such cell")
    if note.name == "is long":
        raise ValueError("long" * 2**18)  # More than a pipe holds.
    if note.name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if note.name.startswith("meets"):
        (note.folder / note.name).touch()
        deadline = time.time() + 60
        while len(list(note.folder.glob("meets*"))) < 2:
            assert time.time() < deadline, "the other is not here"
            time.sleep(0.01)
    if note.name == "waits":
        (note.folder / "pid").write_text(str(os.getpid()))
        time.sleep(60)
    print("heard")
    print("of", file=sys.stderr)
    cores = sorted(os.sched_getaffinity(0))
    (note.folder / f"{note.name}.txt").write_text(f"{os.getpid()} {cores}")


@pytest.mark.parametrize("processes", [1, 2])
def test_one_that_fails_or_is_killed_does_not_stop_the_others(tmp_path, processes):
    jobs = [Note(name, tmp_path) for name in ("raises", "killed", "first", "second")]
    ended = dict(job_processes.run(work, jobs, processes))
    assert set(ended) == set(jobs)
    raised, killed, first, second = (ended[job] for job in jobs)
    assert raised.message == "no such cell"
    assert "ValueError: no such cell" in raised.trace
    assert "SIGKILL" in killed.message
    assert first is None and second is None
    pids = [(tmp_path / f"{n}.txt").read_text().split()[0] for n in ("first", "second")]
    assert len({str(os.getpid()), *pids}) == 3


def test_as_many_as_asked_run_at_once_on_cores_of_their_own(tmp_path):
    jobs = [Note(name, tmp_path) for name in ("meets_a", "meets_b")]
    assert [failure for _, failure in job_processes.run(work, jobs, 2)] == [None, None]
    a, b = ((tmp_path / f"{job.name}.txt").read_text().split(" ", 1) for job in jobs)
    assert a[0] != b[0]
    if len(os.sched_getaffinity(0)) > 1:
        assert not set(numbers(a[1])) & set(numbers(b[1]))


@pytest.mark.parametrize(
    "processes, shares",
    [
        (1, [set()]),
        (2, [{0}, {2}]),  # And the third is idle: a share must not be another's twice.
        (3, [{0}, {2}, {5}]),
        (4, [{0}, {2}, {5}, {0}]),
    ],
)
def test_shares_of_cores_are_alike(monkeypatch, processes, shares):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 5})
    assert job_processes._shares_of_cores(processes) == shares


def numbers(text):
    return [int(number) for number in text.strip("[]").split(",")]


def test_a_long_message_is_read_to_its_end(tmp_path):
    ((_, failure),) = job_processes.run(work, [Note("is long", tmp_path)])
    assert failure.message == "long" * 2**18


def test_what_is_printed_goes_to_the_log_of_the_job(tmp_path, capfd):
    job = Note("quiet", tmp_path)
    ended = job_processes.run(
        work, [job], 1, lambda job: tmp_path / "new" / f"{job.name}.log"
    )
    assert list(ended) == [(job, None)]
    log = (tmp_path / "new/quiet.log").read_text()
    assert "heard" in log and "of" in log
    assert "heard" not in capfd.readouterr().out


def test_what_runs_is_ended_when_the_caller_goes_away(tmp_path):
    jobs = [Note("first", tmp_path), Note("meets_for_ever", tmp_path)]
    ended = job_processes.run(work, jobs, 2)
    next(ended)
    ended.close()
    time.sleep(0.5)
    (tmp_path / "meets_too_late").touch()
    time.sleep(0.5)
    assert not (tmp_path / "meets_for_ever.txt").exists()


def test_who_is_killed_leaves_no_process_behind(tmp_path):
    program = (
        "import pathlib\n"
        "from st_keras.experiments.grids import job_processes\n"
        "from tests.experiments.grids.test_job_processes import Note, work\n"
        "if __name__ == '__main__':\n"
        f"    job = Note('waits', pathlib.Path({str(tmp_path)!r}))\n"
        "    list(job_processes.run(work, [job]))\n"
    )
    (tmp_path / "program.py").write_text(program)
    root = str(pathlib.Path(__file__).parents[3])
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py")],
        env=os.environ | {"PYTHONPATH": root},
    )
    deadline = time.time() + 60
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.time() < deadline and parent.poll() is None
        time.sleep(0.05)
    pid = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.wait()
    while is_alive(pid):
        assert time.time() < deadline
        time.sleep(0.05)


def is_alive(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    # One that has ended and that nobody has asked about is a zombie.
    return stat.rpartition(")")[2].split()[0] != "Z"
