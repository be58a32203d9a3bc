"""What reading a folder per class promises."""

import pytest

from st_keras.data import dataset_info, record_labels, splits
from st_keras.data.sources.class_folders import ClassFolderSource


def labels(folder, split="train"):
    return {
        image_id: record["class_label"]
        for image_id, record in folder.records(split).items()
    }


def test_the_folder_is_the_class_and_labels_start_at_1(folder):
    for name in ("cat/a.png", "cat/deep/er/b.PNG", "ant/a.png"):
        folder.picture(name)
    info = folder.convert(ClassFolderSource(folder.root))["train"]
    assert info.image_class_names == ("ant", "cat")
    assert info.images_per_class == {"ant": 1, "cat": 2}
    assert info.class_names == ()
    assert labels(folder) == {"ant/a": [1], "cat/a": [2], "cat/deep/er/b": [2]}


def test_folders_of_splits_have_the_same_classes(folder):
    for name in ("train/cat/a.png", "train/ant/b.png", "val/cat/c.png"):
        folder.picture(name)
    folder.picture("test/d.png")  # In no folder of a class.
    source = ClassFolderSource(folder.root)
    assert source.splits == ("train", "val")
    assert source.unread == (str(folder.root / "test"),)
    infos = folder.convert(source)
    assert infos["val"].image_class_names == ("ant", "cat")
    assert infos["val"].images_per_class == {"ant": 0, "cat": 1}
    assert labels(folder, "val") == {"cat/c": [2]}


def test_a_class_may_be_called_train(folder):
    for name in ("bus/a.png", "train/b.png"):
        folder.picture(name)
    source = ClassFolderSource(folder.root, split="all")
    folder.convert(source)
    assert source.splits == ("all",)
    assert labels(folder, "all") == {"bus/a": [1], "train/b": [2]}


def test_what_a_disk_has_at_its_root_is_no_class(folder):
    for name in ("ant/a.png", "bee/b.png", "lost+found/c.png"):
        folder.picture(name)
    source = ClassFolderSource(folder.root)
    assert source.image_class_names == ("ant", "bee")
    for name in ("train/ant/a.png", "val/bee/b.png"):
        folder.picture(name)
    unread = ClassFolderSource(folder.root).unread
    assert unread == tuple(str(folder.root / name) for name in ("ant", "bee"))


def test_a_list_of_classes_chooses_and_orders_them(folder):
    for name in ("ant/a.png", "bee/b.png", "cat/c.png"):
        folder.picture(name)
    folder.convert(ClassFolderSource(folder.root, classes=["cat", "ant"]))
    assert labels(folder) == {"ant/a": [2], "cat/c": [1]}
    assert folder.skipped() == [("bee/b", "-", "unknown_class")]


def test_what_is_no_picture_of_a_class_is_listed(folder):
    for name in ("ant/a.png", "bee/b.png", "stray.png", ".hidden/c.png"):
        folder.picture(name)
    folder.write("ant/notes.txt", b"...")
    folder.write("ant/broken.png", b"...")
    info = folder.convert(ClassFolderSource(folder.root))["train"]
    assert set(folder.records()) == {"ant/a", "bee/b"}
    assert folder.skipped() == [
        ("ant/broken", "-", "unreadable_file"),
        ("ant/notes", "-", "unknown_extension"),
        ("stray", "-", "unknown_class"),
    ]
    assert info.skipped["unknown_class"] == 1


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["ant"], "two or more classes, got ant"),
        (["ant", "ant"], "must not repeat, got ant, ant"),
        (["ant", "gnu"], "got gnu; it has ant, bee"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(folder, classes, message):
    for name in ("ant/a.png", "bee/b.png"):
        folder.picture(name)
    with pytest.raises(ValueError, match=message):
        ClassFolderSource(folder.root, classes=classes)


def test_a_folder_without_folders_is_refused(folder):
    folder.picture("a.png")
    with pytest.raises(ValueError, match="got none in"):
        ClassFolderSource(folder.root)


def test_the_summary_and_the_file_beside_the_shards_tell_the_classes(folder, capsys):
    for name in ("ant/a.png", "bee/b.png", "bee/c.png"):
        folder.picture(name)
    info = folder.convert(ClassFolderSource(folder.root))["train"]
    printed = capsys.readouterr().out
    assert "3 pictures with a class each" in printed
    assert "pictures per class: ant 1, bee 2" in printed
    assert dataset_info.load(f"{folder.output}/train/*.tfrecord") == info


def test_shares_can_be_drawn_with_every_class_in_them(folder, tmp_path):
    for number in range(9):
        folder.picture(f"ant/{number}.png", height=60 + number)
    folder.picture("bee/0.png", height=90)
    folder.convert(ClassFolderSource(folder.root))
    pattern = f"{folder.output}/train/*.tfrecord"
    found = record_labels.classes(pattern)
    assert found == {"bee/0": {2}} | {f"ant/{n}": {1} for n in range(9)}
    table = splits.split(pattern, tmp_path, [20.0], ensure_classes=True)
    ids = splits.read_ids(tmp_path / "fraction_20_seed0.txt")
    assert "bee/0" in ids and len(ids) == 2
    assert table.splitlines()[-1].split() == ["with", "bee", "1", "1"]


@pytest.mark.parametrize(
    "splits_",
    [("train", "valid"), ("Training", "Validation"), ("train2017", "val2017")],
)
def test_splits_of_other_names_are_not_taken_for_classes_nor_left_out(folder, splits_):
    for split in splits_:
        for name in ("ant", "bee"):
            folder.picture(f"{split}/{name}/a.png")
    source = ClassFolderSource(folder.root)
    assert source.splits == splits_
    assert source.image_class_names == ("ant", "bee")


def test_a_class_with_folders_in_it_may_have_the_name_of_a_split(folder):
    for name in ("eval/deep/a.png", "play/deep/b.png"):
        folder.picture(name)
    folder.convert(ClassFolderSource(folder.root))
    assert labels(folder) == {"eval/deep/a": [1], "play/deep/b": [2]}


def test_folders_that_are_alike_in_all_classes_are_no_splits(folder):
    for name in (
        "ant/day/a.png",
        "ant/night/b.png",
        "bee/day/c.png",
        "bee/night/d.png",
    ):
        folder.picture(name)
    folder.convert(ClassFolderSource(folder.root))
    assert labels(folder) == {
        **{"ant/day/a": [1], "ant/night/b": [1]},
        **{"bee/day/c": [2], "bee/night/d": [2]},
    }
