"""What is refused before a run costs anything."""

import dataclasses
import shutil

import pytest
import tensorflow as tf

from st_keras import config as config_lib
from st_keras.data import dataset_info, splits
from st_keras.runtime import preflight
from st_keras.tasks import build_task, with_class_names


def test_sets_are_counted_and_told_by_the_digest_of_their_ids(digit_records):
    train = f"{digit_records}/train/*.tfrecord"
    found = preflight.check_disjoint(
        {
            "human": (train, f"{digit_records}/human.txt"),
            "unlabeled": (train, f"{digit_records}/rest.txt"),
            "test": ("", ""),
        }
    )
    assert {name: row["pictures"] for name, row in found.items()} == {
        "human": 9,
        "unlabeled": 15,
    }
    assert found["human"]["ids_sha256"] != found["unlabeled"]["ids_sha256"]


def test_a_shared_picture_is_named(digit_records):
    train = f"{digit_records}/train/*.tfrecord"
    sets = {"human": (train, f"{digit_records}/human.txt"), "evaluation": (train, "")}
    with pytest.raises(ValueError, match="`human` and `evaluation`.*9 of 9.*train_00"):
        preflight.check_disjoint(sets)


def test_the_same_picture_under_another_name_is_found(digit_records, tmp_path):
    # The digest is of the bytes, so a copied and renamed record does not hide.
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in (digit_records / "val").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    listing = (copy / "images.tsv").read_text().replace("val_", "renamed_")
    (copy / "images.tsv").write_text(listing)
    sets = {
        "human": (f"{digit_records}/val/*.tfrecord", ""),
        "test": (f"{copy}/*.tfrecord", ""),
    }
    with pytest.raises(ValueError, match="5 of 5"):
        preflight.check_disjoint(sets)


def test_an_id_that_no_record_has_is_named(digit_records, tmp_path):
    (tmp_path / "ids.txt").write_text("train_000001\ntrain_999999\n")
    sets = {"human": (f"{digit_records}/train/*.tfrecord", str(tmp_path / "ids.txt"))}
    with pytest.raises(ValueError, match=r"ids.txt: .*'train_999999' \(1 of 2"):
        preflight.check_disjoint(sets)


def test_a_workdir_is_claimed_once(teacher_config, tmp_path):
    preflight.check_workdir(teacher_config, str(tmp_path))
    preflight.save_config(teacher_config, str(tmp_path))
    preflight.check_workdir(teacher_config, str(tmp_path))
    assert config_lib.load(str(tmp_path / "config.yaml")) == teacher_config
    other = dataclasses.replace(teacher_config, seed=3)
    with pytest.raises(ValueError, match=r"other settings \(-seed: 0; \+seed: 3\)"):
        preflight.check_workdir(other, str(tmp_path))


def test_a_folder_of_runs_may_be_moved(student_config, tmp_path):
    def student_of(folder, labels="labels_1"):
        pseudo = dataclasses.replace(
            student_config.pseudo, records=f"{folder}/{labels}/*.tfrecord"
        )
        return dataclasses.replace(student_config, pseudo=pseudo)

    old, new = tmp_path / "runs" / "old", tmp_path / "elsewhere"
    preflight.save_config(student_of(old), str(old / "student_1"))
    old.rename(new)
    preflight.check_workdir(student_of(new), str(new / "student_1"))
    for other in (student_of(new, "labels_2"), student_of(tmp_path / "third")):
        with pytest.raises(ValueError, match="other settings"):
            preflight.check_workdir(other, str(new / "student_1"))


def test_class_names_come_from_the_records_and_a_config_may_only_confirm_them(
    teacher_config, digit_records
):
    info = dataset_info.load(f"{digit_records}/train/*.tfrecord")
    filled = with_class_names(teacher_config, info)
    assert filled.detection.class_names == tuple("0123456789")
    assert with_class_names(filled, info) == filled
    with pytest.raises(ValueError, match="`detection.class_names` is 0, 1.*has cat"):
        with_class_names(filled, dataclasses.replace(info, class_names=("cat",)))
    with pytest.raises(ValueError, match="has no classes"):
        with_class_names(teacher_config, dataclasses.replace(info, class_names=()))


def test_labels_of_other_classes_are_refused(teacher_config, digit_records):
    records = f"{digit_records}/val/*.tfrecord"
    info = dataset_info.load(records)
    task = build_task(with_class_names(teacher_config, info))
    preflight.check_classes(task, records)
    info = dataclasses.replace(info, class_names=info.class_names[::-1])
    task = build_task(with_class_names(teacher_config, info))
    with pytest.raises(ValueError, match="has classes 0, 1.*the model has 9, 8"):
        preflight.check_classes(task, records)


def test_records_without_any_label_are_refused(teacher_config, digit_records, tmp_path):
    shutil.copytree(digit_records / "val", tmp_path / "val")
    records = f"{tmp_path}/val/*.tfrecord"
    info = dataset_info.load(records)
    task = build_task(with_class_names(teacher_config, info))
    preflight.check_labeled(task, records)
    none = dict.fromkeys(info.class_names, 0)
    empty = dataclasses.replace(
        info, boxes=0, boxes_per_class=none, skipped={"outside_image": 7}
    )
    dataset_info.save(empty, tmp_path / "val")
    with pytest.raises(ValueError, match="none of its 5 .* left out: 7 outside_image"):
        preflight.check_labeled(task, records)


def test_records_or_ids_that_have_changed_are_named(
    teacher_config, digit_records, tmp_path
):
    train, ids = f"{digit_records}/train/*.tfrecord", tmp_path / "ids.txt"
    splits.write_ids(ids, ["train_000001", "train_000002"])
    val = tmp_path / "val"
    shutil.copytree(digit_records / "val", val)
    thresholds = tmp_path / "thresholds.json"
    thresholds.write_text("{}")
    data = preflight.Data(
        sets={"human": (train, str(ids)), "evaluation": (f"{val}/*.tfrecord", "")},
        files={"pseudo.thresholds": str(thresholds)},
    )
    preflight.check_data(str(tmp_path), data)  # Nothing is known yet.
    preflight.save_config(teacher_config, str(tmp_path), data)
    preflight.check_data(str(tmp_path), data)
    thresholds.write_text("{ }")
    with pytest.raises(ValueError, match=f"`pseudo.thresholds` .{thresholds}. have"):
        preflight.check_data(str(tmp_path), data)
    thresholds.write_text("{}")
    splits.write_ids(ids, ["train_000001", "train_000003"])
    with pytest.raises(ValueError, match="`human` .*train.* have changed"):
        preflight.check_data(str(tmp_path), data)
    splits.write_ids(ids, ["train_000002", "train_000001"])  # The same set.
    info = dataset_info.load(f"{val}/*.tfrecord")
    dataset_info.save(dataclasses.replace(info, content_sha256="0a"), val)
    with pytest.raises(ValueError, match="`evaluation` .* have changed"):
        preflight.check_data(str(tmp_path), data)
    shutil.rmtree(val)  # A finished run needs it no more.
    preflight.check_data(str(tmp_path), data)


def test_a_set_may_be_given_by_its_ids(digit_records):
    train = f"{digit_records}/train/*.tfrecord"
    chosen = {"human": (train, ["train_000004"]), "pseudo": (train, [])}
    found = preflight.check_disjoint(chosen)
    assert {name: row["pictures"] for name, row in found.items()} == {
        "human": 1,
        "pseudo": 0,
    }
    with pytest.raises(ValueError, match="`human` and `pseudo`.* got 1 of 1 and 24"):
        preflight.check_disjoint(chosen | {"pseudo": (train, None)})


def test_a_workdir_may_be_where_one_stands(teacher_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    preflight.save_config(teacher_config, ".")
    preflight.check_workdir(teacher_config, ".")
    with pytest.raises(ValueError, match="other settings"):
        preflight.check_workdir(dataclasses.replace(teacher_config, seed=3), ".")


def test_what_changes_no_number_may_be_changed(teacher_config, tmp_path):
    preflight.save_config(teacher_config, str(tmp_path))
    evaluation = dataclasses.replace(teacher_config.evaluation, images_per_step=1)
    training = dataclasses.replace(
        teacher_config.training, keep_checkpoints=5, on_nonfinite="skip"
    )
    smaller = dataclasses.replace(
        teacher_config, evaluation=evaluation, training=training
    )
    preflight.check_workdir(smaller, str(tmp_path))
    other = dataclasses.replace(evaluation, every_steps=3)
    with pytest.raises(ValueError, match="other settings"):
        preflight.check_workdir(
            dataclasses.replace(smaller, evaluation=other), str(tmp_path)
        )


def test_the_choice_of_labels_may_change_where_that_is_said(student_config, tmp_path):
    preflight.save_config(student_config, str(tmp_path))
    pseudo = dataclasses.replace(student_config.pseudo, min_score=0.61)
    chosen = dataclasses.replace(
        student_config,
        pseudo=pseudo,
        expect=config_lib.ExpectConfig(metric="AP", value=1.0, tolerance=1.0),
    )
    preflight.check_workdir(chosen, str(tmp_path), but=["pseudo"])
    with pytest.raises(ValueError, match="min_score: 0.61"):
        preflight.check_workdir(chosen, str(tmp_path))
    with pytest.raises(ValueError, match="seed: 3"):
        other = dataclasses.replace(chosen, seed=3)
        preflight.check_workdir(other, str(tmp_path), but=["pseudo"])


def test_a_setting_that_the_version_of_a_run_did_not_have_is_at_its_default(
    teacher_config, tmp_path
):
    preflight.save_config(teacher_config, str(tmp_path))
    path = tmp_path / "config.yaml"
    lines = path.read_text().splitlines(keepends=True)
    (line,) = (text for text in lines if "rematerialize" in text)
    path.write_text("".join(text for text in lines if text != line))
    preflight.check_workdir(teacher_config, str(tmp_path))
    training = dataclasses.replace(teacher_config.training, rematerialize=True)
    with pytest.raises(ValueError, match="-  rematerialize: false; .*: true"):
        preflight.check_workdir(
            dataclasses.replace(teacher_config, training=training), str(tmp_path)
        )


def test_a_run_may_go_on_on_another_slice_of_tpus(teacher_config, tmp_path):
    def on(slice_name):
        runtime = config_lib.RuntimeConfig(strategy="tpu", tpu=slice_name)
        return dataclasses.replace(teacher_config, runtime=runtime)

    preflight.save_config(on("local"), str(tmp_path))
    preflight.check_workdir(on("slice-2"), str(tmp_path))
    with pytest.raises(ValueError, match="other settings"):
        preflight.check_workdir(teacher_config, str(tmp_path))


def test_one_folder_was_moved_and_not_each_setting(student_config, tmp_path):
    def student(records, thresholds):
        pseudo = dataclasses.replace(
            student_config.pseudo, records=records, thresholds=thresholds
        )
        return dataclasses.replace(student_config, pseudo=pseudo)

    workdir, new = tmp_path / "new" / "student_1", tmp_path / "new"
    both = student(f"{new}/labels/*", f"{new}/t.json")
    for records, thresholds, is_moved in (
        ("/old/labels/*", "/old/t.json", True),
        ("/older/labels/*", "/old/t.json", False),
        ("/old/labels/*", f"{new}/t.json", False),
    ):
        preflight.save_config(student(records, thresholds), str(workdir))
        if is_moved:
            preflight.check_workdir(both, str(workdir))
        else:
            with pytest.raises(ValueError, match="other settings"):
                preflight.check_workdir(both, str(workdir))


def test_another_run_in_the_folder_of_runs_is_no_moved_one(teacher_config, tmp_path):
    def begun_with(folder):
        init = config_lib.InitConfig(kind="teacher", checkpoint=f"{folder}/teacher")
        return dataclasses.replace(teacher_config, init=init)

    def data_of(config):
        return preflight.Data(
            sets={}, files={"init.checkpoint": config.init.checkpoint}
        )

    for number, folder in enumerate(("a", "b")):
        prefix = str(tmp_path / folder / "teacher" / "checkpoints" / "ckpt-1")
        tf.train.Checkpoint(x=tf.Variable(float(number))).write(prefix)
    workdir = str(tmp_path / "b" / "student")
    first, second = begun_with(tmp_path / "a"), begun_with(tmp_path / "b")
    preflight.save_config(first, workdir, data_of(first))
    preflight.check_data(workdir, data_of(first))
    preflight.check_workdir(second, workdir)  # By its name alone, a folder was moved.
    with pytest.raises(ValueError, match="weights of `init.checkpoint` .*b/teacher"):
        preflight.check_data(workdir, data_of(second))


def test_a_damaged_file_is_named(teacher_config, tmp_path):
    (tmp_path / "data.json").write_text("")
    with pytest.raises(ValueError, match="data.json: damaged, no JSON"):
        preflight.check_data(str(tmp_path), preflight.Data(sets={}))
