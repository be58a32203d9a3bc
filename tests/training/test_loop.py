"""What the loop promises: same seed same run, however often it was killed.

Most of it for a classifier, which is traced sooner; slow, for a detector too.
Kills are of a detector.
"""

import dataclasses
import json
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras import writing
from st_keras.data import splits
from st_keras.runtime.failures import NonFiniteError
from st_keras.runtime.run_log import read_rows
from st_keras.self_training import labeling
from st_keras.training import loop
from st_keras.training.loop import train

ROOT = pathlib.Path(__file__).parents[2]
TEACHER = ("pseudo=null", "self_training=null", "human.images_per_step=6")


def final_weights(workdir):
    """Returns every tensor of the newest checkpoint: model, optimizer, EMA, blend."""
    reader = tf.train.load_checkpoint(str(pathlib.Path(workdir, "checkpoints")))
    names = reader.get_variable_to_shape_map()
    return {
        name: reader.get_tensor(name)
        for name in names
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


def judged_at(rows, config):
    headline = {"classification": "top1", "detection": "AP"}[config.task_name]
    return [row["step"] for row in rows if f"evaluation/{headline}" in row]


def assert_same_run(first, second):
    assert read_rows(first) == read_rows(second)
    ours, theirs = final_weights(first), final_weights(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


DETECTOR = pytest.param("student_yaml", marks=pytest.mark.slow)
OF_A_DETECTOR = pytest.mark.parametrize("path", ["student_yaml"], indirect=True)


@pytest.fixture(scope="module", params=["classification_yaml", DETECTOR])
def path(request):
    """File with a student's config."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def labelled(path, tmp_path_factory):
    """Records a teacher of a few steps has labelled."""
    workdir = tmp_path_factory.mktemp("teacher")
    config = config_lib.load(path)
    overrides = ["pseudo=null", "self_training=null", "training.steps=4"]
    train(config_lib.load(path, overrides), str(workdir))
    labeling.label_pictures(
        str(workdir),
        str(workdir / "labels"),
        records=config.self_training.unlabeled_records,
        ids_file=config.self_training.unlabeled_ids,
        score_floor=config.self_training.score_floor,
    )
    return f"{workdir}/labels/*.tfrecord"


def with_training(config, **changes):
    training = dataclasses.replace(config.training, **changes)
    return dataclasses.replace(config, training=training)


@pytest.fixture
def ready_student(path, labelled):
    return config_lib.load(path, [f"pseudo.records={labelled}", "self_training=null"])


@pytest.fixture
def teacher(path):
    return config_lib.load(path, TEACHER)


def test_a_run_leaves_what_is_needed_to_read_it_back(
    ready_student, path, tmp_path, monkeypatch
):
    shown = []
    monkeypatch.setattr(loop, "_log_pictures", lambda _, __, step: shown.append(step))
    evaluation = dataclasses.replace(ready_student.evaluation, every_steps=5)
    config = dataclasses.replace(ready_student, evaluation=evaluation)
    ids = splits.read_ids(config_lib.load(path).self_training.unlabeled_ids)
    (tmp_path / "exclude.txt").write_text(f"{min(ids)}\n")
    pseudo = dataclasses.replace(config.pseudo, exclude=str(tmp_path / "exclude.txt"))
    config = dataclasses.replace(config, pseudo=pseudo)
    config = with_training(config, pictures_every_steps=3, keep_checkpoints=2)
    summary = train(config, str(tmp_path))
    assert summary["role"] == "student"
    assert summary["steps"] == 12
    assert summary["images_seen"] == 12 * (4 + 2)
    # Of 36 patterns or 24 scenes, 9 are the human part, and one is excluded.
    count = {"classification": 26, "detection": 14}[config.task_name]
    assert summary["pictures"]["pseudo"]["pictures"] == count
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    rows = read_rows(tmp_path)
    # Two at a time, and to whatever is due before.
    taken = [row["step"] for row in rows if "loss" in row]
    assert taken == [2, 3, 4, 5, 6, 8, 9, 10, 12]
    assert judged_at(rows, config) == [5, 10, 12]
    assert shown == [0, 3, 6, 9, 12]
    there = sorted(path.name for path in (tmp_path / "checkpoints").glob("*.index"))
    assert there == ["ckpt-12.index", "ckpt-8.index"]
    names = {name.split("/")[0] for name in final_weights(tmp_path)}
    assert {"model", "optimizer", "blend", "averaged"} <= names
    assert (tmp_path / "config.yaml").exists()


@pytest.fixture(scope="module")
def finished(path, tmp_path_factory):
    """A teacher's config, its workdir and its summary."""
    config = config_lib.load(path, TEACHER)
    workdir = tmp_path_factory.mktemp("finished")
    return config, workdir, train(config, str(workdir))


@pytest.mark.slow
def test_same_seed_same_run_and_another_seed_another(finished, tmp_path):
    config, workdir, _ = finished
    train(config, str(tmp_path / "again"))
    assert_same_run(workdir, tmp_path / "again")
    train(dataclasses.replace(config, seed=1), str(tmp_path / "other"))
    assert read_rows(workdir)[0] != read_rows(tmp_path / "other")[0]


def test_a_finished_run_is_not_run_again(finished):
    config, workdir, summary = finished
    started = time.time()
    assert train(config, str(workdir)) == summary
    assert time.time() - started < 1.0


def test_a_finished_run_needs_its_records_no_more(finished, tmp_path):
    config, workdir, summary = finished
    records = f"{tmp_path}/records/*.tfrecord"
    gone = dataclasses.replace(
        config, human=dataclasses.replace(config.human, records=records)
    )
    shutil.copytree(workdir, tmp_path / "run")
    path = tmp_path / "run" / "config.yaml"
    text = path.read_text()
    path.write_text(text.replace(config.human.records, records))
    assert train(gone, str(tmp_path / "run")) == summary
    (tmp_path / "run" / "summary.json").unlink()
    for folder in ("run", "new"):
        with pytest.raises(ValueError, match="records/.*no such file"):
            train(gone, str(tmp_path / folder))


def test_a_finished_run_takes_what_may_change(finished):
    """For labelling and evaluation, which read the config of its folder."""
    config, workdir, summary = finished
    evaluation = dataclasses.replace(config.evaluation, images_per_step=1)
    assert train(dataclasses.replace(config, evaluation=evaluation), str(workdir)) == (
        summary
    )
    there = config_lib.load(str(workdir / "config.yaml"))
    assert there.evaluation.images_per_step == 1
    train(config, str(workdir))


def test_another_runs_workdir_is_refused(finished):
    config, workdir, _ = finished
    with pytest.raises(ValueError, match=r"holds a run with other settings.*seed: 1"):
        train(dataclasses.replace(config, seed=1), str(workdir))


def test_a_run_whose_data_has_changed_is_refused(finished, tmp_path):
    config, workdir, _ = finished
    shutil.copytree(workdir, tmp_path / "copy")
    path = tmp_path / "copy" / "data.json"
    data = json.loads(path.read_text())
    data["human"]["records_sha256"] = "0a"
    path.write_text(json.dumps(data))
    with pytest.raises(ValueError, match="of `human` .* have changed since its run"):
        train(config, str(tmp_path / "copy"))


@pytest.mark.slow
def test_two_replicas_train_like_one(ready_student, tmp_path):
    # Adam divides by the root of its second moment, so where a gradient is nothing
    # but rounding, rounding decides its direction: SGD keeps the two comparable.
    optimization = dataclasses.replace(
        ready_student.optimization, optimizer="sgd", ema_decay=0.0
    )
    one = dataclasses.replace(ready_student, optimization=optimization)
    two = dataclasses.replace(
        one, runtime=dataclasses.replace(one.runtime, strategy="mirrored")
    )
    train(one, str(tmp_path / "one"))
    train(two, str(tmp_path / "two"), devices=["CPU:0", "CPU:1"])
    ours, theirs = read_rows(tmp_path / "one"), read_rows(tmp_path / "two")
    for row, other in zip(ours[:-1], theirs[:-1], strict=True):
        for name, value in row.items():
            assert other[name] == pytest.approx(value, rel=2e-3, abs=1e-5), name


@pytest.mark.slow
def test_a_run_that_keeps_fewer_activations_learns_the_same(teacher, tmp_path):
    config = with_training(teacher, steps=4)
    train(config, str(tmp_path / "all"))
    train(with_training(config, rematerialize=True), str(tmp_path / "few"))
    ours, theirs = final_weights(tmp_path / "all"), final_weights(tmp_path / "few")
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], 1e-3, 1e-4, err_msg=name)


@pytest.mark.slow
@OF_A_DETECTOR
@pytest.mark.parametrize("policy", ["S1", "S4"])
def test_changing_pictures_in_the_step_trains_like_changing_them_before(
    ready_student, policy, tmp_path
):
    # 64 px pictures for a 64 px input: nothing is lost on the canvas.
    rows = {}
    for where in ("host", "device"):
        augment = dataclasses.replace(
            ready_student.detection.augment, policy=policy, where=where
        )
        changed = dataclasses.replace(
            ready_student,
            detection=dataclasses.replace(ready_student.detection, augment=augment),
            training=dataclasses.replace(ready_student.training, steps=2),
            runtime=dataclasses.replace(
                ready_student.runtime, jit_compile=where == "device"
            ),
        )
        train(changed, str(tmp_path / where))
        rows[where] = read_rows(tmp_path / where)[0]
    # The same draws; at the border of a picture one mixes in the grey.
    for name in ("human/loss", "pseudo/loss", "human/box"):
        assert rows["device"][name] == pytest.approx(rows["host"][name], rel=0.03)


def test_replicas_that_do_not_divide_the_batch_are_refused(ready_student, tmp_path):
    human = dataclasses.replace(ready_student.human, images_per_step=5)
    runtime = dataclasses.replace(ready_student.runtime, strategy="mirrored")
    config = dataclasses.replace(ready_student, human=human, runtime=runtime)
    with pytest.raises(
        ValueError, match="`human.images_per_step` is 5 but there are 2"
    ):
        train(config, str(tmp_path), devices=["CPU:0", "CPU:1"])


def test_a_loss_that_is_not_finite_stops_the_run_by_name(teacher, tmp_path):
    optimization = dataclasses.replace(
        teacher.optimization,
        optimizer="sgd",
        learning_rate=1e30,
        warmup_steps=0,
        schedule="constant",
    )
    config = dataclasses.replace(teacher, optimization=optimization)
    with pytest.raises(NonFiniteError) as stopped:
        train(config, str(tmp_path))
    message = str(stopped.value)
    assert "learning rate 1e+30" in message
    named = re.search(r"human: (train_\d+)", message)[1]
    assert named in splits.read_ids(teacher.human.ids)
    assert "Last checkpoint: none" in message


def test_a_picture_in_two_sets_is_refused(teacher, tmp_path):
    evaluation = dataclasses.replace(teacher.evaluation, records=teacher.human.records)
    config = dataclasses.replace(teacher, evaluation=evaluation)
    with pytest.raises(ValueError, match=r"human.*evaluation.*9|evaluation.*human.*9"):
        train(config, str(tmp_path))


def start(path, labelled, workdir):
    """Starts tools/train.py in a process that can be killed."""
    return subprocess.Popen(
        [
            *(sys.executable, str(ROOT / "tools/train.py")),
            *("--config", path, "--workdir", str(workdir)),
            *("--set", f"pseudo.records={labelled}", "--set", "self_training=null"),
            # Long enough that a kill falls into the middle.
            *("--set", "training.steps=40"),
        ],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def kill_after_rows(process, workdir, rows):
    while process.poll() is None and len(read_rows(workdir)) < rows:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def never_killed(path, labelled, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("never_killed")
    assert start(path, labelled, workdir).wait() == 0
    return workdir


@OF_A_DETECTOR
def test_a_killed_run_ends_like_one_never_killed(
    never_killed, path, labelled, tmp_path
):
    # Once before the first checkpoint, and once between two of them.
    for rows in (1, 11):
        kill_after_rows(start(path, labelled, tmp_path), tmp_path, rows)
        assert not (tmp_path / "summary.json").exists()
    assert start(path, labelled, tmp_path).wait() == 0
    assert_same_run(never_killed, tmp_path)


@pytest.mark.slow
@OF_A_DETECTOR
def test_a_run_killed_ten_times_at_random_ends_like_one_never_killed(
    never_killed, path, labelled, tmp_path
):
    chance = random.Random(0)
    for _ in range(10):
        process = start(path, labelled, tmp_path)
        time.sleep(chance.uniform(0.5, 25))
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert start(path, labelled, tmp_path).wait() == 0
    assert_same_run(never_killed, tmp_path)


@pytest.mark.slow
def test_what_was_learned_is_kept_before_it_is_judged(finished, tmp_path, monkeypatch):
    config, _, _ = finished
    evaluation = dataclasses.replace(config.evaluation, every_steps=4)
    config = with_training(
        dataclasses.replace(config, evaluation=evaluation), checkpoint_every_steps=4
    )

    def out_of_memory(*_):
        raise MemoryError

    with monkeypatch.context() as first:
        first.setattr(loop, "_evaluate", out_of_memory)
        with pytest.raises(MemoryError):
            train(config, str(tmp_path))
    assert (tmp_path / "checkpoints" / "ckpt-4.index").exists()
    evaluation = dataclasses.replace(evaluation, images_per_step=1)
    smaller = dataclasses.replace(config, evaluation=evaluation)
    train(smaller, str(tmp_path))
    rows = read_rows(tmp_path)
    assert judged_at(rows, config) == [4, 8, 12]
    taken = [row["step"] for row in rows if "loss" in row]
    assert taken == sorted(set(taken)) and taken[-1] == 12


def test_a_second_process_in_the_same_folder_is_refused(
    finished, tmp_path, monkeypatch
):
    config, _, _ = finished
    monkeypatch.setattr(loop, "_Run", lambda *_: None)
    with writing.claimed(tmp_path / ".lock", "it"):
        with pytest.raises(ValueError, match=f"`{tmp_path}` is in use: another"):
            train(config, str(tmp_path))
    assert not (tmp_path / "config.yaml").exists()
