"""The hosts of one job: who they are, and how they wait for each other.

Every host runs the same program on the same config and calls the functions here in the
same order. Every wait is bounded: a host that dies is noticed within seconds, a missing
one within minutes, and the others then say so and stop. Only the chief writes what they
share on disk.
"""

import base64
import contextlib
import faulthandler
import functools
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import tensorflow as tf

_START_TIMEOUT_S = 600  # For all hosts to start.
_HEARTBEAT_TIMEOUT_S = 20  # A host silent for this long counts as dead.
# For a host that is alive but late: slower by more than this, or stuck.
_MEETING_TIMEOUT_S = 12 * 3600
_PROBE_TIMEOUT_S, _PAUSE_S = 2, 0.2
_LINGER_S = 1  # So that hosts that probe a little later still see this one.
_CHUNK_BYTES = 2**20  # Sent at a time; gRPC refuses messages of a few MB.
_KINDS = ("chief", "worker")  # Of TF_CONFIG, in the order hosts are numbered.
_OF_HOSTS = (
    tf.errors.UnavailableError,
    tf.errors.DeadlineExceededError,
    tf.errors.AbortedError,
)
# An error of this host alone may be of these types too, and then names its devices.
_OF_HOSTS_OR_NOT = (
    tf.errors.CancelledError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)
_RESTART = "Start the command again on all hosts: it goes on where it was."


class HostLostError(ConnectionError):
    """Another host of the job has died, or has not arrived in time."""


class Hosts:
    """The hosts of a job, seen from one of them; a single one needs no network."""

    def __init__(self, addresses: tuple[str, ...] = ("",), index: int = 0):
        """Names the hosts.

        Args:
          addresses: Of all hosts.
          index: Which of them is this host.
        """
        self.count = len(addresses)
        self.index = index
        self.is_connected = False  # Whether TensorFlow is connected to the others.
        self._addresses = addresses
        self._meetings = 0

    @property
    def is_chief(self) -> bool:
        """Whether this host is the one that writes."""
        return self.index == 0

    def meet(self, what: str) -> None:
        """Waits until all hosts have reached this call.

        Args:
          what: The same on all hosts; for the message.

        Raises:
          HostLostError: One has died, or has not arrived in time.
        """
        if self.count == 1:
            return
        self._meetings += 1
        name = f"{self._meetings}: {what}"
        with self.explaining(f"waiting for `{name}`"):
            _context().wait_at_barrier(name, _MEETING_TIMEOUT_S * 1000)

    def gather(self, payload: bytes, what: str) -> list[bytes]:
        """Returns the payloads of all hosts by their numbers, on every host.

        Args:
          payload: This host's bytes, of any length.
          what: The same on all hosts; for the message.

        Raises:
          HostLostError: One has died, or has not arrived in time.
        """
        if self.count == 1:
            return [payload]
        gathered, sent = self._exchange(payload, what)
        self._forget(sent, what)
        return gathered

    def check_same(self, what: str, text: str) -> None:
        """Refuses to go on with hosts that differ.

        Args:
          what: What must be the same everywhere, for the message.
          text: Its value on this host.

        Raises:
          ValueError: Shows its values on two hosts.
          HostLostError: One has died, or has not arrived in time.
        """
        if self.count == 1:
            return
        gathered, sent = self._exchange(text.encode(), what)
        texts = [found.decode() for found in gathered]
        others = [number for number in range(self.count) if texts[number] != texts[0]]
        try:
            self._forget(sent, what)
        except HostLostError:
            # A host that has seen the difference may end before this one has heard
            # that all have read; then the difference is the reason to tell.
            if not others:
                raise
        if others:
            raise ValueError(
                f"{what} must be the same on all hosts, got {texts[0]} on host 0 and "
                f"{texts[others[0]]} on host {others[0]} "
                f"({self._addresses[others[0]]})."
            )

    def _exchange(self, payload: bytes, what: str) -> tuple[list[bytes], list[str]]:
        """Returns the payloads of all hosts, and the keys under which this one's is."""
        key = f"st_keras/{self._meetings}/{what}"
        starts = range(0, len(payload), _CHUNK_BYTES)
        own = {f"{key}/{self.index}": str(len(starts))} | {
            f"{key}/{self.index}/{number}": base64.b64encode(
                payload[start : start + _CHUNK_BYTES]
            ).decode()
            for number, start in enumerate(starts)
        }
        with self.explaining(f"sending `{what}`"):
            for name, text in own.items():
                _context().set_config_key_value(name, text)
        self.meet(f"{what} is sent")
        with self.explaining(f"receiving `{what}`"):
            gathered = [self._receive(f"{key}/{i}") for i in range(self.count)]
        return gathered, list(own)

    def _forget(self, sent: list[str], what: str) -> None:
        """Removes what this host has sent, once all have read it."""
        self.meet(f"{what} has been read")
        with self.explaining(f"tidying up `{what}`"):
            for name in sent:
                _context().delete_config_key_value(name)

    @contextlib.contextmanager
    def explaining(self, doing: str) -> Iterator[None]:
        """Turns TensorFlow's errors about another host into one that says what to do.

        Args:
          doing: What this host is doing, for the message.

        Raises:
          HostLostError: One has died, or has not arrived in time.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if self.count == 1:
                raise
            silent = self._silent()
            if not (_is_about_hosts(error) or silent and _may_be_about_hosts(error)):
                raise
            lost = silent or f"another: {error.message.splitlines()[0]}"
            raise HostLostError(
                f"{self._name}, {doing}, has lost {lost}. {_RESTART}"
            ) from error

    def await_all(self) -> None:
        """Waits until the others have started, for some minutes at most.

        TensorFlow itself would wait for ever and ignore signals meanwhile. So this
        comes before TensorFlow starts, on the port that it is going to use.

        Raises:
          HostLostError: Some have not started; names them.
          OSError: The port is in use.
        """
        end = time.monotonic() + _START_TIMEOUT_S
        port = int(self._addresses[self.index].rpartition(":")[2])
        missing = [n for n in range(self.count) if n != self.index]
        with socket.create_server(("", port)):
            while missing and time.monotonic() < end:
                missing = [n for n in missing if not _answers(self._addresses[n])]
                time.sleep(_PAUSE_S)
            if not missing:
                time.sleep(_LINGER_S)
        if missing:
            raise HostLostError(
                f"{self._name}, has waited {_START_TIMEOUT_S} s for "
                f"{self._named(missing)}. Are they running, with the same hosts in "
                f"`TF_CONFIG`? {_RESTART}"
            )

    @property
    def _name(self) -> str:
        return f"Host {self.index} of {self.count} ({self._addresses[self.index]})"

    def _silent(self) -> str:
        """Returns the other hosts that do not answer, in words."""
        others = [n for n in range(self.count) if n != self.index]
        return self._named([n for n in others if not _answers(self._addresses[n])])

    def _named(self, numbers: list[int]) -> str:
        return " and ".join(f"host {n} ({self._addresses[n]})" for n in numbers)

    def _receive(self, key: str) -> bytes:
        chunks = int(_context().get_config_key_value(key, 60_000))
        texts = (
            _context().get_config_key_value(f"{key}/{number}", 60_000)
            for number in range(chunks)
        )
        return b"".join(base64.b64decode(text) for text in texts)


def read_hosts(tf_config: str) -> Hosts:
    """Returns the hosts listed in a variable TF_CONFIG.

    Args:
      tf_config: Its JSON; empty: this host is alone.

    Raises:
      ValueError: It does not list hosts, or not this one.
    """
    if not tf_config:
        return Hosts()
    try:
        content = json.loads(tf_config)
        cluster, task = content["cluster"], content["task"]
        kinds = [kind for kind in _KINDS if cluster.get(kind)]
        addresses = [(kind, a) for kind in kinds for a in cluster[kind]]
        here = task["type"], cluster[task["type"]][int(task["index"])]
        return Hosts(tuple(a for _, a in addresses), addresses.index(here))
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ValueError(
            "`TF_CONFIG` must list the hosts and say which one this is, such as "
            '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": '
            f'"worker", "index": 0}}}}, got {tf_config}.'
        ) from None


def join(strategy: str) -> Hosts:
    """Returns the hosts of this job, once all of them have started.

    Call it before TensorFlow computes anything. A job has several hosts if its
    strategy is multi_worker and the variable TF_CONFIG lists them; the first of them,
    or the one listed as `chief`, is the chief.

    Args:
      strategy: As `runtime.strategy`.

    Raises:
      ValueError: TF_CONFIG cannot be read.
      HostLostError: One has died, or has not arrived in time.
    """
    return _join_all() if strategy == "multi_worker" else Hosts()


def of_strategy(strategy: tf.distribute.Strategy) -> Hosts:
    """Returns the hosts that share the replicas of a strategy."""
    is_shared = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    return _hosts_of_job() if is_shared else Hosts()


def is_connected() -> bool:
    """Whether this process works together with others."""
    return bool(_hosts_of_job.cache_info().currsize) and _hosts_of_job().is_connected


@functools.cache  # TensorFlow connects a process once.
def worker_strategy() -> tf.distribute.MultiWorkerMirroredStrategy:
    """Returns the strategy of all hosts of the job, the same one at every call."""
    hosts = _hosts_of_job()
    if hosts.count == 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    _configure_heartbeats(json.loads(os.environ["TF_CONFIG"])["cluster"])
    hosts.await_all()
    hosts.is_connected = True
    # If a host dies at this very moment, TensorFlow still waits for ever.
    faulthandler.dump_traceback_later(_START_TIMEOUT_S, exit=True)
    with hosts.explaining("connecting"):
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    hosts.meet("all hosts are there")
    faulthandler.cancel_dump_traceback_later()
    # TensorFlow catches the signal, so that it would no longer end the process.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return strategy


def _join_all() -> Hosts:
    worker_strategy()
    return _hosts_of_job()


@functools.cache  # One object has to count the meetings.
def _hosts_of_job() -> Hosts:
    return read_hosts(os.environ.get("TF_CONFIG", ""))


def _context():
    # For barriers and a key-value store, which no public module has.
    from tensorflow.python.eager import context

    return context.context()


def _configure_heartbeats(cluster: dict[str, list[str]]) -> None:
    """Sets what the strategy would set, and how long a silent host counts as alive."""
    from tensorflow.tsl.protobuf.coordination_config_pb2 import CoordinatedJob

    kinds = [kind for kind in _KINDS if cluster.get(kind)]
    _context().configure_coordination_service(
        service_type="standalone",
        service_leader=f"/job:{kinds[0]}/replica:0/task:0",
        heartbeat_timeout_in_ms=_HEARTBEAT_TIMEOUT_S * 1000,
        coordinated_jobs=[
            CoordinatedJob(name=kind, num_tasks=len(cluster[kind])) for kind in kinds
        ],
    )


def _is_about_hosts(error: tf.errors.OpError) -> bool:
    told = ("Collective", "Barrier", "CoordinationService", "heartbeat")
    if isinstance(error, _OF_HOSTS):
        told += ("/task:",)
    return _may_be_about_hosts(error) and any(word in error.message for word in told)


def _may_be_about_hosts(error: tf.errors.OpError) -> bool:
    return isinstance(error, _OF_HOSTS + _OF_HOSTS_OR_NOT)


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), _PROBE_TIMEOUT_S):
            return True
    except OSError:
        return False
