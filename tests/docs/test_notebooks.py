"""Notebooks are kept as they ran: from top to bottom, without an error."""

import re

import pytest

from tests.docs.pages import NOTEBOOKS, cells, name


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)
def test_all_cells_ran_in_order_and_what_they_gave_is_kept(notebook):
    code = [cell for cell in cells(notebook) if cell["cell_type"] == "code"]
    counts = [cell["execution_count"] for cell in code]
    assert counts == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert "error" not in {output["output_type"] for output in outputs}
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) >= 3
    # Of `!` commands, an error is only text.
    printed = "".join("".join(output.get("text", "")) for output in outputs)
    assert "Traceback" not in printed and "FATAL" not in printed
    # Nor is there a folder of the machine on which it ran.
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|Users|usr)/", printed)


def test_there_is_one_of_each_task():
    assert [path.stem for path in NOTEBOOKS] == ["detection", "segmentation"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name)
def test_it_runs_from_top_to_bottom(notebook):
    nbclient = pytest.importorskip("nbclient", reason="`make notebooks` installs it.")
    nbformat = pytest.importorskip("nbformat")
    # In its folder, as a notebook server has it; what it trained before is kept.
    where = {"metadata": {"path": str(notebook.parent)}}
    ran = nbformat.read(notebook, as_version=4)
    nbclient.NotebookClient(ran, resources=where, timeout=1500).execute()
    printed = [o.get("text", "") for c in ran.cells for o in c.get("outputs", [])]
    assert "Traceback" not in "".join(printed)
