"""What reading a folder of pictures and a folder of masks promises."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from st_keras.data.sources.masks import MaskSource

CLASSES = ["sky", "road", "car"]
# 2 x 3, no two neighbours alike.
MASK = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)


def png(pixels, mode=None, **options):
    image = Image.fromarray(np.asarray(pixels, np.uint8))
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, "PNG", **options)
    return buffer.getvalue()


def grey_of_4_bits(rows):
    """Returns a grey PNG of half a byte per pixel, which Pillow does not write."""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    size = struct.pack(">II5B", len(rows[0]), len(rows), 4, 0, 0, 0, 0)
    packed = [
        b"\0" + bytes((r + [0])[i] << 4 | (r + [0])[i + 1] for i in (0, 2))
        for r in rows
    ]
    pixels = chunk(b"IDAT", zlib.compress(b"".join(packed)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + pixels + chunk(b"IEND", b"")


@pytest.fixture
def masks(folder):
    """Adds pictures of 2 x 3 pixels with masks, and converts them."""

    class Masks:
        def add(self, stem, content=None):
            folder.picture(f"images/{stem}.png", height=2, width=3)
            folder.write(f"masks/{stem}.png", png(MASK) if content is None else content)
            return self

        def source(self, classes=CLASSES, **options):
            images, masks = folder.root / "images", folder.root / "masks"
            return MaskSource(images, masks, classes, **options)

        def convert(self, *args, **options):
            return folder.convert(self.source(*args, **options))

    return Masks()


def stored(folder, image_id="a"):
    [encoded] = folder.records()[image_id]["label_map"]
    image = Image.open(io.BytesIO(encoded))
    assert image.mode == "L"
    return np.asarray(image).tolist()


def test_values_are_class_ids_and_255_is_ignored(masks, folder):
    info = masks.add("a").convert()["train"]
    assert stored(folder) == MASK.tolist()
    assert info.label_map_names == ("sky", "road", "car")
    assert info.class_names == ()
    assert info.pixels_per_class == {"sky": 2, "road": 1, "car": 2}
    assert info.ignored_pixels == 1
    assert folder.skipped() == []


def test_values_to_ignore_become_255(masks, folder):
    masks.add("a", png([[0, 11, 1], [12, 2, 2]])).convert(ignore=["11", "12"])
    assert stored(folder) == [[0, 255, 1], [255, 2, 2]]


def test_a_value_of_no_class_skips_the_picture_and_is_counted(masks, folder):
    masks.add("good").add("bad", png([[0, 3, 9], [9, 2, 2]])).convert()
    assert folder.skipped() == [("bad", "-", "unknown_label_value")]
    text = (folder.output / "train" / "skipped.txt").read_text()
    assert "\tvalue 9 in 2 pixels, value 3 in 1 pixels\n" in text
    assert set(folder.records()) == {"good"}


def test_a_palette_keeps_its_indices(masks, folder):
    image = Image.fromarray(np.where(MASK == 255, 7, MASK).astype(np.uint8), "P")
    # Two entries of one colour, which RGB could not tell apart.
    image.putpalette([9, 9, 9] * 2 + [200, 0, 0] * 6)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    masks.add("a", buffer.getvalue()).convert(ignore=[7])
    assert stored(folder) == MASK.tolist()


def test_few_bits_per_pixel_are_values_too(masks, folder):
    # As Pillow would read them: 0, 17, 34.
    masks.add("a", grey_of_4_bits([[0, 1, 2], [2, 1, 0]]))
    masks.add("b", png(np.array([[0, 255, 0], [255, 0, 0]]), mode="1"))
    masks.convert()
    assert stored(folder, "a") == [[0, 1, 2], [2, 1, 0]]
    assert stored(folder, "b") == [[0, 1, 0], [1, 0, 0]]


def test_sixteen_bits_are_values_too(masks, folder):
    buffer = io.BytesIO()
    Image.fromarray(np.array([[0, 1, 300], [2, 2, 0]], np.uint16)).save(buffer, "PNG")
    masks.add("a", buffer.getvalue()).convert(ignore=[300])
    assert stored(folder) == [[0, 1, 255], [2, 2, 0]]


def jpeg():
    buffer = io.BytesIO()
    Image.fromarray(MASK).save(buffer, "JPEG")
    return buffer.getvalue()


BROKEN_MASKS = {
    "zero bytes": (b"", "empty_file"),
    "a text": (b"Not found", "unreadable_file"),
    "half a PNG": (png(MASK)[:50], "unreadable_file"),
    "a JPEG, whatever it is called": (jpeg(), "unsupported_pixels"),
    "colours": (png(MASK, mode="RGB"), "unsupported_pixels"),
    "of another size": (png(MASK.T), "size_mismatch"),
    "of another value": (png(MASK + 3), "unknown_label_value"),
}


@pytest.mark.parametrize("content, reason", BROKEN_MASKS.values(), ids=BROKEN_MASKS)
def test_a_broken_mask_skips_its_picture_by_name(masks, folder, content, reason):
    masks.add("broken", content).add("good").convert()
    assert folder.skipped() == [("broken", "-", reason)]
    assert set(folder.records()) == {"good"}


@pytest.mark.parametrize("largest", [255, 20])
def test_a_pgm_is_read_if_its_values_are_kept(masks, folder, largest):
    masks.add("a")
    (folder.root / "masks" / "a.png").unlink()
    folder.write("masks/a.pgm", b"P5 3 2 %d " % largest + bytes([0, 1, 2, 2, 1, 0]))
    if largest == 255:
        masks.convert()
        assert stored(folder) == [[0, 1, 2], [2, 1, 0]]
        return
    # Pillow would read 1 of 20 as 13 of 255.
    with pytest.raises(ValueError, match="mask a.pgm: values up to 20, not 255"):
        masks.convert()


def tiff(bits, meaning, pixels):
    """Returns a TIFF of 3 x 2 pixels; `meaning` 0: 0 is white, 1: 0 is black."""
    tags = {256: 3, 257: 2, 258: bits, 259: 1, 262: meaning, 273: 110, 278: 2}
    tags[279] = len(pixels)
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + b"".join(entries)
    return head + struct.pack("<I", 0) + pixels


@pytest.mark.parametrize(
    "name, content, told",
    [
        # A row of three pixels of one bit: 0 1 0, and 0 0 1.
        (
            "a.pbm",
            b"P4 3 2 " + bytes([0b010 << 5, 0b001 << 5]),
            "PBM, whose 1 is black",
        ),
        ("a.tif", tiff(1, 0, bytes([0b010 << 5, 0b001 << 5])), "TIFF whose 0 is white"),
        ("a.tif", tiff(8, 0, bytes([0, 1, 2, 2, 1, 0])), "TIFF whose 0 is white"),
        ("a.tif", tiff(4, 1, bytes([0x01, 0x20, 0x21, 0x00])), "TIFF with 2 or 4 bits"),
    ],
)
def test_a_mask_whose_numbers_pillow_changes_is_refused(
    masks, folder, name, content, told
):
    masks.add("a")
    (folder.root / "masks" / "a.png").unlink()
    folder.write(f"masks/{name}", content)
    with pytest.raises(ValueError, match=f"mask {name}: {told}, is read as other"):
        masks.convert()


def test_a_tiff_of_8_bits_whose_0_is_black_is_read(masks, folder):
    masks.add("a")
    (folder.root / "masks" / "a.png").unlink()
    folder.write("masks/a.tif", tiff(8, 1, bytes([0, 1, 2, 2, 1, 0])))
    masks.convert()
    assert stored(folder) == [[0, 1, 2], [2, 1, 0]]


def test_a_mask_of_an_unknown_kind_is_told_by_its_name(masks, folder):
    buffer = io.BytesIO()
    Image.fromarray(MASK).save(buffer, "WEBP", lossless=True)
    masks.add("broken", buffer.getvalue()).add("good").convert()
    text = (folder.output / "train" / "skipped.txt").read_text()
    assert "\tunreadable_file\tmask broken.png: none of PNG, GIF, " in text
    assert "b'RIFF" in text and "object at" not in text


def test_what_has_no_partner_is_listed(masks, folder):
    masks.add("a").add("x/b")
    (folder.root / "images/a.png").unlink()
    folder.picture("images/lonely.png")
    folder.write("images/notes.txt", "")
    folder.write("masks/colors.txt", "")
    masks.convert()
    assert folder.skipped() == [
        ("a", "-", "missing_file"),
        ("colors.txt", "-", "unknown_extension"),
        ("lonely", "-", "missing_file"),
        ("notes", "-", "unknown_extension"),
    ]
    assert set(folder.records()) == {"x/b"}


def test_a_mask_below_the_pictures_is_no_picture(folder):
    folder.picture("a.png", height=2, width=3)
    folder.write("masks/a.png", png(MASK))
    folder.convert(MaskSource(folder.root, folder.root / "masks", CLASSES))
    assert set(folder.records()) == {"a"}
    assert folder.skipped() == []


def test_of_two_masks_the_png_counts(masks, folder):
    masks.add("a")
    folder.write("masks/a.jpg", jpeg())
    masks.convert()
    assert stored(folder) == MASK.tolist()


def test_masks_of_other_names_are_an_error_that_shows_two(masks, folder):
    folder.picture("images/a.png")
    folder.write("masks/a_L.png", png(MASK))
    with pytest.raises(ValueError, match="same name.*got a_L for a; rename"):
        masks.convert()


def test_one_folder_for_both_is_refused(folder):
    folder.picture("a.png")
    with pytest.raises(ValueError, match="`masks` must be another folder"):
        MaskSource(folder.root, folder.root, CLASSES)


def turned(stem, folder):
    """Writes a picture that is stored 3 x 2 and that EXIF shows as 2 x 3."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros([3, 2, 3], np.uint8)
    folder.write(f"images/{stem}.png", png(pixels, exif=exif))


def test_masks_are_upright_as_their_pictures_are_shown(masks, folder):
    turned("upright", folder)
    folder.write("masks/upright.png", png(MASK))
    turned("as_stored", folder)
    folder.write("masks/as_stored.png", png(np.rot90(MASK)))
    masks.convert()
    assert folder.skipped() == [("as_stored", "-", "size_mismatch")]
    text = (folder.output / "train" / "skipped.txt").read_text()
    assert "mask has 3 x 2 pixels (height x width), the upright picture 2 x 3" in text
    assert folder.records()["upright"]["size"] == (2, 3)
    assert stored(folder, "upright") == MASK.tolist()


def test_a_mask_that_exif_turns_is_turned(masks, folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    masks.add("a", png(np.rot90(MASK), exif=exif)).convert()
    assert stored(folder) == MASK.tolist()


RED, GREEN, DARK = (255, 0, 0), (0, 200, 7), (0, 0, 0)


def test_colours_are_named_by_a_file(masks, folder):
    # Cars have two colours; 255,0,0 is not the value 255.
    path = folder.write(
        "colors.txt",
        "# r,g,b name\n0,200,7 car\n255,0,0 road\n\n1,2,3 car\n0 0 0 Void\n",
    )
    masks.add("a", png([[RED, GREEN, DARK], [(1, 2, 3), GREEN, RED]]))
    info = masks.convert([str(path)])["train"]
    assert info.label_map_names == ("car", "road")
    assert stored(folder) == [[1, 0, 255], [0, 0, 1]]


def test_a_colour_that_the_file_does_not_name_skips_the_picture(masks, folder):
    path = folder.write("colors.txt", "0,200,7 car\n")
    masks.add("bad", png([[RED, GREEN, GREEN], [GREEN, RED, GREEN]]))
    masks.add("good", png([[GREEN] * 3] * 2)).convert([str(path)])
    assert folder.skipped() == [("bad", "-", "unknown_label_value")]
    text = (folder.output / "train" / "skipped.txt").read_text()
    assert "\tcolour 255,0,0 in 2 pixels\n" in text


def split_folders(folder, names):
    for i, name in enumerate(names):
        # Of other heights, so that no two files are the same.
        folder.picture(f"{name}/a.png", height=2 + i, width=3)
        folder.write(f"{name}annot/a.png", png(np.zeros([2 + i, 3])))
    return str(folder.root / "{split}"), str(folder.root / "{split}annot")


def test_a_name_with_both_folders_is_a_split(folder):
    images, masks = split_folders(folder, ["test", "extra", "train"])
    folder.picture("val/a.png")
    source = MaskSource(images, masks, CLASSES)
    # No valannot; and trainannot has no trainannotannot.
    assert source.splits == ("train", "test", "extra")
    assert source.unread == (str(folder.root / "val"),)
    folder.convert(source)
    assert folder.records("test")["a"]["size"] == (2, 3)
    assert folder.records("train")["a"]["size"] == (4, 3)


def test_a_named_split_is_the_only_one(folder):
    images, masks = split_folders(folder, ["test", "train"])
    assert MaskSource(images, masks, CLASSES, split="test").splits == ("test",)
    with pytest.raises(ValueError, match="`images` must be a folder, got .*nope"):
        MaskSource(images, masks, CLASSES, split="nope")


def test_pictures_for_training_and_for_testing_do_not_become_one_split(masks, folder):
    masks.add("train/a").add("test/b").add("extra/c")
    folder.picture("images/valid/d.png")
    folder.write("masks/e.png", png(MASK))
    source = masks.source()
    unread = ("images/valid", "masks/e.png")
    assert source.unread == tuple(str(folder.root / name) for name in unread)
    assert source.splits == ("train", "test", "extra")
    folder.convert(source)
    assert set(folder.records("train")) == {"a"}
    assert set(folder.records("test")) == {"b"}


@pytest.mark.parametrize("splits", [("Test", "Train"), ("training", "validation")])
def test_splits_are_known_by_other_names_too(masks, splits):
    for split in splits:
        masks.add(f"{split}/a")
    assert masks.source().splits == splits


def test_sub_folders_of_other_names_are_one_split(masks, folder):
    masks.add("aachen/a").add("bonn/b").convert()
    assert set(folder.records()) == {"aachen/a", "bonn/b"}


def test_sub_folders_are_one_split_when_it_is_named(masks, folder):
    masks.add("train/a").add("test/b").convert(split="all")
    assert set(folder.records("all")) == {"train/a", "test/b"}


@pytest.mark.parametrize(
    "images, masks, message",
    [
        ("x/{split}", "y", "`{split}` must be in both .* got x/{split} and y"),
        (".", "y/{split}", "`{split}` must be in both"),
        ("{split}", "{split}_no", "no name has both"),
        ("gone/{split}", "{split}", "`images` must be a folder, got gone"),
    ],
)
def test_paths_that_have_no_split_are_refused(
    tmp_path, monkeypatch, images, masks, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(ValueError, match=message):
        MaskSource(images, masks, CLASSES)
