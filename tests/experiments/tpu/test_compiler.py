"""How answers of the TPU's compiler are read, and what is said where there is none."""

import subprocess
import sys
import time

import pytest

from st_keras.experiments.tpu import compiler, environment
from st_keras.experiments.tpu.chips import CHIPS

GIB = 2**30
MEMORY = {
    "arguments": 5 * GIB,
    "outputs": 4 * GIB,
    "aliased": 3 * GIB,
    "temporaries": 2 * GIB,
    "code": 7,
}


def answer(**changes):
    found = {
        "compiles": True,
        "error": "",
        "compile_seconds": 12.5,
        "memory_bytes": MEMORY,
        "cost": {"flops": 3e12, "bytes": 6e9},
    }
    return found | changes


def test_memory_is_all_of_it_but_outputs_in_the_place_of_arguments_count_once():
    # 5 + (4 - 3) + 2 GiB and 7 bytes of code.
    compiled = compiler.read_answer(answer(), CHIPS["v3"])
    assert compiled.needed_bytes == 8 * GIB + 7
    assert compiled.verdict == "fits"
    assert (compiled.flops, compiled.traffic_bytes) == (3e12, 6e9)


def test_what_compiles_and_takes_more_than_the_chip_has_does_not_fit():
    # 5 + 1 + 11 GiB are more than the 16 of a v3's core, and less than a v4's 32.
    found = answer(memory_bytes=MEMORY | {"temporaries": 11 * GIB})
    assert compiler.read_answer(found, CHIPS["v3"]).verdict == "too large"
    assert compiler.read_answer(found, CHIPS["v4"]).verdict == "fits"


@pytest.mark.parametrize(
    "error, kept",
    [
        (
            "JaxRuntimeError: RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. "
            "Ran out of memory in memory space hbm. Used 20.50G of 15.48G hbm. "
            "Exceeded hbm capacity by 5.02G.\n\nTotal hbm usage >= 21.02G:\n"
            "    reserved 530.00M",
            "Used 20.50G of 15.48G hbm",
        ),
        (
            "JaxRuntimeError: RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total "
            "memory required for HLO temporaries (20.50G) exceeds available HBM "
            "(15.48G).",
            "HLO temporaries (20.50G) exceeds available HBM (15.48G)",
        ),
    ],
)
def test_a_step_that_is_too_large_says_what_it_needs_and_what_there_is(error, kept):
    found = answer(compiles=False, error=error, memory_bytes={}, cost={})
    compiled = compiler.read_answer(found, CHIPS["v3"])
    assert compiled.verdict == "too large"
    assert compiled.needed_bytes == 20.5 * GIB
    assert compiled.room_bytes == pytest.approx(15.48 * GIB)
    assert compiled.error == kept


@pytest.mark.parametrize(
    "error",
    [
        "JaxRuntimeError: UNIMPLEMENTED: While rewriting computation: %sort.7",
        # Of a core's scratch memory: fewer pictures need not help.
        "JaxRuntimeError: RESOURCE_EXHAUSTED: %sort.7: Used 20.50M of 16.00M vmem.",
    ],
)
def test_another_error_is_kept_with_the_operation_it_names(error):
    found = answer(compiles=False, error=error, memory_bytes={}, cost={})
    compiled = compiler.read_answer(found, CHIPS["v3"])
    assert compiled.verdict == "refused"
    assert "%sort.7" in compiled.error


@pytest.fixture
def no_environment(monkeypatch, tmp_path):
    """None is there, and none is made, whatever a test runs into."""
    monkeypatch.setenv(environment.VARIABLE, str(tmp_path / "made"))
    monkeypatch.setattr(environment.subprocess, "run", pytest.fail)


def test_an_environment_that_cannot_be_installed_is_one_clear_sentence(
    no_environment, monkeypatch
):
    def run(command, **_):
        if "pip" in command:
            said = "Looking in indexes\nERROR: No matching distribution for jax"
            raise subprocess.CalledProcessError(1, command, stderr=said)

    monkeypatch.setattr(environment.subprocess, "run", run)
    with pytest.raises(OSError, match="is not available") as caught:
        environment.python()
    message = str(caught.value)
    assert "ERROR: No matching distribution for jax" in message
    assert "Looking in indexes" not in message
    assert environment.VARIABLE in message
    assert not environment.is_ready()


def test_a_python_that_jax_does_not_run_on_is_named(no_environment, monkeypatch):
    monkeypatch.setattr(environment.sys, "version_info", (3, 10, 12))
    monkeypatch.setattr(environment.shutil, "which", lambda name: None)
    with pytest.raises(OSError, match="needs Python 3.11 or newer"):
        environment.python()


def test_an_older_python_makes_the_environment_with_a_newer_one(
    no_environment, monkeypatch
):
    commands = []
    monkeypatch.setattr(environment.sys, "version_info", (3, 10, 12))
    monkeypatch.setattr(environment.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        environment, "_run", lambda command, place: commands.append(command)
    )
    environment.folder().mkdir()  # As the first command would.
    environment.python()
    assert commands[0][:3] == ["/usr/bin/python3.11", "-m", "venv"]


def test_an_environment_that_is_there_is_used_as_it_is(no_environment):
    environment.folder().mkdir()
    (environment.folder() / ".ready").write_text(environment._digest())
    assert environment.python() == str(environment.folder() / "bin" / "python")


def test_an_environment_of_other_pins_is_installed_again(no_environment, monkeypatch):
    commands = []
    monkeypatch.setattr(
        environment, "_run", lambda command, place: commands.append(command)
    )
    environment.folder().mkdir()
    (environment.folder() / ".ready").write_text("00000000")
    environment.python()
    assert [command[1:3] for command in commands] == [["-m", "venv"], ["-m", "pip"]]
    assert environment.is_ready()


def test_every_package_is_pinned():
    assert {"jax", "jaxlib", "libtpu", "numpy"} <= environment.versions().keys()
    assert all(version[0].isdigit() for version in environment.versions().values())


@pytest.fixture
def acting(monkeypatch, tmp_path):
    """Makes a compiler of a few lines of Python."""

    def act(text):
        script = tmp_path / "compile.py"
        script.write_text(text)
        monkeypatch.setattr(environment, "python", lambda: sys.executable)
        monkeypatch.setattr(compiler, "_SCRIPT", script)

    monkeypatch.setattr(compiler, "_TICK_SECONDS", 0.05)
    return act


def test_a_compilation_that_takes_too_long_is_recorded_as_such(acting, capfd):
    acting("import time; time.sleep(600)")
    started = time.monotonic()
    compiled = compiler.compile_step(b"", CHIPS["v3"], timeout_seconds=0.2)
    assert (compiled.verdict, compiled.compile_seconds) == ("no answer", 0.2)
    assert time.monotonic() - started < 60
    assert "TPU compiler: 00:00" in capfd.readouterr().err


def test_a_compiler_that_dies_is_an_answer_too(acting):
    acting("import os, sys; print('No.', file=sys.stderr, flush=True); os.abort()")
    compiled = compiler.compile_step(b"", CHIPS["v3"], timeout_seconds=60.0)
    assert compiled.verdict == "refused"
    assert compiled.error.startswith("exit code -6: No.")


def test_a_compiler_that_was_killed_refused_nothing(acting):
    acting("import os; os.kill(os.getpid(), 9)")
    compiled = compiler.compile_step(b"", CHIPS["v3"], timeout_seconds=60.0)
    assert compiled.verdict == "no answer"
    assert "killed, as a system short of memory does" in compiled.error


def test_what_the_compiler_wrote_is_read(acting):
    acting(
        "import json, sys\n"
        "assert open(sys.argv[1], 'rb').read() == b'a step'\n"
        "json.dump({'compiles': False, 'compile_seconds': 3.5, 'error': 'No.'},"
        " open(sys.argv[2], 'w'))"
    )
    compiled = compiler.compile_step(b"a step", CHIPS["v3"], timeout_seconds=60.0)
    assert (compiled.verdict, compiled.error) == ("refused", "No.")
    assert compiled.compile_seconds == 3.5
