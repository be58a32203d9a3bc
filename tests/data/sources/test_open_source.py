"""What the list of sources and the flags of tools/make_records.py promise."""

import inspect
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from st_keras.data.images import encode_png
from st_keras.data.sources import SOURCES, open_source

TOOL = pathlib.Path(__file__).parents[3] / "tools" / "make_records.py"


def test_every_source_and_each_of_its_options_is_a_flag():
    run = subprocess.run(
        [sys.executable, TOOL, "--help"], capture_output=True, text=True
    )
    assert f"--source:<{'|'.join(SOURCES)}>" in "".join(run.stdout.split())
    for source in SOURCES.values():
        for option in inspect.signature(source).parameters:
            assert f"--{option}:" in run.stdout or f"--[no]{option}:" in run.stdout


def test_options_reach_their_source(folder):
    folder.picture("a/x.png", height=2, width=3)
    folder.write("b/x.png", encode_png(np.full([2, 3], 5, np.uint8)))
    options = {"images": folder.root / "a", "masks": folder.root / "b"}
    source = open_source(
        "masks", **options, classes=["sky"], ignore=["5"], split="val", seed=None
    )
    assert source.label_map_names == ("sky",)
    assert folder.convert(source)["val"].ignored_pixels == 6


def test_what_lies_beside_the_splits_is_named(folder, capsys):
    folder.write("classes.txt", "cat\ndog\n")
    for name in ("train/a", "val/b", "batch2/c", ".cache/d", "e"):
        folder.picture(f"images/{name}.png")
        folder.write(f"labels/{name}.txt", "1 0.3 0.5 0.2 0.4\n")
    source = open_source("yolo", images=folder.root)
    unread = [str(folder.root / "images" / name) for name in ("batch2", "e.png")]
    assert list(source.unread) == unread
    assert f"Not read, as it is in no split: {unread[0]}, " in capsys.readouterr().out
    (folder.root / "images" / "train").rename(folder.root / "images" / "one")
    (folder.root / "images" / "val").rename(folder.root / "images" / "two")
    # All of `images` is one split now.
    assert not open_source("yolo", images=folder.root).unread
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    "kind, options, message",
    [
        ("masks", {"images": ".", "masks": "."}, "`--source masks` needs `--classes`"),
        ("masks", {"images": "."}, "`--source masks` needs `--masks`"),
        ("voc", {"images": ".", "masks": "."}, "`--masks` is not for `--source voc`"),
        (
            "voc_segmentation",
            {"images": ".", "ignore": ["1"]},
            "`--ignore` is not for `--source voc_segmentation`, which takes --images",
        ),
        (
            "coco_segmentation",
            {"images": "."},
            "`--source coco_segmentation` needs `--annotations`",
        ),
        ("cocoo", {"images": "."}, "`--source` must be one of coco, .*, got 'cocoo'"),
    ],
)
def test_options_that_are_missing_or_not_for_a_kind_are_named(kind, options, message):
    with pytest.raises(ValueError, match=message):
        open_source(kind, **options)
