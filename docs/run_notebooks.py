"""Runs notebooks from top to bottom and keeps what they gave, but for bars and logs.

    python docs/run_notebooks.py docs/notebooks/*.ipynb

`make notebooks` installs what that needs.
"""

import pathlib
import re
import sys

import nbclient
import nbformat

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_TIMEOUT_S = 1800  # Of a cell.
# What TensorFlow's C++ says of itself; a command's stderr comes with its stdout.
_LOG = re.compile(r"^(WARNING: All log messages|[IW]0000 ).*\n", re.MULTILINE)


def run(path: pathlib.Path) -> None:
    """Runs a notebook in its folder; an error in a cell leaves the file as it was."""
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=_TIMEOUT_S,
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _kept(cell.outputs)
    nbformat.write(notebook, path)


def _kept(outputs: list) -> list:
    """Returns outputs without logs and the folder of this machine, stdout in one."""
    kept = []
    for output in outputs:
        if output.output_type != "stream":
            kept.append(output)
        elif output.name == "stdout":
            text = output.text.replace("\r\n", "\n").replace(f"{_ROOT}/", "")
            output.text = _LOG.sub("", text)
            if kept and kept[-1].output_type == "stream":
                kept[-1].text += output.text
            else:
                kept.append(output)
    return kept


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(name, flush=True)
        run(pathlib.Path(name).resolve())
