"""Commands in README, docs and configs: flags exist, and named configs load."""

import functools
import json
import pathlib
import re
import shlex
import subprocess
import sys
from typing import NamedTuple

import pytest

from st_keras import config as config_lib
from st_keras.config import grid as grid_config
from tests.docs.pages import NOTEBOOKS, PAGES, ROOT, cells, name

COMMAND = re.compile(r"python (tools/\w+\.py)((?:\\\n|[^\n`;|\\])*)")
# A variable of the shell that a page sets: its name, and its value with the quotes.
ASSIGNMENT = re.compile(r"^ *([A-Z]+)=(\"[^\"]*\"|'[^']*'|\S+)$", re.MULTILINE)
# Parses every command of one tool, each from its defaults, and does nothing else.
PARSE = """
import json, runpy, sys
from absl import flags
from absl.testing import flagsaver
runpy.run_path(sys.argv[1], run_name="tool")
for arguments in json.load(sys.stdin):
    saved = flagsaver.save_flag_values()
    try:
        rest = flags.FLAGS([sys.argv[1], *arguments])[1:]
        wrong = "" if len(rest) <= 1 else f"not a flag: {rest}"
    except flags.Error as error:
        wrong = str(error)
    print(json.dumps(wrong))
    flagsaver.restore_flag_values(saved)
"""


class Command(NamedTuple):
    """A call of a tool."""

    place: str
    tool: str
    arguments: tuple[str, ...]

    def values(self, flag):
        """Returns what a flag is set to, as often as it is there."""
        found = []
        for i, word in enumerate(self.arguments):
            if word == f"--{flag}":
                found.append(self.arguments[i + 1])
            elif word.startswith(f"--{flag}="):
                found.append(word.partition("=")[2])
        return found


@functools.cache
def commands():
    """Returns those of pages, notebooks, configs' headers, and the tools' own help."""
    found = []
    files = [*PAGES, *ROOT.glob("configs/*/*.yaml"), *ROOT.glob("tools/*.py")]
    for path in (*files, *NOTEBOOKS):
        if path.suffix == ".ipynb":
            text = "\n".join(cell["source"] for cell in cells(path))
        else:
            text = path.read_text(encoding="utf-8")
        if path.suffix == ".yaml":
            text = re.sub(r"^# ?", "", text, flags=re.MULTILINE)
        for match in COMMAND.finditer(text):
            words = _expanded(match[2], text[: match.start()]).replace("\\\n", " ")
            # `...` stands for what the text around it says.
            arguments = [
                word for word in shlex.split(words, comments=True) if word != "..."
            ]
            line = text.count("\n", 0, match.start()) + 1
            found.append(Command(f"{name(path)}:{line}", match[1], tuple(arguments)))
    return found


def _expanded(command, before):
    """Puts values where a command has variables that the text before it sets."""
    # The last one first: what it is made of follows, as it was set before.
    for variable, value in reversed(ASSIGNMENT.findall(before)):
        value = value[1:-1] if value[0] in "\"'" else value
        value = value.replace("\\", r"\\")
        command = re.sub(rf"\${variable}\b", value, command)
    return command


def test_variables_that_a_page_sets_are_expanded():
    page = """
    A="--set a=1 \\
        --set b=2"
    B="$A --set c='*'"
    A=3
    """
    assert shlex.split(_expanded("$B $A $C", page).replace("\\\n", " ")) == [
        *("--set", "a=1", "--set", "b=2", "--set", "c=*", "3", "$C")
    ]


def test_only_variables_of_loops_are_left():
    loops = {"NAME", "SPLIT", "SLICE"}
    for command in commands():
        left = re.findall(r"\$(\w+)", " ".join(command.arguments))
        assert loops.issuperset(left), f"{command.place}: {left}"


def test_commands_are_found():
    assert len(commands()) > 60
    tools = {command.tool for command in commands()}
    assert tools == {f"tools/{path.name}" for path in (ROOT / "tools").glob("*.py")}


@pytest.mark.parametrize("tool", sorted(path.name for path in ROOT.glob("tools/*.py")))
def test_a_tool_takes_every_command_that_is_written_down(tool):
    of_tool = [c for c in commands() if c.tool == f"tools/{tool}"]
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(ROOT / "tools" / tool)],
        input=json.dumps([command.arguments for command in of_tool]),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    wrong = [json.loads(line) for line in done.stdout.splitlines()]
    offences = [
        f"{command.place}: {what}"
        for command, what in zip(of_tool, wrong, strict=True)
        if what
    ]
    assert not offences, "\n".join(offences)


def test_every_tool_has_a_row_in_the_readme():
    rows = re.findall(
        r"^\| `(tools/\w+\.py)` \|", (ROOT / "README.md").read_text(), re.M
    )
    assert sorted(rows) == sorted(name(path) for path in ROOT.glob("tools/*.py"))


def test_a_config_that_is_named_loads_with_what_is_set():
    offences, loaded = [], 0
    for command in commands():
        for path in command.values("config"):
            if "/" not in path:  # A file of the reader's own.
                continue
            if "$" in path:  # One after the other, in a loop of the shell.
                continue
            try:
                config_lib.load(str(ROOT / path), _filled(command.values("set")))
                loaded += 1
            except ValueError as error:
                offences.append(f"{command.place}: {error}")
    assert not offences, "\n".join(offences)
    assert loaded > 40


def test_a_grid_that_is_named_has_the_cell_that_is_named():
    named = [c for c in commands() if c.tool == "tools/grid.py"]
    assert len(named) > 10
    for command in named:
        (preset,) = command.values("preset")
        grid = grid_config.load_grid(str(ROOT / f"configs/experiments/{preset}.yaml"))
        for named_cells in command.values("cell"):
            for cell in named_cells.split(","):
                assert cell in grid.cells(), command.place


@pytest.mark.parametrize("quick", ["", "QUICK=1"])
@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_make_mini_runs_a_grid_that_is_there(task, quick):
    command = ["make", "--dry-run", "--silent", "mini", f"TASK={task}", quick]
    said = subprocess.run(
        [*filter(None, command)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (line,) = re.findall(r"--preset (.*)", said.stdout.replace("\\\n", " "))
    preset = "mini_segmentation" if task == "segmentation" else "mini"
    assert line.split()[0] == preset
    assert ("--quick" in line) == bool(quick)
    file = f"{preset}_quick" if quick else preset
    assert line.endswith(f"--workdir runs/{file}")
    assert (ROOT / f"configs/experiments/{file}.yaml").exists()


def test_what_make_is_asked_for_is_in_the_makefile():
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE):
            assert target in targets, f"{name(page)}: make {target}"


def _filled(overrides):
    """Puts numbers and policies where the text has words in capitals."""
    words = {"SEED": "3", "<seed>": "3", "POLICY": "S4", "FILE": "file"}
    for word, value in words.items():
        overrides = [text.replace(word, value) for text in overrides]
    return overrides


def test_a_wrong_flag_would_be_found():
    script = pathlib.Path(ROOT / "tools" / "train.py")
    calls = [["--config=c", "--workdir=w", "--stepz=3"], ["--config=c"], []]
    done = subprocess.run(
        [sys.executable, "-c", PARSE, str(script)],
        input=json.dumps([*calls, ["--config=c", "--workdir=w"]]),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    wrong = [json.loads(line) for line in done.stdout.splitlines()]
    assert "stepz" in wrong[0]
    assert "workdir" in wrong[1]
    assert "config" in wrong[2]
    assert wrong[3] == ""
