"""failures.json: every step of a run with a number that is not finite."""

import pathlib

from st_keras.runtime.run_log import read_json, write_json

FILE = "failures.json"
ABORT, SKIP, RECOVER = "abort", "skip", "recover"
MOST_SKIPPED, MOST_IN_A_ROW, MOST_RECOVERIES = 10, 3, 3


class FailureLog:
    """Keeps a run's failures on disk and says whether the run may go on after one.

    A killed run reads the list again, so its limits and draws are those of an
    uninterrupted run. Failures after the step it resumes from are dropped, as they will
    happen again.
    """

    def __init__(self, workdir: str, *, resume_step: int, is_written: bool = True):
        """Reads what has happened up to a step.

        Args:
          workdir: Folder of the run.
          resume_step: Steps taken by the run as it resumes.
          is_written: Whether this host writes the list.
        """
        self._is_written = is_written
        self._path = pathlib.Path(workdir, FILE)
        there = _read(self._path)
        self.events = [e for e in there if _began(e) <= resume_step]
        # Or a later start, past that step, would count what these weights never saw.
        if is_written and len(self.events) < len(there):
            write_json(self._path, self.events)

    @property
    def recoveries(self) -> int:
        """How often the run has gone back, which selects the seed of its draws."""
        return sum(event["policy"] == RECOVER for event in self.events)

    @property
    def counts(self) -> dict[str, float]:
        """Returns how many steps were skipped and how often the run went back.

        Leaves out what never happened.
        """
        counts = {"skipped": len(self._skipped()), "recovered": self.recoveries}
        return {f"failures/{name}": float(n) for name, n in counts.items() if n}

    def refusal(self, policy: str, step: int) -> str:
        """Returns why a policy may not go on once more; "" if it may.

        Args:
          policy: `skip` or `recover`; for `abort`, which always stops, gives "".
          step: The step that has failed.
        """
        skipped = self._skipped()
        row = 0
        while step - row - 1 in skipped:
            row += 1
        if policy == SKIP and row >= MOST_IN_A_ROW:
            return f"The {row} steps before it were skipped."
        if policy == SKIP and len(skipped) >= MOST_SKIPPED:
            return f"The run has skipped {len(skipped)} steps, which is the most."
        if policy == RECOVER and self.recoveries >= MOST_RECOVERIES:
            return f"The run has recovered {self.recoveries} times, which is the most."
        return ""

    def add(self, event: dict) -> None:
        """Adds a failure, which is on disk when this returns.

        Args:
          event: A JSON object with `step` and `policy`, for `recover` also `back_to`,
            the step the run goes on from.
        """
        self.events.append(event)
        if self._is_written:
            write_json(self._path, self.events)

    def _skipped(self) -> set[int]:
        return {event["step"] for event in self.events if event["policy"] == SKIP}


def _began(event: dict) -> int:
    """Returns the number of steps taken from which a failure has an effect."""
    return event["back_to"] if event["policy"] == RECOVER else event["step"] + 1


def _read(path: pathlib.Path) -> list[dict]:
    try:
        return read_json(path)
    except FileNotFoundError:
        return []
