"""How long a run has taken, over all the processes that have worked on it."""

import pathlib
import time

from st_keras.runtime.run_log import read_json, write_json

_FILE = "seconds.json"


class RunClock:
    """Counts the seconds whose work was kept.

    The last steps of a killed run are lost, so they are not counted. The saved time is
    read on construction, so make the clock when the run starts.
    """

    def __init__(self, workdir: str):
        self._path = pathlib.Path(workdir) / _FILE
        self._before = {"seconds": 0.0}
        if self._path.exists():
            self._before = read_json(self._path)
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds of this process and of those before it."""
        return self._before["seconds"] + self._now

    def device_seconds(self, devices: int) -> float:
        """Returns the seconds of all devices; earlier processes may have had others.

        Args:
          devices: How many this process works on.
        """
        # Earlier versions stored one number, and assumed the same devices throughout.
        before = self._before.get("device_seconds", self._before["seconds"] * devices)
        return before + self._now * devices

    def save(self, devices: int) -> None:
        """Saves the time; called when the work is saved."""
        content = {
            "seconds": round(self.seconds, 3),
            "device_seconds": round(self.device_seconds(devices), 3),
        }
        write_json(self._path, content)

    @property
    def _now(self) -> float:
        return time.monotonic() - self._started
