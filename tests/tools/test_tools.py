"""What every tool promises before it does anything."""

import pathlib
import resource
import subprocess
import sys

import pytest

TOOLS = pathlib.Path(__file__).parents[2] / "tools"
NAMES = sorted(path.stem for path in TOOLS.glob("*.py"))
WITH_CONFIG = {
    "doctor": ["--config=c.yaml"],
    "doctor --tpu": ["--config=c.yaml", "--tpu=v3"],
    "grid": ["--preset=g.yaml", "--workdir=w"],
    "train": ["--config=c.yaml", "--workdir=w"],
    "self_train": ["--config=c.yaml", "--workdir=w"],
    "show": ["batches", "--config=c.yaml", "--output=sheet.png"],
}
CELL = {"grid": "g.yaml: a: "}  # A grid says in which of its cells.
GRID = "{title: t, config: c.yaml, seeds: [0], arms: {a: {kind: supervised}}}"
REQUIRED = {
    "calibrate": ["--pseudo=p", "--truth=t", "--output=o"],
    "doctor": ["--config=c.yaml"],
    "evaluate": ["--checkpoint=w", "--records=r"],
    "export": ["--checkpoint=w", "--output=o"],
    "import_checkpoint": ["--checkpoint=w", "--model=m", "--output=o"],
    "model_table": ["--output=o.md"],
    "predict": ["--checkpoint=w", "--images=*.jpg", "--output=o"],
    "pseudo_label": ["--checkpoint=w", "--records=r", "--output=o"],
    "reference": ["--output=o"],
    "replay": ["--debug=d"],
    "report_pseudo": ["--pseudo=p", "--output=o"],
    "self_train": ["--config=c.yaml", "--workdir=w"],
    "show": ["records", "--output=s.png", "--records=r"],
    "tpu_table": ["--results=r.json", "--page=p.md"],
    "train": ["--config=c.yaml", "--workdir=w"],
}


def run(tmp_path, tool, *flags):
    """Runs a tool; what it imports is listed in stderr."""
    command = [sys.executable, "-X", "importtime", TOOLS / f"{tool}.py", *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)


def said(result):
    """Returns the lines of stderr that are no list of imports."""
    lines = result.stderr.splitlines()
    return [line for line in lines if not line.startswith("import time:")]


@pytest.mark.parametrize("tool", NAMES)
def test_help_shows_an_example_without_waiting_for_tensorflow(tmp_path, tool):
    result = run(tmp_path, tool, "--help")
    assert result.returncode == 0
    assert f"python tools/{tool}.py" in result.stdout
    assert said(result) == []
    assert "tensorflow" not in result.stderr


@pytest.mark.parametrize("tool", NAMES)
def test_help_takes_less_than_half_a_second_of_processor_time(tmp_path, tool):
    # Of the processor and not of the wall, and the least of up to five: what else the
    # machine does makes both larger and never smaller.
    seconds = []
    while len(seconds) < 5 and min(seconds, default=1.0) >= 0.5:
        seconds.append(_help_seconds(tmp_path, tool))
    assert min(seconds) < 0.5, seconds


def _help_seconds(tmp_path, tool):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, TOOLS / f"{tool}.py", "--help"]
    subprocess.run(command, stdout=subprocess.DEVNULL, cwd=tmp_path, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def run_with_config(tmp_path, call, text, *flags):
    """Runs one of `WITH_CONFIG` with that text as its config."""
    (tmp_path / "c.yaml").write_text(text)
    (tmp_path / "g.yaml").write_text(GRID)
    return run(tmp_path, call.split()[0], *WITH_CONFIG[call], *flags)


@pytest.mark.parametrize("call", WITH_CONFIG)
def test_a_mistake_in_a_config_is_one_line_and_comes_before_tensorflow(tmp_path, call):
    result = run_with_config(tmp_path, call, "detection: {bakbone: tiny}\n")
    assert result.returncode == 1
    assert said(result) == [
        f"error: {CELL.get(call, '')}c.yaml: detection: no setting `bakbone`. Did you "
        "mean `backbone`?"
    ]
    assert "tensorflow" not in result.stderr


@pytest.mark.parametrize("call", WITH_CONFIG)
def test_a_mistake_in_an_override_is_one_line_too(tmp_path, call):
    text = "human: {records: r}\n"
    result = run_with_config(tmp_path, call, text, "--set=human.ids")
    assert result.returncode == 1
    assert said(result) == [
        f"error: {CELL.get(call, '')}--set human.ids: must look like `a.b=value`."
    ]
    assert "tensorflow" not in result.stderr


@pytest.mark.parametrize("tool", REQUIRED)
def test_what_is_not_a_flag_is_refused(tmp_path, tool):
    result = run(tmp_path, tool, *REQUIRED[tool], "picture.jpg")
    assert result.returncode == 1
    assert "Not a flag: picture.jpg" in result.stdout + result.stderr
    assert "tensorflow" not in result.stderr


@pytest.mark.parametrize("tool", REQUIRED)
def test_a_missing_flag_is_named(tmp_path, tool):
    result = run(tmp_path, tool)
    assert result.returncode == 1
    name = REQUIRED[tool][-1 if tool != "show" else 1].split("=")[0]
    assert f"{name} must have a value" in result.stdout + result.stderr


@pytest.mark.parametrize("command", [(), ("pictures",)])
def test_show_must_be_told_what(tmp_path, command):
    result = run(tmp_path, "show", *command, "--output=sheet.png")
    assert result.returncode == 1
    assert (
        "Say what to do: records, augmentations, batches, predictions." in result.stderr
    )


def test_a_checkpoint_that_is_not_there_is_one_line(tmp_path):
    flags = ["--checkpoint=w", "--records=r", "--output=o"]
    result = run(tmp_path, "pseudo_label", *flags)
    assert result.returncode == 1
    assert len(said(result)) == 1
    assert said(result)[0].startswith("error: `w` holds no checkpoint")


def test_a_mistake_in_a_target_is_one_line_and_comes_before_tensorflow(tmp_path):
    flags = [*REQUIRED["calibrate"], "--target=f1"]
    result = run(tmp_path, "calibrate", *flags)
    assert result.returncode == 1
    assert said(result) == [
        "error: `target` must be precision=P with P in (0, 1], max_f1 or match_counts, "
        "got 'f1'."
    ]
    assert "tensorflow" not in result.stderr


def test_a_mistake_in_a_condition_is_one_line_and_comes_before_tensorflow(tmp_path):
    flags = [*REQUIRED["report_pseudo"], "--fail_if=precision"]
    result = run(tmp_path, "report_pseudo", *flags)
    assert result.returncode == 1
    assert said(result) == [
        "error: `--fail_if` must look like precision@0.5<0.6 or precision[car]<=0.6, "
        "got 'precision'."
    ]
    assert "tensorflow" not in result.stderr
