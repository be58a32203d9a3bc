"""What tools/benchmark.py promises: a JSON file, and one core."""

import json
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from st_keras.data import records
from st_keras.experiments.benchmarks import scenes

TOOL = pathlib.Path(__file__).parents[2] / "tools" / "benchmark.py"


def run(tmp_path, *flags):
    command = [sys.executable, TOOL, "--suite=input", *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)


@pytest.mark.parametrize("flag", ["--seconds=0", "--pairs=0"])
def test_nothing_can_be_measured_in_no_time(tmp_path, flag):
    result = run(tmp_path, "--json=o.json", flag)
    assert result.returncode == 1 and flag[2:].split("=")[0] in result.stderr


def test_a_json_file_must_be_named(tmp_path):
    result = run(tmp_path)
    assert result.returncode == 1 and "--json must have a value" in result.stderr


def test_records_without_what_a_row_needs_are_one_line(tmp_path):
    [made] = tf.io.gfile.glob(scenes.write_scenes(str(tmp_path), 1))
    [serialized] = tf.data.TFRecordDataset(made).as_numpy_iterator()
    example = tf.train.Example.FromString(serialized)
    del example.features.feature[records.LABEL_MAP]
    with tf.io.TFRecordWriter(made) as writer:
        writer.write(example.SerializeToString())
    only = "--only=input/segmentation_s4_512"
    result = run(tmp_path, "--json=o.json", f"--records={made}", only)
    assert result.returncode == 1
    [line] = [s for s in result.stderr.splitlines() if s.startswith("error:")]
    assert records.LABEL_MAP in line and "--only" in line
    assert not (tmp_path / "o.json").exists()


@pytest.mark.slow
def test_a_short_run_has_every_part_and_stays_on_one_core(tmp_path):
    result = run(tmp_path, "--json=o.json", "--seconds=0.2", "--pairs=2")
    assert result.returncode == 0, result.stderr
    content = json.loads((tmp_path / "o.json").read_text())
    names = [row["name"] for row in content["rows"]]
    assert {
        "input/detection_s4_640",
        "input/detection_s2_640",
        "input/segmentation_s4_512",
        "input/detection_s4_640_with_targets",
        "input/segmentation_jitter_512",
    } == set(names)
    for row in content["rows"]:
        assert len(row["runs"]) == 2 and row["note"]
        assert row["ours"] < content["limits"][0]["value"]
        for run_ in row["runs"]:
            assert max(run_["ours_cores"], run_["peer_cores"]) <= 1.05
    assert content["records"]["count"] == 64
    assert content["command"].endswith("--seconds=0.2 --pairs=2")
    assert all(name in result.stdout for name in [*names, "Equalize", "JPEG decode"])
