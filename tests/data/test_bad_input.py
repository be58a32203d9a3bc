"""No picture and no annotation, however broken, ends a conversion or bends a box.

Each row of the tables is one broken thing: what it is, and the named reason under which
it is skipped, or what comes out of it. Beside each lies a good picture, which must
survive. VOC and YOLO labels: sources/test_bad_labels.py.
"""

import os

import numpy as np
import pytest
from PIL import Image

from st_keras.data.sources.coco import CocoSource
from st_keras.data.sources.folders import FolderSource

# 60 x 100, one colour for each quarter: top left, top right, bottom left, bottom right.
QUARTERS = np.array([[[200, 40, 40], [40, 200, 40]], [[40, 40, 200], [200, 200, 40]]])
PIXELS = QUARTERS.astype(np.uint8).repeat(30, axis=0).repeat(50, axis=1)
TURNED = np.rot90(PIXELS)  # 100 x 60, for files that EXIF 6 turns back to PIXELS.


@pytest.fixture
def file(tmp_path):
    """Returns the bytes of a picture file."""

    def encode(image, file_format, exif_orientation=None, **options):
        if not isinstance(image, Image.Image):
            image = Image.fromarray(image)
        if exif_orientation is not None:
            options["exif"] = Image.Exif()
            options["exif"][0x0112] = exif_orientation
        path = tmp_path / "encoded"
        image.save(path, file_format, **options)
        return path.read_bytes()

    return encode


def image(mode):
    return Image.fromarray(PIXELS).convert(mode)


def garbled(content, at, value=b"\0" * 40):
    return content[:at] + value + content[at + len(value) :]


BROKEN_PICTURES = {
    "zero bytes": (lambda file: b"", "empty_file"),
    "one byte": (lambda file: b"\xff", "unreadable_file"),
    "a text": (lambda file: b"Not found", "unreadable_file"),
    "a web page": (lambda file: b"<!DOCTYPE html><html>", "unreadable_file"),
    "a PDF": (lambda file: b"%PDF-1.4\n", "unreadable_file"),
    "an EPS": (lambda file: b"%!PS-Adobe-3.0 EPSF-3.0\n", "unreadable_file"),
    "half a JPEG": (lambda file: file(PIXELS, "JPEG")[:500], "unreadable_file"),
    "a JPEG without its last bytes": (
        lambda file: file(PIXELS, "JPEG")[:-30],
        "unreadable_file",
    ),
    "the start of a JPEG": (lambda file: file(PIXELS, "JPEG")[:20], "unreadable_file"),
    # Pillow forgives it; a training run would stop at it.
    "a JPEG that only TensorFlow minds": (
        lambda file: garbled(file(PIXELS, "JPEG"), -60, b"\xff\xec"),
        "unreadable_file",
    ),
    "half a PNG": (lambda file: file(PIXELS, "PNG")[:100], "unreadable_file"),
    "a PNG with a wrong checksum": (
        lambda file: garbled(file(PIXELS, "PNG"), 60),
        "unreadable_file",
    ),
    "a PNG of no pixels": (
        lambda file: garbled(file(PIXELS, "PNG"), 16, b"\0" * 8),
        "unreadable_file",
    ),
    "half a GIF": (lambda file: file(image("P"), "GIF")[:60], "unreadable_file"),
    "half a BMP": (lambda file: file(PIXELS, "BMP")[:9000], "unreadable_file"),
    "half a WebP": (lambda file: file(PIXELS, "WEBP")[:60], "unreadable_file"),
    "half a TIFF": (lambda file: file(PIXELS, "TIFF")[:9000], "unreadable_file"),
    "a TIFF of floats": (lambda file: file(image("F"), "TIFF"), "unsupported_pixels"),
    "a TIFF of long integers": (
        lambda file: file(image("I"), "TIFF"),
        "unsupported_pixels",
    ),
}


@pytest.mark.parametrize("make, reason", BROKEN_PICTURES.values(), ids=BROKEN_PICTURES)
def test_a_broken_picture_is_skipped_by_name(folder, file, make, reason):
    folder.write("broken.jpg", make(file))
    folder.picture("good.png")
    folder.convert(FolderSource(folder.root))
    assert folder.skipped() == [("broken", "-", reason)]
    assert set(folder.records()) == {"good"}


@pytest.mark.parametrize("make, reason", BROKEN_PICTURES.values(), ids=BROKEN_PICTURES)
def test_strict_stops_at_a_broken_picture(folder, file, make, reason):
    folder.write("broken.jpg", make(file))
    folder.picture("good.png")
    with pytest.raises(ValueError, match=f"broken: {reason}: .*without --strict"):
        folder.convert(FolderSource(folder.root), strict=True)


def sixteen_bits():
    return Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)


def palette_with_transparency():
    picture = image("RGB").quantize(8)
    picture.info["transparency"] = 0
    return picture


# What it is: (how the file is made, largest error of a colour).
ODD_PICTURES = {
    "a PNG named jpg": (lambda file: file(PIXELS, "PNG"), 0),
    "a palette PNG": (lambda file: file(image("RGB").quantize(8), "PNG"), 2),
    "a transparent palette": (lambda file: file(palette_with_transparency(), "PNG"), 2),
    "a PNG with alpha": (lambda file: file(image("RGBA"), "PNG"), 0),
    "a PNG with a transparent colour": (
        lambda file: file(PIXELS, "PNG", transparency=(200, 40, 40)),
        0,
    ),
    "a GIF": (lambda file: file(PIXELS, "GIF"), 2),
    "a BMP": (lambda file: file(PIXELS, "BMP"), 0),
    "a TIFF": (lambda file: file(PIXELS, "TIFF"), 0),
    "a WebP": (lambda file: file(PIXELS, "WEBP"), 14),
    "a JPEG in CMYK": (lambda file: file(image("CMYK"), "JPEG", quality=95), 8),
    "a progressive JPEG": (lambda file: file(PIXELS, "JPEG", progressive=True), 8),
    "a TIFF in CMYK": (lambda file: file(image("CMYK"), "TIFF"), 1),
    "a JPEG that EXIF turns": (
        lambda file: file(TURNED, "JPEG", exif_orientation=6, quality=95),
        8,
    ),
    "a PNG that EXIF turns": (lambda file: file(TURNED, "PNG", exif_orientation=6), 0),
    "a TIFF that turns": (lambda file: file(TURNED, "TIFF", exif_orientation=6), 0),
    "an impossible EXIF turn": (
        lambda file: file(PIXELS, "JPEG", exif_orientation=77, quality=95),
        8,
    ),
    "damaged EXIF": (
        lambda file: garbled(file(PIXELS, "JPEG", exif_orientation=1), 30, b"\xff" * 9),
        8,
    ),
    "a PNG without its end": (lambda file: file(PIXELS, "PNG")[:-12], 0),
    "bytes after the end of a PNG": (lambda file: file(PIXELS, "PNG") + b"\0\0", 0),
    "bytes after the end of a JPEG": (lambda file: file(PIXELS, "JPEG") + b"\0\0", 8),
    "an animation": (
        lambda file: file(
            PIXELS,
            "PNG",
            save_all=True,
            append_images=[Image.fromarray(PIXELS[::-1].copy())],
        ),
        0,
    ),
}


@pytest.mark.parametrize("make, tolerance", ODD_PICTURES.values(), ids=ODD_PICTURES)
def test_an_odd_picture_comes_out_upright_in_its_colours(folder, file, make, tolerance):
    folder.write("odd.jpg", make(file))
    folder.convert(FolderSource(folder.root))
    assert folder.skipped() == []
    record = folder.records()["odd"]
    assert record["size"] == (60, 100)
    # The middle of each quarter.
    seen = record["pixels"][[[15], [45]], [[25, 75]]].astype(int)
    np.testing.assert_allclose(seen, QUARTERS, atol=tolerance)


GREY_PICTURES = {
    "grey": lambda file: file(PIXELS[..., 0], "JPEG", quality=95),
    "grey with alpha": lambda file: file(
        Image.merge("LA", [Image.fromarray(PIXELS[..., 0])] * 2), "PNG"
    ),
    "sixteen bits": lambda file: file(sixteen_bits(), "PNG"),
    "a TIFF of sixteen bits": lambda file: file(sixteen_bits(), "TIFF"),
}


@pytest.mark.parametrize("make", GREY_PICTURES.values(), ids=GREY_PICTURES)
def test_a_grey_picture_has_three_equal_channels_in_training(folder, file, make):
    folder.write("odd.jpg", make(file))
    folder.convert(FolderSource(folder.root))
    seen = folder.records()["odd"]["pixels"][[[15], [45]], [[25, 75]]]
    expected = np.repeat(QUARTERS[..., :1], 3, axis=-1)
    np.testing.assert_allclose(seen, expected, atol=3)


def test_one_bit_per_pixel_is_black_and_white(folder, file):
    folder.write("odd.png", file(Image.fromarray(PIXELS[..., 0] > 100), "PNG"))
    folder.convert(FolderSource(folder.root))
    seen = folder.records()["odd"]["pixels"][[[15], [45]], [[25, 75]], 0]
    assert seen.tolist() == [[255, 0], [0, 255]]


def test_a_link_to_nothing_and_a_link_to_itself_are_skipped(folder):
    folder.picture("good.png")
    os.symlink("nowhere.png", folder.root / "broken.png")
    os.symlink("loop.png", folder.root / "loop.png")
    folder.convert(FolderSource(folder.root))
    assert folder.skipped() == [
        ("broken", "-", "missing_file"),
        ("loop", "-", "unreadable_file"),
    ]


def test_file_names_that_break_lists_are_escaped(folder):
    for name in (b"tab\there.png", b"line\nbreak.png", b"not utf-8 \xff.png"):
        os.makedirs(folder.root, exist_ok=True)
        good = folder.picture("good.png")
        os.link(good, os.path.join(os.fsencode(folder.root), name))
    folder.convert(FolderSource(folder.root))
    assert set(folder.records()) == {
        *("good", "tab\\there", "line\\nbreak", "not utf-8 \\udcff"),
    }
    lines = (folder.output / "train" / "images.tsv").read_text().splitlines()
    assert len(lines) == 4


def coco(folder, annotations, entries=None):
    path = folder.write(
        "train.json",
        {
            "images": entries or [{"id": 1, "file_name": "a.png"}],
            "annotations": annotations,
            "categories": [{"id": 1, "name": "cat"}],
        },
    )
    folder.picture("a.png")
    return folder.convert(CocoSource(folder.root, path))


GOOD_BBOX = [10, 20, 30, 15]
NAN = float("nan")
BROKEN_BBOXES = {
    "no width": ([10, 20, 0, 15], "degenerate"),
    "no height": ([10, 20, 30, 0], "degenerate"),
    "a negative width": ([40, 20, -30, 15], "degenerate"),
    "less than a rounding error": ([40, 20, 0.001, 15], "degenerate"),
    "nan": ([NAN, 20, 30, 15], "not_a_number"),
    "infinite": ([10, 20, float("inf"), 15], "not_a_number"),
    "larger than a float": ([10, 20, 10**400, 15], "not_a_number"),
    "a word": (["left", 20, 30, 15], "not_a_number"),
    "a truth value": ([True, 20, 30, 15], "not_a_number"),
    "nothing": ([None, 20, 30, 15], "not_a_number"),
    "right of the picture": ([100, 20, 30, 15], "outside_image"),
    "above the picture": ([10, -15, 30, 15], "outside_image"),
    "three numbers": ([10, 20, 30], "malformed"),
    "five numbers": ([10, 20, 30, 15, 1], "malformed"),
    "an object": ({"x": 10}, "malformed"),
    "null": (None, "malformed"),
}


@pytest.mark.parametrize("bbox, reason", BROKEN_BBOXES.values(), ids=BROKEN_BBOXES)
def test_a_broken_coco_box_is_skipped_by_name(folder, bbox, reason):
    good = {"id": 1, "image_id": 1, "category_id": 1, "bbox": GOOD_BBOX}
    coco(folder, [good | {"id": 0, "bbox": bbox}, good])
    assert folder.skipped() == [("1", "0", reason)]
    assert folder.records()["1"]["boxes"] == [[20, 10, 35, 40]]


# bbox as left, top, width, height: (box as top, left, bottom, right, noted).
ODD_BBOXES = {
    "left of the edge": ([-10, 20, 30, 15], [20, 0, 35, 20], True),
    "below the edge": ([10, 50, 30, 15], [50, 10, 60, 40], True),
    "around the picture": ([-5, -5, 200, 200], [0, 0, 60, 100], True),
    "a rounding error": ([70.2, 20, 30, 15], [20, 70.2, 35, 100], False),
    "numbers in quotes": (["10", "20", "30", "15"], [20, 10, 35, 40], False),
    "one pixel": ([10, 20, 1, 1], [20, 10, 21, 11], False),
}


@pytest.mark.parametrize("bbox, box, noted", ODD_BBOXES.values(), ids=ODD_BBOXES)
def test_an_odd_coco_box_is_cut_to_the_picture(folder, bbox, box, noted):
    coco(folder, [{"id": 1, "image_id": 1, "category_id": 1, "bbox": bbox}])
    assert folder.records()["1"]["boxes"] == [box]
    assert folder.skipped() == ([("1", "0", "clipped (kept)")] if noted else [])


BROKEN_ANNOTATIONS = {
    "unknown category": ({"category_id": 9}, ("1", "1", "unknown_class")),
    "no category": ({"category_id": None}, ("1", "1", "malformed")),
    "unknown image": ({"image_id": 77}, ("77", "-", "unknown_image")),
}


@pytest.mark.parametrize(
    "change, line", BROKEN_ANNOTATIONS.values(), ids=BROKEN_ANNOTATIONS
)
def test_a_broken_coco_annotation_is_skipped_by_name(folder, change, line):
    good = {"id": 1, "image_id": 1, "category_id": 1, "bbox": GOOD_BBOX}
    coco(folder, [good, good | {"id": 2} | change])
    assert folder.skipped() == [line]
    assert len(folder.records()["1"]["boxes"]) == 1


def test_an_annotation_without_fields_is_skipped(folder):
    coco(folder, [{}, "text"])
    assert folder.skipped() == [("?", "-", "malformed"), ("?", "-", "malformed")]


BROKEN_ENTRIES = {
    "no file name": ({"id": 2}, ("?", "-", "malformed")),
    "no id": ({"file_name": "b.png"}, ("?", "-", "malformed")),
    "a number": (5, ("?", "-", "malformed")),
    "no such file": ({"id": 2, "file_name": "gone.png"}, ("2", "-", "missing_file")),
    "a folder": ({"id": 2, "file_name": "."}, ("2", "-", "unreadable_file")),
    "an id again": (
        {"id": 1, "file_name": "b.png"},
        ("1", "-", "duplicate_image_id"),
    ),
    "a file again": ({"id": 2, "file_name": "a.png"}, ("2", "-", "duplicate_file")),
    "another size": (
        {"id": 2, "file_name": "b.png", "height": 30, "width": 50},
        ("2", "-", "size_mismatch"),
    ),
}


@pytest.mark.parametrize("entry, line", BROKEN_ENTRIES.values(), ids=BROKEN_ENTRIES)
def test_a_broken_coco_image_is_skipped_by_name(folder, entry, line):
    folder.picture("b.png")
    coco(folder, [], entries=[{"id": 1, "file_name": "a.png"}, entry])
    assert folder.skipped() == [line]
    assert set(folder.records()) == {"1"}


def test_annotations_and_images_without_fields_are_told_apart(folder):
    coco(folder, [{"bbox": GOOD_BBOX}], entries=[{"id": 1, "file_name": "a.png"}, {}])
    assert folder.skipped() == [("?", "-", "malformed")] * 2


# A file of 100 x 60 pixels that EXIF shows as 60 x 100; the size that the JSON states.
@pytest.mark.parametrize(
    "height, width, box",
    [
        # As shown: the box is where it says, y 20 to 35, x 10 to 40.
        (60, 100, [20, 10, 35, 40]),
        # As stored: x 10 to 40 of 60 become the rows, y 20 to 35 count from the right.
        (100, 60, [10, 65, 40, 80]),
    ],
)
def test_boxes_follow_the_size_their_file_states(folder, file, height, width, box):
    folder.write("turned.jpg", file(TURNED, "JPEG", exif_orientation=6))
    entry = {"id": 2, "file_name": "turned.jpg", "height": height, "width": width}
    bbox = {"id": 1, "image_id": 2, "category_id": 1, "bbox": GOOD_BBOX}
    coco(folder, [bbox], entries=[entry])
    record = folder.records()["2"]
    assert record["size"] == (60, 100)
    assert record["boxes"] == [box]
