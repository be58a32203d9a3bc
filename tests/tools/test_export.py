"""What tools/export.py promises on a command line."""

import json
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.tasks import build_task

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "export.py"
DIGITS = tuple("0123456789")


def export(folder, *flags):
    command = [sys.executable, TOOL, *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.fixture(scope="module")
def untrained(student_yaml, tmp_path_factory):
    """Folder with `run`, a model of the demo that has learned nothing."""
    folder = tmp_path_factory.mktemp("untrained")
    (folder / "run").mkdir()
    names = f"detection.class_names=[{', '.join(map(repr, DIGITS))}]"
    config = config_lib.load(student_yaml, ["pseudo=null", "self_training=null", names])
    config_lib.save(config, str(folder / "run" / "config.yaml"))
    model = build_task(config).build_model(sync_batch_norm=False)
    tf.train.Checkpoint(model=model).write(str(folder / "run" / "checkpoints" / "c"))
    return folder


def test_help_names_every_flag(tmp_path):
    done = export(tmp_path, "--help")
    assert done.returncode == 0
    for flag in ("checkpoint", "output", "format", "image_size", "batch_size"):
        assert f"--{flag}" in done.stdout or f"--[no]{flag}" in done.stdout
    assert "<saved_model|tflite>" in done.stdout


def test_a_run_becomes_a_saved_model(untrained):
    flags = ["--checkpoint=run/checkpoints/c", "--output=served/digits/1"]
    done = export(untrained, *flags)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "Export retinanet_tiny of run/checkpoints/c as saved_model"
    assert lines[1].startswith("saved_model of retinanet_tiny, checkpoint ")
    assert lines[1].endswith(" MB: served/digits/1")
    names = ["serving_default", "image_tensor", "image_bytes", "tf_example"]
    assert [line.split(":")[0].strip() for line in lines[2:]] == names
    loaded = tf.saved_model.load(str(untrained / "served/digits/1"))
    assert set(loaded.signatures) == set(names)


def test_the_size_of_the_input_and_the_format_can_be_chosen(untrained):
    done = export(
        untrained,
        *("--checkpoint=run/checkpoints/c", "--output=lite", "--format=tflite"),
        *("--image_size=32,96", "--float16"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "inputs uint8 [1, 32, 96, 3] -> " in done.stdout
    assert (untrained / "lite" / "model.tflite").exists()
    content = json.loads((untrained / "lite" / "serving.json").read_text())
    assert content["labels"]["10"] == "9"  # The first class is label 1.


@pytest.mark.parametrize("size", ["640", "32.5,64", "32,x"])
def test_a_size_that_is_none_is_one_line(tmp_path, size):
    flags = ["--checkpoint=run", "--output=o", f"--image_size={size}"]
    done = export(tmp_path, *flags)
    assert done.returncode == 1
    assert done.stderr.startswith("error: `--image_size` must be ")
    assert done.stderr.endswith(f", got {size}.\n")
    assert not list(tmp_path.iterdir())


def test_a_size_the_model_cannot_have_is_one_line(untrained):
    flags = ["--checkpoint=run/checkpoints/c", "--output=o", "--image_size=40,64"]
    done = export(untrained, *flags)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "`image_size_px` must be multiples of 32" in done.stderr
    assert not (untrained / "o").exists()
