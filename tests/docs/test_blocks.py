"""Blocks of code in README and docs do what they say."""

import pathlib
import runpy
import typing

import pytest
import yaml

from st_keras import config as config_lib
from st_keras.config.load import build
from tests.docs.pages import ROOT, blocks


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.place)
def test_a_python_block_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    # With its place in the page, so that a traceback shows the page's line.
    path = pathlib.Path(tmp_path, "block.py")
    path.write_text("\n" * block.line + block.text)
    names = runpy.run_path(str(path))
    # It ran to its end, and what it makes is there: a block of comments makes nothing.
    assert {name for name in names if not name.startswith("__")}


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.place)
def test_a_yaml_block_has_settings_that_exist(block):
    hints = typing.get_type_hints(config_lib.Config)
    for part, settings in yaml.safe_load(block.text).items():
        kind = next(k for k in typing.get_args(hints[part]) or (hints[part],) if k)
        made = build(kind, settings, f"{block.place}: {part}")
        assert settings.keys() <= vars(made).keys()
