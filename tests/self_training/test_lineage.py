"""Which pictures a model has seen, in its own run and in those before it."""

import dataclasses

import pytest

from st_keras import config as config_lib
from st_keras.config import InitConfig
from st_keras.data import splits
from st_keras.self_training import lineage


@pytest.fixture
def runs(teacher_config, digit_records, tmp_path):
    """Two runs, the second with the weights of the first, which saw the pictures."""

    def write(name, ids, **changes):
        splits.write_ids(tmp_path / f"{name}.txt", ids)
        human = dataclasses.replace(
            teacher_config.human, ids=str(tmp_path / f"{name}.txt")
        )
        config = dataclasses.replace(teacher_config, human=human, **changes)
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        config_lib.save(config, str(tmp_path / name / "config.yaml"))
        return InitConfig(kind="teacher", checkpoint=str(tmp_path / name))

    first = write("first", ["train_000001", "train_000002"])
    return write("second", ["train_000003"], init=first)


def judged(digit_records, tmp_path, *ids):
    splits.write_ids(tmp_path / "judged.txt", list(ids))
    return {
        "test": (f"{digit_records}/train/*.tfrecord", str(tmp_path / "judged.txt")),
        "evaluation": ("", ""),
    }


def test_what_a_run_before_the_one_before_has_seen_is_refused(
    runs, digit_records, tmp_path
):
    lineage.check_first_weights(judged(digit_records, tmp_path, "train_000004"), runs)
    for picture, run in (("train_000002", "first"), ("train_000003", "second")):
        with pytest.raises(
            ValueError, match=f"human of .*/{run}` and `test` .*{picture}"
        ):
            lineage.check_first_weights(judged(digit_records, tmp_path, picture), runs)


def test_a_prefix_of_a_checkpoint_will_do(runs, digit_records, tmp_path):
    prefix = f"{runs.checkpoint}/checkpoints/ckpt-4"
    with pytest.raises(ValueError, match="human of .*/first` and `test`"):
        lineage.check_first_weights(
            judged(digit_records, tmp_path, "train_000002"),
            dataclasses.replace(runs, checkpoint=prefix),
        )


def test_what_cannot_be_known_is_said_and_no_error(
    runs, digit_records, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr(lineage.logging, "warning", lambda text, *_: said.append(text))
    sets = judged(digit_records, tmp_path, "train_000002")
    file = InitConfig(kind="imagenet", checkpoint=str(tmp_path / "published.h5"))
    lineage.check_first_weights(sets, file)
    assert not said  # A published file tells nothing, and need not.
    (tmp_path / "first.txt").unlink()
    lineage.check_first_weights(sets, runs)
    assert len(said) == 1 and "cannot be told" in said[0]


def test_runs_that_name_each_other_are_looked_at_once(runs, digit_records, tmp_path):
    path = tmp_path / "first" / "config.yaml"
    first = dataclasses.replace(config_lib.load(str(path)), init=runs)
    config_lib.save(first, str(path))
    lineage.check_first_weights(judged(digit_records, tmp_path, "train_000004"), runs)
