"""The numbers a run leaves: metrics.jsonl for machines, TensorBoard for eyes."""

import json
import os
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from st_keras import writing

_FILE = "metrics.jsonl"


class RunLog:
    """Appends rows of named numbers, one row per logged step.

    Rows after the step a run resumes from are dropped first, so a killed run's file
    ends up the same as an uninterrupted one's.
    """

    def __init__(self, workdir: str, *, resume_step: int, is_written: bool = True):
        """Opens the log.

        Args:
          workdir: Folder of the run.
          resume_step: The step the run goes on from.
          is_written: Whether this host writes; otherwise rows are dropped.
        """
        self._path = pathlib.Path(workdir) / _FILE
        self.is_written = is_written
        if not is_written:
            return
        self.drop_after(resume_step)
        self._writer = tf.summary.create_file_writer(
            os.path.abspath(os.path.join(workdir, "tensorboard"))
        )

    def drop_after(self, step: int) -> None:
        """Drops the rows of steps that are going to be taken again."""
        if not self.is_written:
            return
        rows = read_rows(self._path.parent)
        kept = [row for row in rows if row["step"] <= step]
        writing.write_text(self._path, "".join(f"{json.dumps(row)}\n" for row in kept))

    def numbers(self, step: int, values: dict[str, float]) -> None:
        """Logs a row."""
        if not self.is_written:
            return
        row = {"step": step} | {k: float(f"{v:.7g}") for k, v in values.items()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        with self._writer.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def last(self, name: str) -> dict[str, float]:
        """Returns the newest row that has a number of that name, without its step."""
        rows = [row for row in read_rows(self._path.parent) if name in row]
        return {k: v for k, v in rows[-1].items() if k != "step"} if rows else {}

    def pictures(self, step: int, name: str, images: np.ndarray) -> None:
        """Shows [B, H, W, 3] uint8 pictures in TensorBoard."""
        if not self.is_written:
            return
        with self._writer.as_default(step=step):
            tf.summary.image(name, images, max_outputs=len(images))
        self._writer.flush()


def read_rows(workdir: str | os.PathLike) -> list[dict]:
    """Returns the rows a run has logged; a row cut short by a kill is left out."""
    path = pathlib.Path(workdir) / _FILE
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def write_json(path: str | os.PathLike, content: dict) -> None:
    """Writes a JSON file that appears only when complete."""
    writing.write_text(path, json.dumps(content, indent=1) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Returns what a JSON file of a run or of an experiment holds.

    Raises:
      FileNotFoundError: There is none.
      ValueError: It is damaged, as a copy is for which a disk had no room.
    """
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # Also of bytes that are no text.
        raise ValueError(
            f"{path}: damaged, no JSON ({error}); copy it again, or delete it for "
            "what it belongs to to be made again."
        ) from None
