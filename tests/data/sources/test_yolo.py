"""What reading YOLO folders promises."""

import re

import pytest

from st_keras.data.sources import open_source
from st_keras.data.sources.yolo import YoloSource

# Centre (0.3, 0.5), 0.2 wide, 0.4 high: of 60 x 100, x 20 to 40 and y 18 to 42.
LINE = "1 0.3 0.5 0.2 0.4\n"
BOX = [18, 20, 42, 40]


@pytest.fixture
def yolo(folder):
    folder.write("data.yaml", "names: [cat, dog]\nnc: 2\ntrain: images\n")
    folder.picture("images/a.png")
    folder.write("labels/a.txt", LINE)
    return folder


def test_a_box_is_centre_and_size_in_shares(yolo):
    yolo.convert(YoloSource(yolo.root))
    record = yolo.records()["images/a"]
    assert record["boxes"] == [BOX]
    assert record["labels"] == [2]
    assert record["texts"] == ["dog"]


def test_shares_are_of_the_picture_before_shrinking(yolo):
    yolo.convert(YoloSource(yolo.root), max_side_px=50)
    record = yolo.records()["images/a"]
    assert record["size"] == (30, 50)
    assert record["boxes"] == [[9, 10, 21, 20]]


def test_a_polygon_becomes_the_box_around_it(yolo):
    yolo.write("labels/a.txt", "0 0.1 0.5 0.6 0.25 0.4 0.75\n")
    yolo.convert(YoloSource(yolo.root))
    assert yolo.records()["images/a"]["boxes"] == [[15, 10, 45, 60]]


def test_a_missing_and_an_empty_label_file_mean_no_objects(yolo):
    yolo.picture("images/missing.png")
    yolo.picture("images/empty.png")
    yolo.write("labels/empty.txt", "\n")
    yolo.convert(YoloSource(yolo.root))
    records = yolo.records()
    assert records["images/missing"]["boxes"] == records["images/empty"]["boxes"] == []
    assert yolo.skipped() == []


def test_a_split_without_any_label_file_is_refused(yolo):
    (yolo.root / "labels" / "a.txt").unlink()
    with pytest.raises(ValueError, match=r"none of the 1 pictures .*labels/a\.txt"):
        yolo.convert(YoloSource(yolo.root))


def test_marks_and_line_ends_of_windows_do_not_matter(yolo):
    lines = LINE + LINE.replace("1", "0", 1)
    yolo.write("labels/a.txt", "\ufeff" + lines.replace("\n", " \r\n"))
    yolo.convert(YoloSource(yolo.root))
    assert yolo.records()["images/a"]["boxes"] == [BOX, BOX]


def test_a_line_that_repeats_another_is_listed(yolo):
    # The same box in other digits, as another class, wider, and once more.
    lines = (LINE, "1 0.30 0.50 0.20 0.40\n", LINE.replace("1", "0", 1))
    yolo.write("labels/a.txt", "".join(lines) + "1 0.3 0.5 0.21 0.4\n" + LINE)
    info = yolo.convert(YoloSource(yolo.root))["train"]
    assert yolo.records()["images/a"]["labels"] == [2, 1, 2]
    assert yolo.skipped() == [
        ("images/a", "1", "duplicate_annotation"),
        ("images/a", "4", "duplicate_annotation"),
    ]
    assert info.skipped == {"duplicate_annotation": 2}


def test_roboflows_layout_is_understood(folder):
    folder.write(
        "data.yaml",
        "train: ../train/images\nval: ../valid/images\ntest:\nnames: ['cat', 'dog']\n",
    )
    for split in ("train", "valid"):
        folder.picture(f"{split}/images/a.png")
        folder.write(f"{split}/labels/a.txt", LINE)
    source = YoloSource(folder.root)
    assert source.splits == ("train", "val")
    folder.convert(source)
    # One name in two splits: the ids tell them apart.
    assert set(folder.records("train")) == {"train/images/a"}
    assert set(folder.records("val")) == {"valid/images/a"}


def test_ultralytics_layout_is_understood(folder):
    folder.write(
        "coco8.yaml",
        "path: .\ntrain: [images/train, more.txt]\nnames:\n  0: cat\n  2: dog\n",
    )
    folder.picture("images/train/a.png")
    folder.picture("other/images/b.png")
    folder.write("labels/train/a.txt", LINE.replace("1", "2", 1))
    folder.write("other/labels/b.txt", LINE.replace("1", "0", 1))
    folder.write("more.txt", "./other/images/b.png\n")
    source = YoloSource(folder.root)
    assert source.class_names == ("cat", "unused_1", "dog")
    folder.convert(source)
    labels = {i: r["labels"] for i, r in folder.records().items()}
    assert labels == {"images/train/a": [3], "other/images/b": [1]}


def test_labelimgs_layout_is_understood(folder):
    folder.write("labels/classes.txt", "cat\r\ndog\r\n\r\n")
    folder.picture("images/train/a.png")
    folder.picture("images/val/a.png")
    folder.write("labels/train/a.txt", LINE)
    folder.write("labels/val/a.txt", LINE)
    source = YoloSource(folder.root)
    assert source.class_names == ("cat", "dog")
    assert source.splits == ("train", "val")


def test_splits_are_known_by_the_years_of_coco(folder):
    folder.write("classes.txt", "cat\ndog")
    for split in ("train2017", "val2017"):
        folder.picture(f"images/{split}/a.png")
        folder.write(f"labels/{split}/a.txt", LINE)
    assert YoloSource(folder.root).splits == ("train2017", "val2017")


@pytest.mark.parametrize("above", ["", "images/mine/"])
def test_labels_may_lie_beside_the_pictures(folder, above):
    folder.write(f"{above}data.yaml", "names: [cat, dog]\ntrain: photos\n")
    folder.picture(f"{above}photos/a.png")
    folder.write(f"{above}photos/a.txt", LINE)
    folder.write(f"{above}photos/gone.txt", LINE)
    folder.convert(YoloSource(folder.root / above))
    assert folder.records()["photos/a"]["boxes"] == [BOX]
    assert folder.skipped() == [("gone", "-", "missing_file")]


def test_a_line_of_a_list_that_names_no_file_is_refused(yolo, monkeypatch):
    yolo.write("data.yaml", "names: [cat, dog]\ntrain: list.txt\n")
    yolo.write("list.txt", "images/a.png\n.\n")
    monkeypatch.chdir(yolo.root)
    with pytest.raises(ValueError, match="list.txt: a line such as `.` .*no picture"):
        yolo.convert(YoloSource("."))


@pytest.mark.parametrize(
    "text, message",
    [
        ("names: [cat\n", "not YAML"),
        ("cat\n", "must have `names` and `train`, got a str"),
        ("names: cat\n", "`names` must be a list, got 'cat'"),
        ("names: {a: cat}\n", r"keys of `names` must be ids, got \['a'\]"),
        ("names: {200000: cat}\n", "at most 100,000.* got 200,000. Number them"),
        ("names: [cat]\nnc: 3\n", "`nc` must be .* 1, got 3"),
        ("names: [cat]\nnc: one\n", "`nc` must be .* 1, got 'one'"),
        ("names: [cat]\ntrain: nowhere\n", "there is no nowhere"),
        ("names: [cat]\ntrain: 5\n", "`train` must be a path, got 5"),
    ],
)
def test_a_broken_yaml_is_one_clear_error(folder, text, message):
    folder.write("data.yaml", text)
    with pytest.raises(ValueError, match=f"data.yaml: .*{message}"):
        YoloSource(folder.root)


@pytest.mark.parametrize(
    "names", ["[no, off, 010, 1.10, ~]", "{0: no, 1: off, 2: 010, 3: 1.10, 4: ~}"]
)
def test_names_are_as_the_file_has_them_and_not_what_yaml_makes_of_them(yolo, names):
    yolo.write("data.yaml", f"names: {names}\ntrain: images\n")
    assert YoloSource(yolo.root).class_names == ("no", "off", "010", "1.10", "~")


def test_a_number_of_classes_may_be_quoted(yolo):
    yolo.write("data.yaml", 'names: [cat, dog]\nnc: "2"\ntrain: images\n')
    assert YoloSource(yolo.root).class_names == ("cat", "dog")


def test_a_split_for_testing_that_is_not_there_is_left_out_by_name(yolo, capsys):
    yaml = "names: [cat, dog]\ntrain: images\ntest: [images, nowhere/test]\n"
    path = yolo.write("data.yaml", yaml)
    source = open_source("yolo", images=yolo.root)
    told = f"{path}: `test`: there is no nowhere/test in {yolo.root}. Correct it"
    assert f"Left out: {told} if the split is needed." in capsys.readouterr().out
    assert source.splits == ("train",)
    assert set(yolo.convert(source)) == {"train"}
    with pytest.raises(ValueError, match=re.escape(told) + ".* --splits train"):
        yolo.convert(source, split_names=["train", "test"], overwrite=True)
    # Without another split, nothing would be left of what the file names.
    yolo.write("data.yaml", "names: [cat, dog]\ntest: nowhere/test\n")
    with pytest.raises(ValueError, match="no nowhere/test .* take the line out"):
        YoloSource(yolo.root)


def test_repeated_class_names_are_told_apart(folder):
    folder.picture("images/a.png")
    names = ["a", "a", "a_2", "b", "a"]
    source = YoloSource(folder.root, classes=names)
    assert source.class_names == ("a", "a_3", "a_2", "b", "a_4")


def test_missing_class_names_are_asked_for(folder):
    folder.picture("images/a.png")
    with pytest.raises(ValueError, match="neither a data.yaml .*--classes a,b,c"):
        YoloSource(folder.root)
    assert YoloSource(folder.root, classes=["x"]).class_names == ("x",)


@pytest.mark.parametrize(
    "name, text",
    [("n.txt", "\ufeffcat\r\n\r\ndog\n"), ("n.yaml", "names: {0: cat, 2: dog}\n")],
)
def test_class_names_may_be_in_a_file_that_is_passed(yolo, name, text):
    source = YoloSource(yolo.root, classes=[str(yolo.write(name, text))])
    assert source.class_names == ("cat", "unused_1", "dog")


@pytest.mark.parametrize(
    "name, message", [("empty.txt", "no name in it"), ("gone.txt", "no such file")]
)
def test_a_passed_file_without_names_is_refused(yolo, name, message):
    yolo.write("empty.txt", "\n")
    with pytest.raises(ValueError, match=f"`classes`: .*{message}"):
        YoloSource(yolo.root, classes=[str(yolo.root / name)])


def test_a_pose_is_read_for_its_box(yolo):
    yolo.write("data.yaml", "names: [cat, dog]\ntrain: images\nkpt_shape: [2, 2]\n")
    # Two points after the box: as many columns as a polygon of four has.
    yolo.write("labels/a.txt", f"{LINE.strip()} 0.9 0.9 0.1 0.2\n")
    yolo.convert(YoloSource(yolo.root))
    assert yolo.records()["images/a"]["boxes"] == [BOX]


def test_only_what_kpt_shape_says_makes_key_points(yolo):
    yolo.write("data.yaml", "names: [cat, dog]\ntrain: images\nkpt_shape:\n")
    # Of 60 x 100, a polygon of x 20 to 60 and y 12 to 48.
    yolo.write("labels/a.txt", "1 0.2 0.2 0.6 0.3 0.5 0.8\n")
    yolo.convert(YoloSource(yolo.root))
    assert yolo.records()["images/a"]["boxes"] == [[12, 20, 48, 60]]


def test_labels_without_a_picture_are_listed(yolo):
    yolo.write("labels/gone.txt", LINE)
    yolo.write("labels/classes.txt", "cat\ndog\n")
    yolo.convert(YoloSource(yolo.root))
    assert yolo.skipped() == [("gone", "-", "missing_file")]


def test_pictures_of_other_kinds_are_listed_as_such(yolo):
    for name in ("images/b.heic", "images/sub/c.MOV", "images/a.npy", "images/a.json"):
        yolo.write(name, b"...")
    yolo.write("labels/b.txt", LINE)
    yolo.picture("images/d.ppm")  # The content counts.
    yolo.convert(YoloSource(yolo.root))
    assert set(yolo.records()) == {"images/a", "images/d"}
    assert yolo.skipped() == [
        ("images/b", "-", "unknown_extension"),
        ("images/sub/c", "-", "unknown_extension"),
    ]


def test_hidden_files_of_macos_do_not_matter(yolo):
    (yolo.root / "data.yaml").rename(yolo.root / "mine.yaml")
    for name in ("._mine.yaml", "labels/._a.txt", "images/._a.png"):
        yolo.write(name, b"\0\5\x16\7")
    yolo.convert(YoloSource(yolo.root), strict=True)
    assert set(yolo.records()) == {"images/a"}


def test_a_split_whose_every_box_is_left_out_is_refused(yolo):
    yolo.picture("images/b.png")  # Nothing is in it.
    yolo.write("labels/a.txt", "7 0.3 0.5 0.2 0.4\n" * 2)
    with pytest.raises(ValueError, match=r"none of its 2 boxes .*unknown_class 2.*7 0"):
        yolo.convert(YoloSource(yolo.root))
    assert len(yolo.skipped()) == 2
