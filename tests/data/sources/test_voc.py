"""What reading VOC folders promises."""

import pytest

from st_keras.data.sources.voc import VocSource


def box(name="cat", ymin=3, xmin=2, ymax=30, xmax=50):
    return (
        f"<object><name>{name}</name><difficult>1</difficult><bndbox>"
        f"<xmin>{xmin}</xmin><ymin>{ymin}</ymin>"
        f"<xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
    )


@pytest.fixture
def voc(folder):
    """Adds pictures with their XML, 60 x 100."""

    def add(stem, *objects, size="<width>100</width><height>60</height>"):
        folder.picture(f"JPEGImages/{stem}.png")
        xml = f"<annotation><size>{size}</size>{''.join(objects)}</annotation>"
        folder.write(f"Annotations/{stem}.xml", xml)
        return folder

    return add


def test_pixels_count_from_1_and_the_last_is_inside(voc):
    # xmin 1 is the left edge 0; xmax 100 the right edge 100 of a picture 100 wide.
    out = voc("a", box(ymin=3, xmin=1, ymax=30, xmax=100))
    out.convert(VocSource(out.root))
    assert out.records()["a"]["boxes"] == [[2, 0, 30, 100]]
    assert out.skipped() == []


def test_zero_based_boxes_are_taken_as_edges(voc):
    out = voc("a", box(ymin=3, xmin=0, ymax=30, xmax=50))
    out.convert(VocSource(out.root, voc_zero_based=True))
    assert out.records()["a"]["boxes"] == [[3, 0, 30, 50]]
    assert out.skipped() == []


def test_zero_based_boxes_without_the_flag_leave_a_trace(voc):
    out = voc("a", box(xmin=0))
    out.convert(VocSource(out.root))
    assert out.skipped() == [("a", "0", "clipped (kept)")]


def test_equal_ends_are_degenerate_although_a_pixel_could_lie_between(voc):
    out = voc("a", box(xmin=20, xmax=20), box(ymin=9, ymax=9), box())
    out.convert(VocSource(out.root))
    assert len(out.records()["a"]["boxes"]) == 1
    assert out.skipped() == [("a", "0", "degenerate"), ("a", "1", "degenerate")]


def test_an_object_that_repeats_another_is_listed(voc):
    # Another class at the same place, and another place, are other objects.
    out = voc("a", box(), box("dog"), box(xmax=51), box(), box(" cat ", xmax="50.0"))
    out.convert(VocSource(out.root))
    assert out.records()["a"]["texts"] == ["cat", "dog", "cat"]
    assert out.skipped() == [
        ("a", "3", "duplicate_annotation"),
        ("a", "4", "duplicate_annotation"),
    ]


def test_classes_are_those_of_all_splits_sorted(voc, folder):
    voc("a", box("dog"))
    voc("b", box("cat"), box(" bird "))
    folder.write("ImageSets/Main/train.txt", "a\n")
    folder.write("ImageSets/Main/test.txt", "b\n")
    source = VocSource(folder.root)
    assert source.class_names == ("bird", "cat", "dog")
    assert source.splits == ("train", "test")
    folder.convert(source)
    assert folder.records("train")["a"]["labels"] == [3]
    assert folder.records("test")["b"]["labels"] == [2, 1]


def test_chosen_classes_leave_the_others_out_by_name(voc):
    out = voc("a", box("dog"), box("cat"))
    out.convert(VocSource(out.root, classes=["cat"]))
    assert out.records()["a"]["labels"] == [1]
    assert out.skipped() == [("a", "0", "unknown_class")]


def test_classes_may_be_the_lines_of_a_file(voc):
    out = voc("a", box("dog"), box("cat"))
    path = out.write("classes.txt", "\ufeffcat\r\n\r\ndog\r\n")
    source = VocSource(out.root, classes=[str(path)])
    assert source.class_names == ("cat", "dog")
    path.write_text("# none\n")
    with pytest.raises(ValueError, match="classes.txt: no name in it"):
        VocSource(out.root, classes=[str(path)])


def test_parts_of_an_object_are_no_objects(voc):
    head = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    out = voc("a", box("person").replace("</object>", f"{head}</object>"))
    source = VocSource(out.root)
    out.convert(source)
    assert source.class_names == ("person",)
    assert len(out.records()["a"]["boxes"]) == 1


def test_trainval_and_sets_of_one_class_are_converted_only_when_chosen(voc, folder):
    voc("a", box("cat"))
    for name in ("train", "val", "trainval", "cat_train", "cat_trainval"):
        folder.write(f"ImageSets/Main/{name}.txt", "a -1\n")
    source = VocSource(folder.root)
    assert source.splits == ("train", "val")
    folder.convert(source, split_names=["trainval", "cat_train"])
    assert folder.records("trainval").keys() == folder.records("cat_train").keys()


def test_a_trainval_with_pictures_of_its_own_is_a_split(voc, folder):
    for stem in "abc":
        voc(stem, box())
    for name, lines in {"train": "a\n", "val": "b\n", "trainval": "b\nc\n"}.items():
        folder.write(f"ImageSets/Main/{name}.txt", lines)
    assert VocSource(folder.root).splits == ("train", "val", "trainval")


def test_lines_of_a_set_are_found_in_every_spelling(voc, folder):
    for stem in ("a b 1", "c", "d", "ünï/e"):
        voc(stem, box())
    lines = "\ufeffa b 1\r\nc  1\r\nd.png -1\r\n\r\nünï/e\r\n"
    folder.write("ImageSets/Main/train.txt", lines)
    folder.convert(VocSource(folder.root))
    assert set(folder.records()) == {"a b 1", "c", "d", "ünï/e"}
    assert folder.skipped() == []


def test_sets_of_a_class_that_is_left_out_are_no_splits(voc, folder):
    voc("a", box("cat"), box("dog"))
    for name in ("train", "cat_train", "dog_train"):
        folder.write(f"ImageSets/Main/{name}.txt", "a\n")
    assert VocSource(folder.root, classes=["cat"]).splits == ("train",)


def test_without_sets_every_picture_is_for_training(voc):
    voc("a", box())
    out = voc("b", box())
    out.convert(VocSource(out.root))
    assert set(out.records()) == {"a", "b"}


def test_an_unknown_split_names_the_known_ones(voc, folder):
    voc("a", box())
    folder.write("ImageSets/Main/train.txt", "a\n")
    with pytest.raises(ValueError, match="must be from train, got nope"):
        folder.convert(VocSource(folder.root), split_names=["nope"])


def test_a_folder_that_is_not_voc_says_what_is_missing(folder):
    folder.picture("JPEGImages/a.png")
    with pytest.raises(ValueError, match="VOC folder.*no Annotations"):
        VocSource(folder.root)


def test_of_two_pictures_with_one_stem_the_xml_chooses(voc, folder):
    voc("a", "<filename>a.bmp</filename>")
    folder.picture("JPEGImages/a.bmp")
    folder.convert(VocSource(folder.root))
    assert folder.records()["a"]["filename"] == "a.bmp"


def test_upper_case_extensions_are_found(voc, folder):
    voc("a", box())
    for name in ("JPEGImages/a.png", "Annotations/a.xml"):
        path = folder.root / name
        path.rename(path.with_suffix(path.suffix.upper()))
    folder.convert(VocSource(folder.root))
    assert len(folder.records()["a"]["boxes"]) == 1


def test_a_stated_size_of_zero_states_nothing(voc):
    out = voc("a", box(), size="<width>0</width><height>0</height>")
    out.convert(VocSource(out.root))
    assert len(out.records()["a"]["boxes"]) == 1


def test_without_lists_a_label_of_an_unknown_picture_is_skipped_by_name(voc):
    out = voc("a", box())
    voc("b", box())
    (out.root / "JPEGImages" / "b.png").unlink()
    out.convert(VocSource(out.root))
    assert set(out.records()) == {"a"}
    assert out.skipped() == [("b", "-", "missing_file")]


@pytest.mark.parametrize("listed", ["", "a\nb\nc.mov\n"])
def test_pictures_of_other_kinds_are_listed_as_such(voc, listed):
    voc("a", box())
    out = voc("b", box())
    (out.root / "JPEGImages" / "b.png").rename(out.root / "JPEGImages" / "b.heic")
    out.write("JPEGImages/c.mov", b"...")
    out.write("JPEGImages/a.json", b"...")
    if listed:
        out.write("ImageSets/Main/train.txt", listed)
    out.convert(VocSource(out.root))
    assert set(out.records()) == {"a"}
    assert out.skipped() == [(stem, "-", "unknown_extension") for stem in "bc"]
