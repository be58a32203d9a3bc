"""No broken XML and no broken line of a YOLO file ends a conversion or bends a box.

Each row of the tables is one broken thing and the named reason under which it is
skipped. Beside each lies a good one, which must survive. Pictures are 60 x 100.
"""

import pytest

from st_keras.data.sources.voc import VocSource
from st_keras.data.sources.yolo import YoloSource

XML_BOX = (
    "<object><name>cat</name><bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax>"
    "<ymax>35</ymax></bndbox></object>"
)
BROKEN_XML_FILES = {
    "empty": ("", "bad_annotation_file"),
    "cut off": (f"<annotation>{XML_BOX}", "bad_annotation_file"),
    "a web page": ("<html></html>", "bad_annotation_file"),
    "an unknown encoding": (
        '<?xml version="1.0" encoding="klingon"?><annotation/>',
        "bad_annotation_file",
    ),
    "another size": (
        "<annotation><size><width>50</width><height>30</height></size></annotation>",
        "size_mismatch",
    ),
}


@pytest.mark.parametrize("xml, reason", BROKEN_XML_FILES.values(), ids=BROKEN_XML_FILES)
def test_a_broken_xml_skips_its_picture_by_name(folder, xml, reason):
    for stem, content in (
        ("bad", xml),
        ("good", f"<annotation>{XML_BOX}</annotation>"),
    ):
        folder.picture(f"JPEGImages/{stem}.png")
        folder.write(f"Annotations/{stem}.xml", content)
    folder.convert(VocSource(folder.root))
    assert folder.skipped() == [("bad", "-", reason)]
    assert folder.records()["good"]["boxes"] == [[20, 10, 35, 40]]


BROKEN_XML_OBJECTS = {
    "no name": (XML_BOX.replace("<name>cat</name>", ""), "malformed"),
    "an empty name": (XML_BOX.replace("cat", " "), "malformed"),
    "no box": ("<object><name>cat</name></object>", "malformed"),
    "no right edge": (XML_BOX.replace("<xmax>40</xmax>", ""), "malformed"),
    "an empty edge": (XML_BOX.replace("40", ""), "not_a_number"),
    "a decimal comma": (XML_BOX.replace("40", "40,5"), "not_a_number"),
    "nan": (XML_BOX.replace("40", "nan"), "not_a_number"),
    "equal edges": (XML_BOX.replace("40", "11"), "degenerate"),
    "swapped edges": (XML_BOX.replace("40", "5"), "degenerate"),
    "below the picture": (
        XML_BOX.replace("21", "61").replace("35", "70"),
        "outside_image",
    ),
}


@pytest.mark.parametrize(
    "xml, reason", BROKEN_XML_OBJECTS.values(), ids=BROKEN_XML_OBJECTS
)
def test_a_broken_voc_object_is_skipped_by_name(folder, xml, reason):
    folder.picture("JPEGImages/a.png")
    folder.write("Annotations/a.xml", f"<annotation>{xml}{XML_BOX}</annotation>")
    folder.convert(VocSource(folder.root))
    assert folder.skipped() == [("a", "0", reason)]
    assert folder.records()["a"]["boxes"] == [[20, 10, 35, 40]]


def test_a_voc_set_that_lists_too_much_names_each_line(folder):
    for stem in ("a", "no_xml"):
        folder.picture(f"JPEGImages/{stem}.png")
    folder.write("Annotations/a.xml", "<annotation/>")
    folder.write("Annotations/no_picture.xml", "<annotation/>")
    folder.write("ImageSets/Main/train.txt", "a\nno_xml\nno_picture\na\nnothing -1\n")
    folder.convert(VocSource(folder.root))
    assert folder.skipped() == [
        ("a", "-", "duplicate_image_id"),
        ("no_picture", "-", "missing_file"),
        ("no_xml", "-", "missing_file"),
        ("nothing", "-", "missing_file"),
    ]


YOLO_LINE = "0 0.3 0.5 0.2 0.4"  # y 18 to 42, x 20 to 40.
BROKEN_YOLO_LINES = {
    "one column": ("0", "malformed"),
    "four columns": ("0 0.3 0.5 0.2", "malformed"),
    "six columns, as predictions have": ("0 0.3 0.5 0.2 0.4 0.9", "malformed"),
    "half a point": ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "malformed"),
    "class out of range": ("1 0.3 0.5 0.2 0.4", "unknown_class"),
    "a negative class": ("-1 0.3 0.5 0.2 0.4", "unknown_class"),
    "a class by name": ("cat 0.3 0.5 0.2 0.4", "unknown_class"),
    "half a class": ("0.5 0.3 0.5 0.2 0.4", "unknown_class"),
    "nan": ("0 nan 0.5 0.2 0.4", "not_a_number"),
    "a nan in a polygon": ("0 0.1 0.1 0.2 nan 0.3 0.3", "not_a_number"),
    "decimal commas": ("0 0,3 0,5 0,2 0,4", "not_a_number"),
    "no width": ("0 0.3 0.5 0 0.4", "degenerate"),
    "a negative height": ("0 0.3 0.5 0.2 -0.4", "degenerate"),
    "a flat polygon": ("0 0.1 0.2 0.3 0.2 0.5 0.2", "degenerate"),
    "pixels instead of shares": ("0 30 30 20 24", "outside_image"),
}


@pytest.mark.parametrize(
    "line, reason", BROKEN_YOLO_LINES.values(), ids=BROKEN_YOLO_LINES
)
def test_a_broken_yolo_line_is_skipped_by_name(folder, line, reason):
    folder.write("classes.txt", "cat\n")
    folder.picture("images/a.png")
    folder.write("labels/a.txt", f"{line}\n{YOLO_LINE}\n")
    folder.convert(YoloSource(folder.root))
    assert folder.skipped() == [("images/a", "0", reason)]
    assert folder.records()["images/a"]["boxes"] == [[18, 20, 42, 40]]


def test_a_label_file_that_is_no_text_skips_its_picture(folder):
    folder.write("classes.txt", "cat\n")
    for stem, content in (("a", b"\xff\xfe0\0"), ("b", YOLO_LINE)):
        folder.picture(f"images/{stem}.png")
        folder.write(f"labels/{stem}.txt", content)
    folder.convert(YoloSource(folder.root))
    assert folder.skipped() == [("images/a", "-", "bad_annotation_file")]
    assert set(folder.records()) == {"images/b"}


def test_a_listed_picture_that_is_missing_is_skipped(folder):
    folder.write("data.yaml", "names: [cat]\ntrain: train.txt\n")
    folder.write("train.txt", "images/a.png\r\nimages/gone.png\r\nimages/a.png\r\n")
    folder.picture("images/a.png")
    folder.write("labels/a.txt", YOLO_LINE)
    folder.convert(YoloSource(folder.root))
    reasons = {reason for _, _, reason in folder.skipped()}
    assert reasons == {"missing_file", "duplicate_image_id"}
