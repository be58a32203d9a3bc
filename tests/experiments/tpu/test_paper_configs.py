"""What the paper-sized configs promise: each says its cost, and its step is lowered.

Those are the configs for a TPU that no other is based on. Lowering all of them takes
hours: `pytest -m slow tests/experiments/tpu/test_paper_configs.py`.
"""

import pathlib
import re
import subprocess
import sys

import pytest

from st_keras import config as config_lib
from st_keras.experiments.tpu import page, results, table
from tests import hlo

ROOT = pathlib.Path(__file__).parents[3]
_FOLDERS = ("detection", "segmentation", "classification")
_BASE = re.compile(r"^base: (\S+)$", re.MULTILINE)
_MINUTES = 120.0  # For one config, on a core that does other work too.


def _paper_sized():
    paths = [p for f in _FOLDERS for p in sorted((ROOT / "configs" / f).glob("*.yaml"))]
    bases = {path.parent / name for path in paths for name in _bases_of(path)}
    return [
        path
        for path in paths
        if path not in bases and config_lib.load(str(path)).runtime.strategy == "tpu"
    ]


def _bases_of(path):
    return _BASE.findall(path.read_text(encoding="utf-8"))


PATHS = _paper_sized()
BY_PATH = pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])


def rows_of(path):
    """Returns a config's compilations, with whatever overrides."""
    rows = results.read(str(ROOT / "docs/results/tpu_compile.json"))
    name = path.relative_to(ROOT).as_posix()
    return [row for row in rows if row.config.split(" ")[0] == name]


def header_of(path):
    """Returns what the comment at the top says under each of its words."""
    header = re.match(r"(#.*\n)*", path.read_text(encoding="utf-8"))[0]
    found = re.findall(r"^# (\w+): +(.*\n(?:# {5,}.*\n)*)", header, re.MULTILINE)
    return {word: " ".join(text.replace("\n#", " ").split()) for word, text in found}


def test_there_are_configs_for_every_kind_of_task():
    tasks = {config_lib.load(str(path)).task_name for path in PATHS}
    assert tasks == {*_FOLDERS, "simclr"}
    assert not {"coco", "pascal"} & {path.stem for path in PATHS}


@BY_PATH
def test_the_header_has_row_expectation_cost_and_command(path):
    header = header_of(path)
    assert header.keys() >= {"Paper", "Expect", "Cost", "Run"}
    assert re.search(r"\btable|\bno row\b", header["Paper"])
    assert f"--config {path.relative_to(ROOT).as_posix()}" in header["Run"]


@BY_PATH
def test_the_header_has_the_cost_that_follows_from_the_compilation(path):
    said = header_of(path)["Cost"]
    assert "not run here" in said
    costs = [
        rf"\b{cost.chip_hours:,.0f} chip-hours? or {cost.hours:.1f} h on a "
        + row.kind_of_tpu.slice_name(row.replicas)
        for row in rows_of(path)
        if (cost := page.cost_of(row))
    ]
    if costs:
        assert any(re.search(cost, said) for cost in costs), costs
    else:
        assert "chip-hour" not in said


@BY_PATH
def test_it_was_compiled_for_a_tpu_or_the_page_names_it_and_says_why_not(path):
    text = (ROOT / "docs/tpu.md").read_text(encoding="utf-8")
    before, _, made = text.partition(table.BEGIN)
    # Commands are no reason, and a path to the file is mentioned for others.
    prose = re.sub(r"```.*?```", "", before + made.partition(table.END)[2], flags=re.S)
    is_named = re.search(rf"\b{path.stem}(?!\w|\.yaml)", prose)
    assert rows_of(path) or is_named


_LOWER = """
import pathlib, sys
from st_keras import config as config_lib
from st_keras.experiments.tpu import examine, lowering

config = config_lib.load(sys.argv[1])
parts = examine.images_per_step(config, "train")
images = dict.fromkeys(parts, config.training.accumulation_steps)
pathlib.Path(sys.argv[2]).write_bytes(lowering.lower(config, "train", images).hlo)
"""


@pytest.mark.slow
@pytest.mark.timeout(60 * _MINUTES)
@BY_PATH
def test_its_training_step_is_lowered(path, tmp_path):
    # In a process of its own, as the largest take gigabytes.
    subprocess.run(
        [sys.executable, "-c", _LOWER, str(path), str(tmp_path / "hlo")],
        check=True,
        cwd=ROOT,
    )
    lowered = (tmp_path / "hlo").read_bytes()
    config = config_lib.load(str(path))
    views = (2,) if config.simclr else ()
    count = config.training.accumulation_steps
    sizes = [config.section.image_size_px]
    sizes += [config.joint.image_size_px] if config.joint else []
    assert hlo.pictures(lowered) == {(count, *views, *size, 3) for size in sizes}
    convolutions = hlo.instructions(lowered, "convolution")
    assert {hlo.dtype_of(c.shape) for c in convolutions} == {"BF16"}
