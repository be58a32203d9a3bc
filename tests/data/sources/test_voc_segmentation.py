"""What reading the masks of VOC folders promises."""

import io

import numpy as np
import pytest
from PIL import Image

from st_keras.data.sources.voc_segmentation import VocSegmentationSource

# 2 x 3 with the borders of an object; 15 is person, 20 tvmonitor.
MASK = np.array([[0, 255, 15], [20, 255, 0]], np.uint8)


def palette_png(pixels=MASK):
    image = Image.fromarray(pixels, "P")
    # The colours of VOC's index 0 and of all others alike.
    image.putpalette([0, 0, 0] + [192, 128, 128] * 255)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def voc(folder):
    def add(stem, mask=None, masks="SegmentationClass"):
        folder.picture(f"JPEGImages/{stem}.png", height=2, width=3)
        content = palette_png() if mask is None else mask
        folder.write(f"{masks}/{stem}.png", content)
        return folder

    return add


def stored(folder, image_id, split="train"):
    [encoded] = folder.records(split)[image_id]["label_map"]
    return np.asarray(Image.open(io.BytesIO(encoded))).tolist()


def test_indices_of_the_palette_are_the_classes(voc):
    out = voc("a")
    info = out.convert(VocSegmentationSource(out.root))["train"]
    assert stored(out, "a") == MASK.tolist()
    assert len(info.label_map_names) == 21
    counts = {name: n for name, n in info.pixels_per_class.items() if n}
    assert counts == {"background": 2, "person": 1, "tvmonitor": 1}
    assert info.ignored_pixels == 2


def test_other_classes_and_other_masks_replace_them(voc):
    voc("a")
    out = voc("a", palette_png(MASK // 10), masks="SegmentationClassAug")
    source = VocSegmentationSource(out.root, "SegmentationClassAug", ["x", "y", "z"])
    # 255 // 10 is 25, which is no class.
    with pytest.raises(ValueError, match="value 25 in 2 pixels"):
        out.convert(source)
    elsewhere = out.root / "SegmentationClass"
    source = VocSegmentationSource(out.root, elsewhere, [f"c{i}" for i in range(21)])
    assert out.convert(source)["train"].pixels_per_class["c15"] == 1


def test_classes_may_be_the_lines_of_a_file(voc):
    out = voc("a")
    path = out.write("classes.txt", "sky\nroad\n")
    source = VocSegmentationSource(out.root, classes=[str(path)])
    assert source.label_map_names == ("sky", "road")


def test_lists_are_those_of_segmentation(voc, folder):
    for stem in "abc":
        voc(stem)
    folder.write("ImageSets/Main/other.txt", "c\n")
    for name, lines in {
        "val": "b\n",
        "train": "a\n",
        "trainval": "a\nb\n",
        "trainaug": "a\nc\n",
    }.items():
        folder.write(f"ImageSets/Segmentation/{name}.txt", lines)
    source = VocSegmentationSource(folder.root)
    assert source.splits == ("train", "val", "trainaug")
    folder.convert(source, split_names=["trainaug", "trainval"])
    assert set(folder.records("trainaug")) == {"a", "c"}
    assert set(folder.records("trainval")) == {"a", "b"}


def test_what_has_no_partner_is_listed(voc, folder):
    voc("a")
    folder.picture("JPEGImages/no_mask.png")
    folder.write("SegmentationClass/no_picture.png", palette_png())
    folder.convert(VocSegmentationSource(folder.root))
    assert folder.skipped() == [
        ("no_mask", "-", "missing_file"),
        ("no_picture", "-", "missing_file"),
    ]


def test_a_trainval_with_pictures_of_its_own_is_a_split(voc, folder):
    for stem in "abc":
        voc(stem)
    for name, lines in {"train": "a\n", "val": "b\n", "trainval": "a\nc\n"}.items():
        folder.write(f"ImageSets/Segmentation/{name}.txt", lines)
    source = VocSegmentationSource(folder.root)
    assert source.splits == ("train", "val", "trainval")


def test_files_of_other_kinds_are_listed_as_such(voc, folder):
    voc("a")
    folder.write("JPEGImages/b.heic", b"...")
    folder.picture("JPEGImages/c.png", height=2, width=3)
    folder.write("SegmentationClass/c.npy", b"...")
    folder.convert(VocSegmentationSource(folder.root))
    assert set(folder.records()) == {"a"}
    assert folder.skipped() == [(stem, "-", "unknown_extension") for stem in "bc"]


def test_a_list_may_name_what_is_not_there(voc, folder):
    voc("a")
    folder.write("ImageSets/Segmentation/train.txt", "a\ngone\n")
    folder.convert(VocSegmentationSource(folder.root))
    assert folder.skipped() == [("gone", "-", "missing_file")]


def test_a_mask_of_colours_skips_its_picture(voc, folder):
    buffer = io.BytesIO()
    Image.fromarray(np.stack([MASK] * 3, -1)).save(buffer, "PNG")
    voc("a")
    voc("b", buffer.getvalue())
    folder.convert(VocSegmentationSource(folder.root))
    assert folder.skipped() == [("b", "-", "unsupported_pixels")]


def test_a_folder_without_pictures_or_masks_is_refused(folder):
    folder.picture("a.png")
    with pytest.raises(ValueError, match="VOC folder.*JPEGImages"):
        VocSegmentationSource(folder.root)
    folder.picture("JPEGImages/a.png")
    with pytest.raises(ValueError, match="`masks` must be a folder, got Segm"):
        VocSegmentationSource(folder.root)


def test_more_classes_than_8_bits_hold_are_refused(voc):
    out = voc("a")
    with pytest.raises(ValueError, match="1 to 255 names.* got 256"):
        VocSegmentationSource(out.root, classes=[f"c{i}" for i in range(256)])
