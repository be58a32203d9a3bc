"""What joint training promises: one run, one checkpoint, a model like any other."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from st_keras import config as config_lib
from st_keras.runtime import preflight
from st_keras.runtime.checkpoints import Checkpoints
from st_keras.runtime.restored import restore_run
from st_keras.runtime.run_log import read_rows
from st_keras.training.loop import train
from tests.training.test_loop import (
    ROOT,
    assert_same_run,
    final_weights,
    labelled,  # noqa: F401
)

STEPS = 4


@pytest.fixture(scope="module")
def joint_teacher(joint_yaml):
    return config_lib.load(
        joint_yaml,
        [
            *("pseudo=null", "self_training=null", "evaluation.records=''"),
            *(f"training.steps={STEPS}", "training.checkpoint_every_steps=2"),
        ],
    )


@pytest.fixture(scope="module")
def finished(joint_teacher, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("joint")
    return workdir, train(joint_teacher, str(workdir))


def with_part(config, part, **changes):
    changed = dataclasses.replace(getattr(config, part), **changes)
    return dataclasses.replace(config, **{part: changed})


def of(weights, *roots):
    """Returns what a checkpoint holds of some of its parts, without slots."""
    return {
        name: value
        for name, value in weights.items()
        if name.split("/")[0] in roots and ".OPTIMIZER_SLOT" not in name
    }


def test_the_head_is_part_of_the_checkpoint_and_not_of_the_model(finished):
    workdir, summary = finished
    assert summary["images_seen"] == STEPS * (4 + 4)
    assert summary["pictures"]["joint"]["pictures"] == 36
    data = json.loads((workdir / preflight.DATA_FILE).read_text())
    assert data.keys() == {"human", "evaluation", "joint"}
    rows = [row for row in read_rows(workdir) if "loss" in row]
    assert all(np.isfinite(row["joint/class"]) for row in rows)
    saved = final_weights(workdir)
    # 96 channels of the backbone, three classes.
    assert {value.shape for value in of(saved, "joint").values()} == {(96, 3), (3,)}
    assert any(n.startswith("joint/") and ".OPTIMIZER_SLOT" in n for n in saved)
    # What looks at pictures is what was built without it.
    run = restore_run(str(workdir))
    assert len(run.model.variables) == len(of(saved, "averaged"))
    assert all("predict/" not in variable.name for variable in run.model.variables)


@pytest.mark.slow
def test_a_run_that_stopped_in_between_ends_as_if_it_had_not(
    finished, joint_teacher, tmp_path, monkeypatch
):
    def save_and_stop(self):
        whole(self)
        raise KeyboardInterrupt

    whole = Checkpoints.save
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoints, "save", save_and_stop)
        train(joint_teacher, str(tmp_path))
    assert read_rows(tmp_path)[-1]["step"] == 2
    train(joint_teacher, str(tmp_path))
    assert_same_run(finished[0], tmp_path)


@pytest.mark.slow
def test_without_weight_a_classification_changes_nothing_to_the_last_bit(
    finished, joint_teacher, tmp_path
):
    # Not even what BatchNorm keeps for inference.
    train(with_part(joint_teacher, "joint", weight=0.0), str(tmp_path / "zero"))
    train(dataclasses.replace(joint_teacher, joint=None), str(tmp_path / "none"))
    zero, none = (final_weights(tmp_path / name) for name in ("zero", "none"))
    for name, value in of(none, "model", "averaged").items():
        np.testing.assert_array_equal(zero[name], value, err_msg=name)
    rows = [read_rows(tmp_path / name) for name in ("zero", "none")]
    for row, other in zip(*rows, strict=True):
        assert other.items() <= row.items()
    # And with a weight it changes every kernel of the backbone.
    weighted = final_weights(finished[0])
    kernels = [
        name
        for name in of(none, "model")
        if name.startswith("model/layer_with_weights-0/") and "kernel" in name
    ]
    assert kernels
    assert all(np.any(weighted[name] != none[name]) for name in kernels)


def test_pictures_that_a_model_is_judged_by_are_refused(joint_teacher, tmp_path):
    records = joint_teacher.joint.records
    config = with_part(joint_teacher, "evaluation", records=records)
    with pytest.raises(ValueError, match="joint.*evaluation"):
        train(config, str(tmp_path))


def test_pictures_of_human_labels_may_have_a_class_too(joint_teacher):
    human, sets = joint_teacher.human, {"evaluation": ("", "")}
    same = with_part(joint_teacher, "joint", records=human.records, ids=human.ids)
    found = preflight.check_joint(same, sets, ["evaluation"])
    assert found["joint"]["pictures"] == 9


def test_records_without_classes_are_refused(joint_teacher, tmp_path):
    config = with_part(joint_teacher, "joint", records=joint_teacher.human.records)
    with pytest.raises(ValueError, match="`joint.records`.*no classes of pictures"):
        train(config, str(tmp_path))


def test_replicas_that_do_not_divide_its_pictures_are_refused(joint_teacher, tmp_path):
    config = with_part(joint_teacher, "joint", images_per_step=5)
    config = with_part(config, "runtime", strategy="mirrored")
    message = "`joint.images_per_step` is 5 but there are 2"
    with pytest.raises(ValueError, match=message):
        train(config, str(tmp_path), devices=["CPU:0", "CPU:1"])


@pytest.mark.slow
def test_two_replicas_train_like_one(joint_yaml, labelled, tmp_path):  # noqa: F811
    overrides = [f"pseudo.records={labelled}", "self_training=null"]
    student = config_lib.load(joint_yaml, [*overrides, "training.steps=6"])
    # As in test_loop.py: SGD keeps the two comparable.
    one = with_part(student, "optimization", optimizer="sgd", ema_decay=0.0)
    two = with_part(one, "runtime", strategy="mirrored")
    train(one, str(tmp_path / "one"))
    train(two, str(tmp_path / "two"), devices=["CPU:0", "CPU:1"])
    ours, theirs = read_rows(tmp_path / "one"), read_rows(tmp_path / "two")
    for row, other in zip(ours[:-1], theirs[:-1], strict=True):
        for name, value in row.items():
            assert other[name] == pytest.approx(value, rel=2e-3, abs=1e-5), name


def start(joint_yaml, labels, workdir):
    return subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "tools/train.py")),
            *("--config", joint_yaml, "--workdir", str(workdir)),
            *("--set", f"pseudo.records={labels}", "--set", "self_training=null"),
            *("--set", "training.steps=30"),
        ],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_a_killed_run_ends_like_one_never_killed(joint_yaml, labelled, tmp_path):  # noqa: F811
    calm, troubled = tmp_path / "calm", tmp_path / "troubled"
    assert start(joint_yaml, labelled, calm).wait() == 0
    process = start(joint_yaml, labelled, troubled)
    while process.poll() is None and len(read_rows(troubled)) < 7:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (troubled / "summary.json").exists()
    assert start(joint_yaml, labelled, troubled).wait() == 0
    assert_same_run(calm, troubled)
