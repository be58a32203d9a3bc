"""The suites of measurements by name."""

import importlib
import json
import pathlib
import shlex
import subprocess
import sys
from collections.abc import Sequence

from st_keras.experiments.benchmarks import growth_suite, rows

# Which settings each takes besides rows and pairs.
SUITES = {
    "input": ("records", "seconds"),
    "label": ("records", "pictures"),
    "predict": (),
    "step": (),
    "growth": (),
}


def run(
    name: str,
    output: str,
    *,
    command: str,
    only: Sequence[str] = (),
    pairs: int = 5,
    **settings,
) -> str:
    """Runs a suite and returns what it found as text.

    Args:
      name: One of `SUITES`; `all`; or `table`, which shows a file as Markdown.
      output: JSON file; for `all`, a folder.
      command: Repeats the measurement; it is stored with the results.
      only: Names of rows; empty: all but those that take hours.
      pairs: How often both sides are measured.
      **settings: `records`, `seconds`, `pictures`, for the suites that take them.

    Raises:
      ValueError: A name is unknown, or the records cannot be used.
    """
    if name == "all":
        return _run_all(output, command, only)
    if name == "table":
        content = json.loads(pathlib.Path(output).read_text(encoding="utf-8"))
        if content["suite"] == "growth":
            return growth_suite.format_markdown(content)
        return rows.format_markdown(content["rows"])
    suite = importlib.import_module(f"st_keras.experiments.benchmarks.{name}_suite")
    taken = {key: settings[key] for key in SUITES[name] if key in settings}
    content = suite.run(output, command=command, only=only, pairs=pairs, **taken)
    return suite.format_content(content)


def _run_all(folder: str, command: str, only: Sequence[str]) -> str:
    """Runs each suite by the same command in a process of its own.

    One of them limits TensorFlow to one core, which a process cannot undo.
    """
    if only:
        raise ValueError("`--only` must be empty with `--suite all`; choose a suite.")
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    words = shlex.split(command)[1:]
    for name in SUITES:
        path = str(pathlib.Path(folder, f"{name}.json"))
        # Of a repeated flag, the last one counts.
        more = ["--suite", name, "--json", path]
        subprocess.run([sys.executable, *words, *more], check=True)
    return f"{len(SUITES)} suites: {', '.join(SUITES)}"
