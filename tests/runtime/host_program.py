"""What each of two hosts does in test_hosts.py; prints JSON."""

import json
import os
import signal
import sys
import time

from st_keras import command_line, environment

environment.quiet()

# ruff: noqa: E402
from st_keras.runtime import hosts as hosts_lib


def main(argv):
    what = os.environ["SCENARIO"]
    hosts = hosts_lib.join("multi_worker")
    if what == "together":
        # Of other lengths, and longer than what is sent at a time.
        own = bytes([hosts.index + 7]) * (1 + hosts.index * 3_000_000)
        gathered = hosts.gather(own, "some bytes")
        again = hosts.gather(b"" if hosts.index else b"\x00", "some bytes")
        refused = ""
        try:
            hosts.check_same("The colour", "red" if hosts.is_chief else "blue")
        except ValueError as error:
            refused = str(error)
        print(
            json.dumps(
                {
                    "index": hosts.index,
                    "is_chief": hosts.is_chief,
                    "lengths": [len(part) for part in gathered],
                    "values": [part[0] for part in gathered],
                    "again": [part.hex() for part in again],
                    "refused": refused,
                }
            )
        )
    elif what == "dies":
        if hosts.index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        hosts.meet("lunch")
    elif what == "told to end":
        if hosts.index == 1:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        hosts.meet("lunch")
    sys.stdout.flush()


if __name__ == "__main__":
    command_line.run(main)
