"""What the report on pseudo labels tells a shell."""

import pathlib
import subprocess
import sys

import pytest

from tests.experiments.pseudo_reports import noisy_teacher

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "report_pseudo.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noisy")
    noisy_teacher.write(folder, pictures=12)
    return folder


def run(folder, *flags):
    command = [sys.executable, TOOL, f"--pseudo={folder}/pseudo"]
    command += [f"--truth={folder}/truth", f"--output={folder}/out", *flags]
    return subprocess.run(command, capture_output=True, text=True)


def test_what_must_not_be_so_and_is_ends_with_1(folder):
    conditions = ["--fail_if=precision@0.5<0.99", "--fail_if=recall<0.01"]
    result = run(folder, *conditions)
    assert result.returncode == 1 and result.stderr == ""
    failed = [line for line in result.stdout.splitlines() if line.startswith("FAILED")]
    (line,) = failed
    assert line.startswith("FAILED precision@0.5<0.99: precision is 0.")
    assert (folder / "out" / "report.json").exists()


def test_what_must_not_be_so_and_is_not_ends_with_0(folder):
    result = run(folder, "--fail_if=recall<0.01")
    assert result.returncode == 0 and result.stderr == ""
    assert "FAILED" not in result.stdout
    path = result.stdout.splitlines()[-1].removeprefix("Report: ")
    assert pathlib.Path(path) == folder / "out" / "report.html"
    assert pathlib.Path(path).exists()
