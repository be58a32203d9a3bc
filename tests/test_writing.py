"""What files promise that are written by this package."""

import errno
import os
import select
import socket
import subprocess
import sys
import time

import pytest

from st_keras import writing


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with writing.replacing(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    assert os.listdir(path.parent) == ["a.txt"]


@pytest.mark.parametrize("is_written", [True, False])
def test_what_was_there_stays_if_there_is_an_error(tmp_path, is_written):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(KeyError), writing.replacing(path) as temporary:
        if is_written:
            temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_full_disk_is_told_with_the_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing.os, "fsync", full)
    with pytest.raises(OSError, match="No space left on device: '.*/a.txt'"):
        writing.write_text(tmp_path / "a.txt", "content")


def test_another_error_is_what_it_was(tmp_path):
    """As one of a host that is lost while a shard is written: no error of the file."""
    lost = ConnectionError("host 1 is lost")
    with pytest.raises(ConnectionError) as caught:
        with writing.replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise lost
    assert caught.value is lost


@pytest.mark.parametrize(
    "module, name, value", [(socket, "gethostname", "another"), (os, "getpid", 1)]
)
def test_hosts_and_processes_that_write_the_same_file_do_not_meet(
    tmp_path, monkeypatch, module, name, value
):
    path = tmp_path / "a.txt"
    with writing.replacing(path) as ours:
        ours.write_text("ours, and longer")
        monkeypatch.setattr(module, name, lambda: value)
        writing.write_text(path, "theirs")
        assert path.read_text() == "theirs"
    assert path.read_text() == "ours, and longer"


def test_text_may_have_half_characters_where_that_is_said(tmp_path):
    writing.write_text(tmp_path / "a.txt", "\udcff é", errors="backslashreplace")
    assert (tmp_path / "a.txt").read_bytes() == b"\\udcff \xc3\xa9"
    with pytest.raises(UnicodeEncodeError):
        writing.write_text(tmp_path / "a.txt", "\udcff")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_one_process_waits_until_the_other_has_left_or_is_dead(tmp_path):
    code = (
        "import sys, time\nfrom st_keras import writing\n"
        f"with writing.alone({str(tmp_path / 'lock')!r}):\n"
        "    print('here', flush=True)\n    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code]
    one, other = None, None
    try:
        one = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert one.stdout.readline() == b"here\n"
        other = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert not select.select([other.stdout], [], [], 2)[0]
        one.kill()
        assert other.stdout.readline() == b"here\n"
    finally:
        for process in filter(None, (one, other)):
            process.kill()
            process.communicate()


def test_without_locks_nobody_waits_and_it_is_said(tmp_path, monkeypatch):
    """As on Lustre without `-o flock`."""

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    said = []
    monkeypatch.setattr(writing.fcntl, "flock", flock)
    monkeypatch.setattr(writing.logging, "warning", lambda text, *_: said.append(text))
    with writing.alone(tmp_path / "lock"):
        pass
    with writing.claimed(tmp_path / "lock", "`runs/x`"):
        pass
    assert len(said) == 1 and "cannot be locked" in said[0]


def test_what_another_process_has_is_refused_at_once(tmp_path):
    path = tmp_path / "new" / ".lock"
    with writing.claimed(path, "`runs/x`"):
        with pytest.raises(ValueError, match="`runs/x` is in use: another process"):
            with writing.claimed(path, "`runs/x`"):
                pass
    with writing.claimed(path, "`runs/x`"):  # Left, and free again.
        pass


def test_only_what_nobody_writes_any_more_is_abandoned(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    here = socket.gethostname()
    names = (
        f"a.{here}-{dead.pid}.tmp",
        f"a.{here}-{os.getpid()}.tmp",
        "a.other.host-7.tmp",
        "b.other.host-7.tmp",
    )
    for name in names:
        (tmp_path / name).write_text("half")
    an_hour_ago = time.time() - 3601
    os.utime(tmp_path / names[3], (an_hour_ago, an_hour_ago))
    writing.remove_abandoned(tmp_path, "*.tmp")
    assert sorted(os.listdir(tmp_path)) == sorted(names[1:3])
