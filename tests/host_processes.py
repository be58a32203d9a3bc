"""Several processes of one job, on this machine; what tests of hosts share."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[1]


def start_hosts(command: list[str], folder: pathlib.Path, count: int = 2):
    """Starts a command once for each host and returns the processes, the chief first.

    Args:
      command: Of Python, such as a tool with its flags.
      folder: For what they print: host_0.log, ...
      count: Hosts.
    """
    addresses = free_addresses(count)
    return [start_host(command, folder, addresses, number) for number in range(count)]


def start_host(command: list[str], folder: pathlib.Path, addresses, number: int):
    """Starts one of them."""
    cluster = {"worker": addresses}
    task = {"type": "worker", "index": number}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"host_{number}.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, *map(str, command)],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TF_CONFIG": json.dumps({"cluster": cluster, "task": task}),
            },
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def wait_for(processes, folder: pathlib.Path, seconds: float = 300) -> list[int]:
    """Returns their exit codes; in the end none is left, whatever happens.

    Raises:
      AssertionError: They have not ended in time; shows what they said.
    """
    end = time.time() + seconds
    try:
        return [p.wait(max(0.1, end - time.time())) for p in processes]
    except subprocess.TimeoutExpired:
        raise AssertionError(f"Not ended in {seconds} s: {said(folder)}") from None
    finally:
        for process in processes:
            process.kill()
            process.wait()


def said(folder: pathlib.Path) -> str:
    """Returns what the hosts have printed, one after the other."""
    return "\n".join(p.read_text() for p in sorted(folder.glob("host_*.log")))


def free_addresses(count: int) -> list[str]:
    """Returns addresses of this machine that nothing listens at."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
