"""What tools promise on the command line."""

import pathlib
import subprocess
import sys

import pytest

from st_keras import command_line

TOOLS = pathlib.Path(__file__).parents[1] / "tools"


def run(*command):
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True
    )


def script(tmp_path, body):
    path = tmp_path / "tool.py"
    path.write_text(
        "from st_keras import command_line\n"
        f"def main(argv):\n    {body}\n"
        "command_line.run(main)\n"
    )
    return path


@pytest.mark.parametrize(
    "error", ["ValueError('a\\n  b')", "OSError(2, 'a b')", "ImportError('a b')"]
)
def test_a_mistake_is_one_line_and_exit_code_1(tmp_path, error):
    result = run(script(tmp_path, f"raise {error}"))
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.strip().endswith("a b")
    assert result.stderr.count("\n") == 1


def test_the_traceback_is_there_for_who_asks(tmp_path):
    result = run(script(tmp_path, "raise ValueError('a')"), "--verbosity=1")
    assert "Traceback" in result.stderr


def test_a_fault_of_ours_keeps_its_traceback(tmp_path):
    result = run(script(tmp_path, "raise AssertionError('a')"))
    assert "Traceback" in result.stderr


def test_interrupting_is_no_traceback(tmp_path):
    result = run(script(tmp_path, "raise KeyboardInterrupt"))
    assert result.returncode == 130
    assert result.stderr == "error: interrupted\n"


def test_what_is_not_a_flag_is_named(tmp_path):
    result = run(script(tmp_path, "pass"), "output/")
    assert result.returncode == 1
    assert "Not a flag: output/" in result.stdout + result.stderr


def test_a_glob_that_the_shell_filled_in_is_explained(tmp_path):
    (tmp_path / "a.jpg").touch()
    result = run(script(tmp_path, "pass"), str(tmp_path / "a.jpg"))
    assert "a.jpg. Quote a glob" in result.stdout + result.stderr


def test_success_is_exit_code_0(tmp_path):
    result = run(script(tmp_path, "print('done')"))
    assert (result.returncode, result.stdout) == (0, "done\n")


def test_a_tilde_is_the_home_folder_wherever_a_shell_leaves_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/a/test")
    body = (
        "from absl import flags; print(flags.FLAGS.workdir, flags.FLAGS.other)\n"
        "from absl import flags\n"
        "flags.DEFINE_string('workdir', '', '.')\n"
        "flags.DEFINE_string('other', 'a~b', '.')"
    )
    result = run(script(tmp_path, body), "--workdir=~/runs/x")
    assert result.stdout == "/home/of/a/test/runs/x a~b\n"


@pytest.mark.parametrize("tool", ["make_records", "make_split"])
def test_help_does_not_wait_for_tensorflow(tool):
    result = run("-X", "importtime", TOOLS / f"{tool}.py", "--help")
    assert "python tools/" in result.stdout
    assert "st_keras" in result.stderr  # Where every import is listed.
    assert "tensorflow" not in result.stderr


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--source=coco"], "`--source coco` needs `--images`, got none"),
        (["--source=digits", "--images=."], "`--images` is not for `--source digits`"),
        (["--source=voc", "--images=/nowhere"], "`images` must be a folder, got"),
    ],
)
def test_make_records_says_what_is_wrong_in_one_line(tmp_path, flags, message):
    result = run(TOOLS / "make_records.py", f"--output={tmp_path / 'out'}", *flags)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_make_split_wants_numbers(tmp_path):
    result = run(
        *(TOOLS / "make_split.py", "--records=x", f"--output={tmp_path}"),
        "--fractions=1,many",
    )
    assert result.stderr == (
        "error: `--fractions` must be numbers with commas between, got 1,many.\n"
    )


def test_an_image_size_is_two_whole_numbers(tmp_path):
    result = run(
        *(TOOLS / "export.py", "--checkpoint=x", f"--output={tmp_path}"),
        "--image_size=640",
    )
    assert result.stderr == (
        "error: `--image_size` must be height and width such as 640,1024, got 640.\n"
    )


def test_seeds_are_whole_numbers():
    assert command_line.whole_numbers("seeds", ["0", "12"]) == [0, 12]
    with pytest.raises(ValueError, match="`--seeds` must be whole numbers, got 0.9,1"):
        command_line.whole_numbers("seeds", ["0.9", "1"])


def test_a_range_is_two_whole_numbers():
    assert command_line.whole_range("shard_range", "") is None
    assert command_line.whole_range("shard_range", "12:64") == (12, 64)
    for text in ("12", "12:", "a:3", "1:2:3", "-1:2"):
        with pytest.raises(ValueError, match="`--shard_range` must be a range"):
            command_line.whole_range("shard_range", text)


@pytest.mark.parametrize("flag", ["workdir", "output", "json"])
def test_a_bucket_is_no_folder_to_write_to(tmp_path, flag):
    path = tmp_path / "tool.py"
    path.write_text(
        "from absl import flags\n"
        "from st_keras import command_line\n"
        f"flags.DEFINE_string('{flag}', '', '')\n"
        "command_line.run(lambda argv: print('ran'))\n"
    )
    result = run(path, f"--{flag}=gs://bucket/run")
    assert result.returncode == 1 and not result.stdout
    assert f"error: `--{flag}` must be a path of this machine" in result.stderr
    assert run(path, f"--{flag}=runs/x").stdout == "ran\n"


@pytest.mark.parametrize(
    ("given", "overrides"),
    [
        ([], []),
        (["--strategy=tpu"], ["runtime.strategy=tpu"]),
        (["--tpu=local"], ["runtime.strategy=tpu", "runtime.tpu=local"]),
        # The config may name a TPU, which is of no other strategy.
        (["--strategy=mirrored"], ["runtime.strategy=mirrored", "runtime.tpu="]),
    ],
)
def test_device_flags_override_the_config_together(tmp_path, given, overrides):
    path = tmp_path / "tool.py"
    path.write_text(
        "from st_keras import command_line\n"
        "get = command_line.define_device_overrides()\n"
        "command_line.run(lambda argv: print(get()))\n"
    )
    assert run(path, *given).stdout == f"{overrides}\n"
