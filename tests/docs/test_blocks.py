"""Blocks of code in README and docs do what they say."""

import pathlib
import runpy
import typing

import pytest
import yaml

from st_keras import config as config_lib
from st_keras.config.load import build
from tests.docs.pages import ROOT, blocks

LESSON = "own_loop.md"  # Its blocks go on where the one before ended.
ALONE = [block for block in blocks("python") if block.page.name != LESSON]


def run(blocks, folder):
    """Runs blocks of a page as one program, and returns the names that it makes."""
    lines: list[str] = []
    for block in blocks:
        # With its place in the page, so that a traceback shows the page's line.
        lines += [""] * (block.line - len(lines)) + block.text.splitlines()
    path = pathlib.Path(folder, "block.py")
    path.write_text("\n".join(lines))
    names = runpy.run_path(str(path))
    return {name for name in names if not name.startswith("__")}


@pytest.mark.parametrize("block", ALONE, ids=lambda block: block.place)
def test_a_python_block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    # It ran to its end, and what it makes is there: a block of comments makes nothing.
    assert run([block], tmp_path)


def test_the_blocks_of_a_lesson_run_one_after_another(tmp_path, capsys):
    lesson = [block for block in blocks("python") if block.page.name == LESSON]
    assert len(lesson) > 3 and {"teacher", "student"} <= run(lesson, tmp_path)
    assert "student AP50" in capsys.readouterr().out


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.place)
def test_a_yaml_block_has_settings_that_exist(block, tmp_path):
    parts = yaml.safe_load(block.text)
    if "base" in parts:  # A whole config, of a reader at the root.
        (tmp_path / "configs").symlink_to(ROOT / "configs")
        (tmp_path / "mine.yaml").write_text(block.text)
        assert config_lib.load(str(tmp_path / "mine.yaml")).self_training
        return
    hints = typing.get_type_hints(config_lib.Config)
    for part, settings in parts.items():
        kind = next(k for k in typing.get_args(hints[part]) or (hints[part],) if k)
        made = build(kind, settings, f"{block.place}: {part}")
        assert settings.keys() <= vars(made).keys()
