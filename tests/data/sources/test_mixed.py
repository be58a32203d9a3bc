"""What the order of records promises where pictures are found by name."""

import pytest

from st_keras.data.sources.class_folders import ClassFolderSource
from st_keras.data.sources.folders import FolderSource
from st_keras.data.sources.masks import MaskSource
from st_keras.data.sources.yolo import YoloSource

NAMES = [f"{group}/{number:02d}" for group in ("ant", "bee") for number in range(20)]


def folder_of_classes(folder):
    for name in NAMES:
        folder.picture(f"images/{name}.png")
    return ClassFolderSource(folder.root / "images")


def folder_of_pictures(folder):
    folder_of_classes(folder)
    return FolderSource(folder.root / "images")


def folder_with_masks(folder):
    folder_of_classes(folder)
    for name in NAMES:
        folder.picture(f"masks/{name}.png")
    return MaskSource(folder.root / "images", folder.root / "masks", ["a"])


def folder_with_boxes(folder):
    for name in NAMES:
        folder.picture(f"images/train/{name}.png")
        folder.write(f"labels/train/{name}.txt", "0 0.5 0.5 0.2 0.2")
    return YoloSource(folder.root, classes=["thing"])


@pytest.mark.parametrize(
    "make",
    [folder_of_classes, folder_of_pictures, folder_with_masks, folder_with_boxes],
)
def test_neighbours_by_name_are_apart(folder, make):
    source = make(folder)
    ids = [item.image_id for item in source.items("train")]
    assert sorted(i[-6:] for i in ids) == NAMES
    # By name, the first half would be ants alone; drawn at random, 10 of 20 with a
    # standard deviation of 20 * sqrt(1/2 * 1/2 / 20 * 20/39) = 1.6.
    assert 5 <= sum("ant" in i for i in ids[:20]) <= 15
    assert ids == [item.image_id for item in make(folder).items("train")]


def test_records_are_written_in_that_order(folder):
    source = folder_of_classes(folder)
    folder.convert(source)
    ids = [item.image_id for item in source.items("train")]
    assert list(folder.records()) == ids != NAMES
