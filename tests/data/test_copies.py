"""What a conversion says of pictures that are there twice."""

import pytest

from st_keras.data.sources.class_folders import ClassFolderSource
from st_keras.data.sources.coco import CocoSource
from st_keras.data.sources.folders import FolderSource


def test_copies_with_other_classes_are_named(folder, capsys):
    for name, height in (("x/a", 60), ("y/b", 60), ("y/c", 61), ("y/d", 61)):
        folder.picture(f"{name}.png", height)
    info = folder.convert(ClassFolderSource(folder.root))["train"]
    assert info.images == 4
    out = capsys.readouterr().out
    assert "  2 pictures are copies of others, 1 with other labels: " in out
    assert "y/b = x/a\n" in out or "x/a = y/b\n" in out


def test_copies_that_nobody_labelled_contradict_nothing(folder, capsys):
    for name in "abc":
        folder.picture(f"{name}.png")
    folder.convert(FolderSource(folder.root))
    assert "  2 pictures are copies of others\n" in capsys.readouterr().out


def test_pictures_that_differ_are_not_mentioned(folder, capsys):
    for height in (60, 61):
        folder.picture(f"{height}.png", height)
    folder.convert(FolderSource(folder.root))
    assert "copies" not in capsys.readouterr().out


BOX, OTHER_BOX = [10, 20, 30, 15], [1, 2, 30, 40]


@pytest.mark.parametrize(
    "second, differ",
    [([OTHER_BOX, BOX], False), ([BOX], True), ([BOX, [1, 2, 30, 41]], True)],
    ids=["another order", "one is missing", "one is larger"],
)
def test_copies_have_the_same_boxes_in_any_order(folder, capsys, second, differ):
    boxes = [(1, BOX), (1, OTHER_BOX), *((2, box) for box in second)]
    content = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in (1, 2)],
        "annotations": [
            {"id": n, "image_id": i, "category_id": 3, "bbox": bbox}
            for n, (i, bbox) in enumerate(boxes)
        ],
        "categories": [{"id": 3, "name": "cat"}],
    }
    folder.picture("1.png")
    folder.picture("2.png")
    folder.convert(CocoSource(folder.root, folder.write("train.json", content)))
    out = capsys.readouterr().out
    assert "  1 pictures are copies of others" in out
    assert ("1 with other labels" in out) == differ
