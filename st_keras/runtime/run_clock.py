"""How long a run has taken, over all the processes that have worked on it."""

import json
import pathlib
import time

from st_keras.runtime.run_log import write_json

_FILE = "seconds.json"


class RunClock:
    """Counts the seconds whose work was kept.

    A killed run has done its last steps for nothing; they are not counted. What was
    there is read at once, so the clock is made when the run starts.
    """

    def __init__(self, workdir: str):
        self._path = pathlib.Path(workdir) / _FILE
        self._before = 0.0
        if self._path.exists():
            self._before = json.loads(self._path.read_text(encoding="utf-8"))["seconds"]
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Of this process and of those before it."""
        return self._before + time.monotonic() - self._started

    def save(self) -> None:
        """Keeps the time; called when the work is kept."""
        write_json(self._path, {"seconds": round(self.seconds, 3)})
