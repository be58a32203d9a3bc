"""What the hosts of a job promise each other."""

import json
import pathlib
import socket
import threading
import time

import pytest
import tensorflow as tf

from st_keras.runtime import hosts
from tests.host_processes import said, start_hosts, wait_for

PROGRAM = pathlib.Path(__file__).with_name("host_program.py")


def tf_config(kind, index, **cluster):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def test_without_tf_config_a_host_is_alone():
    alone = hosts.read_hosts("")
    assert (alone.count, alone.index, alone.is_chief) == (1, 0, True)
    alone.meet("nobody")
    assert alone.gather(b"mine", "nothing") == [b"mine"]


@pytest.mark.parametrize(
    ("kind", "index", "number"), [("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)]
)
def test_the_chief_comes_before_the_workers(kind, index, number):
    text = tf_config(kind, index, worker=["b:1", "c:1"], chief=["a:1"])
    found = hosts.read_hosts(text)
    assert (found.count, found.index) == (3, number)
    assert found.is_chief == (kind == "chief")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        tf_config("worker", 2, worker=["a:1", "b:1"]),
        tf_config("ps", 0, worker=["a:1"], ps=["b:1"]),
        tf_config("evaluator", 0, worker=["a:1"]),
    ],
)
def test_a_host_that_is_not_listed_is_refused(text):
    with pytest.raises(ValueError, match="`TF_CONFIG` must list the hosts and say"):
        hosts.read_hosts(text)


def error_on(job, kind, message):
    with job.explaining("training"):
        raise kind(None, None, message)


HERE = (
    "No algorithm worked! [[{{node /job:worker/replica:0/task:0/device:GPU:0/conv}}]]"
)


def test_an_error_of_a_device_here_is_not_blamed_on_another_host():
    with socket.create_server(("127.0.0.1", 0)) as there:
        address = f"127.0.0.1:{there.getsockname()[1]}"
        job = hosts.Hosts(("127.0.0.1:1", address), 0)
        with pytest.raises(tf.errors.InternalError):
            error_on(job, tf.errors.InternalError, HERE)
        # Of what only others can cause, and of those who are silent, it is.
        with pytest.raises(hosts.HostLostError, match="has lost another: Collective"):
            error_on(job, tf.errors.InternalError, "Collective ops is aborted")
        with pytest.raises(hosts.HostLostError, match="has lost another"):
            error_on(job, tf.errors.UnavailableError, "/job:worker/task:1 is gone")
    with pytest.raises(hosts.HostLostError, match=f"has lost host 1 .{address}"):
        error_on(job, tf.errors.InternalError, HERE)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_host_that_never_comes_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(hosts, "_START_TIMEOUT_S", 1)
    ours, theirs, never = (f"127.0.0.1:{free_port()}" for _ in range(3))
    with socket.create_server(("127.0.0.1", int(theirs.split(":")[1]))):
        job = hosts.Hosts((ours, theirs, never), 0)
        with pytest.raises(hosts.HostLostError) as lost:
            job.await_all()
    assert f"has waited 1 s for host 2 ({never}). Are they" in str(lost.value)


def test_hosts_that_come_are_waited_for(monkeypatch):
    monkeypatch.setattr(hosts, "_START_TIMEOUT_S", 30)
    addresses = tuple(f"127.0.0.1:{free_port()}" for _ in range(2))
    other = threading.Timer(1.0, hosts.Hosts(addresses, 1).await_all)
    other.start()
    started = time.time()
    hosts.Hosts(addresses, 0).await_all()
    assert 0.9 < time.time() - started < 30
    # From here on TensorFlow listens on the port.
    with socket.create_server(("127.0.0.1", int(addresses[0].split(":")[1]))):
        other.join(30)
    assert not other.is_alive()


def run(scenario, folder, monkeypatch):
    monkeypatch.setenv("SCENARIO", scenario)
    started = time.time()
    codes = wait_for(start_hosts([PROGRAM], folder), folder, 500)
    return codes, time.time() - started


@pytest.mark.slow
def test_hosts_tell_each_other_what_they_have(tmp_path, monkeypatch):
    codes, _ = run("together", tmp_path, monkeypatch)
    assert codes == [0, 0], said(tmp_path)
    rows = [json.loads(line) for line in said(tmp_path).splitlines() if "{" in line]
    assert [(row["index"], row["is_chief"]) for row in rows] == [(0, True), (1, False)]
    for row in rows:
        assert row["lengths"] == [1, 3_000_001]
        assert row["values"] == [7, 8]
        assert row["again"] == ["00", ""]
        assert "The colour must be the same on all hosts, got red" in row["refused"]
        assert "blue on host 1 (127.0.0.1:" in row["refused"]


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        (("red", "blue"), ValueError, "must be the same on all hosts, got red on host"),
        (("red", "red"), hosts.HostLostError, "^has lost host 0$"),
    ],
)
def test_a_difference_is_told_by_a_host_whose_chief_has_ended_by_then(
    texts, error, message, monkeypatch
):
    def lose(*_):
        raise hosts.HostLostError("has lost host 0")

    job = hosts.Hosts(("10.0.0.1:2222", "10.0.0.2:2222"), 1)
    sent = ([text.encode() for text in texts], [])
    monkeypatch.setattr(job, "_exchange", lambda *_: sent)
    monkeypatch.setattr(job, "_forget", lose)
    with pytest.raises(error, match=message):
        job.check_same("The colour", "blue")


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "signal"), [("dies", -9), ("told to end", -15)])
def test_who_waits_for_a_dead_host_is_told(scenario, signal, tmp_path, monkeypatch):
    codes, _ = run(scenario, tmp_path, monkeypatch)
    assert codes == [1, signal], said(tmp_path)
    assert "error: Host 0 of 2 (127.0.0.1:" in said(tmp_path)
    assert "waiting for `2: lunch`, has lost host 1 (127.0.0.1:" in said(tmp_path)
