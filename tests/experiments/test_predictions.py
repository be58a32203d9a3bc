"""What `predict_files` promises to somebody with pictures of their own."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from st_keras.data import drawing
from st_keras.experiments.predictions import format_summary, predict_files
from st_keras.runtime.restored import restore_run
from st_keras.types import LabelMap
from tests.docs.pages import blocks

HEIGHT_PX, WIDTH_PX = 80, 160
ORIENTATION_TAG, QUARTER_TURN = 0x0112, 6


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Four pictures in two folders, and two files that are none."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 255, [HEIGHT_PX, WIDTH_PX, 3], np.uint8)
    picture = Image.fromarray(noise)
    (folder / "b").mkdir()
    picture.save(folder / "a.png")
    picture.convert("CMYK").save(folder / "b" / "a.jpg")
    picture.convert("L").save(folder / "b" / "grey.tif")
    exif = picture.getexif()
    exif[ORIENTATION_TAG] = QUARTER_TURN
    picture.save(folder / "b" / "turned.jpg", exif=exif)
    (folder / "notes.txt").write_text("no picture")
    (folder / "b" / "cut.jpg").write_bytes((folder / "b" / "a.jpg").read_bytes()[:900])
    picture.save(folder / "b" / "garbled.jpg")
    content = (folder / "b" / "garbled.jpg").read_bytes()
    # Pillow forgives that and TensorFlow does not.
    garbled = content[:-60] + b"\xff\xec" + content[-58:]
    (folder / "b" / "garbled.jpg").write_bytes(garbled)
    return folder


@pytest.fixture(scope="module")
def predicted(cup_run, photos, tmp_path_factory):
    output = tmp_path_factory.mktemp("predicted")
    found = predict_files(cup_run, f"{photos}/**/*", str(output), min_score=0.4)
    return output, found


def test_every_readable_picture_is_listed_at_its_upright_size(photos, predicted):
    _, found = predicted
    sizes = {i["file_name"]: (i["height"], i["width"]) for i in found["images"]}
    assert sizes == {
        f"{photos}/a.png": (HEIGHT_PX, WIDTH_PX),
        f"{photos}/b/a.jpg": (HEIGHT_PX, WIDTH_PX),
        f"{photos}/b/grey.tif": (HEIGHT_PX, WIDTH_PX),
        f"{photos}/b/turned.jpg": (WIDTH_PX, HEIGHT_PX),
    }


def test_boxes_are_in_pixels_of_the_file_as_coco_has_them(predicted):
    _, found = predicted
    sizes = {i["id"]: (i["height"], i["width"]) for i in found["images"]}
    seen = {number: [0.0, 0.0] for number in sizes}
    for row in found["annotations"]:
        x, y, width, height = row["bbox"]
        far = seen[row["image_id"]]
        far[:] = max(far[0], y + height), max(far[1], x + width)
        assert x >= 0 and y >= 0
    # The network sees 64 px; an anchor at each border is cut there.
    for number, far in seen.items():
        np.testing.assert_allclose(far, sizes[number], atol=0.02)


def test_the_file_is_one_that_pycocotools_reads(predicted):
    output, found = predicted
    coco = COCO(str(output / "predictions.json"))
    assert len(coco.getAnnIds()) == len(found["annotations"]) > 0
    (row,) = coco.loadAnns(coco.getAnnIds()[:1])
    assert row["area"] == pytest.approx(row["bbox"][2] * row["bbox"][3], abs=0.01)


def test_categories_are_the_labels_of_the_records(predicted):
    _, found = predicted
    assert found["categories"] == [
        {"id": 1, "name": "ball"},
        {"id": 2, "name": "cup"},
        {"id": 3, "name": "kite"},
    ]
    assert {row["category_id"] for row in found["annotations"]} == {2}
    assert {row["score"] for row in found["annotations"]} == {0.5}


def test_drawings_keep_names_folders_and_resolution(predicted):
    output, _ = predicted
    # 80 px are enlarged four times, to the 320 that text needs.
    sizes = {
        name: Image.open(output / name).size
        for name in ("a.png", "b/a.jpg", "b/grey.tif.png", "b/turned.jpg")
    }
    wide, tall = (4 * WIDTH_PX, 4 * HEIGHT_PX), (4 * HEIGHT_PX, 4 * WIDTH_PX)
    assert sizes == {
        "a.png": wide,
        "b/a.jpg": wide,
        "b/grey.tif.png": wide,
        "b/turned.jpg": tall,
    }


def test_what_is_no_picture_is_counted_and_listed(predicted):
    output, found = predicted
    assert found["skipped"] == {"unreadable_file": 3}
    listed = (output / "skipped.txt").read_text()
    assert "notes.txt" in listed and "cut.jpg" in listed


@pytest.mark.parametrize(("kind", "made"), [("cup", "predicted"), ("road", "roads")])
def test_a_run_sees_in_pixels_what_it_sees_in_their_file(kind, made, photos, request):
    _, found = request.getfixturevalue(made)
    run = restore_run(request.getfixturevalue(f"{kind}_run"), min_score=0.4)
    rows = run.task.annotations(run.predict(np.asarray(Image.open(photos / "a.png"))))
    (number,) = [i["id"] for i in found["images"] if i["drawing"] == "a.png"]
    wanted = [row for row in found["annotations"] if row["image_id"] == number]
    assert rows and [{"image_id": number, **row} for row in rows] == [
        {name: value for name, value in row.items() if name != "id"} for row in wanted
    ]


def test_the_lines_of_the_quick_start_run(cup_run, photos, capsys):
    (block,) = [b for b in blocks("py") if b.page.name == "quick_start.md"]
    text = block.text.replace("runs/demo/student_1", cup_run)
    exec(text.replace("photo.jpg", str(photos / "b" / "turned.jpg")), {})
    assert capsys.readouterr().out.startswith("['cup', 'cup'")


@pytest.mark.parametrize(
    "image", [np.zeros([1, 6, 8, 3], np.uint8), np.zeros([6, 8]), np.ones([6, 8, 3])]
)
def test_what_is_no_picture_in_pixels_is_told_with_what_it_is(cup_run, image):
    is_what = re.escape(f"got {image.dtype} of shape {image.shape}")
    with pytest.raises(ValueError, match=rf"`image` must be \[H, W, 3\].*{is_what}"):
        restore_run(cup_run).predict(image)


def test_the_file_holds_what_is_returned(predicted):
    output, found = predicted
    assert json.loads((output / "predictions.json").read_text()) == found


def test_a_line_sums_it_up(predicted):
    _, found = predicted
    boxes = len(found["annotations"])
    assert format_summary(found, "out") == (
        f"4 pictures, {boxes} labels, 3 skipped (3 unreadable_file; see "
        "out/skipped.txt): out"
    )


@pytest.fixture(scope="module")
def roads(road_run, photos, tmp_path_factory):
    output = tmp_path_factory.mktemp("roads")
    found = predict_files(road_run, f"{photos}/**/*", str(output))
    return output, found


def test_a_label_map_lies_beside_its_drawing_at_the_size_of_the_picture(roads):
    output, found = roads
    assert {i["drawing"]: i["label_map"] for i in found["images"]} == {
        "a.png": "a_labels.png",
        "b/a.jpg": "b/a_labels.png",
        "b/grey.tif.png": "b/grey.tif_labels.png",
        "b/turned.jpg": "b/turned_labels.png",
    }
    for entry in found["images"]:
        label_map = Image.open(output / entry["label_map"])
        assert label_map.mode == "L"
        assert np.shape(label_map) == (entry["height"], entry["width"])
        assert np.unique(label_map).tolist() == [1]


def test_a_map_is_drawn_over_its_picture_with_a_legend(roads, photos, street_records):
    output, _ = roads
    image = np.asarray(Image.open(photos / "a.png"))
    ids = np.ones(image.shape[:2], np.uint8)
    expected = drawing.draw_labels(image, LabelMap(ids, ids), ("other", "road"))
    np.testing.assert_array_equal(np.asarray(Image.open(output / "a.png")), expected)
    assert expected.shape[0] > 4 * HEIGHT_PX and expected.shape[1] == 4 * WIDTH_PX


def test_a_region_is_an_annotation_as_pycocotools_reads_it(roads):
    output, found = roads
    coco = COCO(str(output / "predictions.json"))
    assert [c["id"] for c in found["categories"]] == [0, 1, 2]
    assert len(found["annotations"]) == 4
    for row in coco.loadAnns(coco.getAnnIds()):
        picture = coco.loadImgs(row["image_id"])[0]
        height, width = picture["height"], picture["width"]
        assert row["category_id"] == 1
        assert row["score"] == pytest.approx(0.6, abs=1 / 255)
        assert row["bbox"] == [0, 0, width, height]
        assert row["area"] == height * width
        np.testing.assert_array_equal(coco.annToMask(row), np.ones([height, width]))


def test_a_line_sums_up_regions_too(roads):
    _, found = roads
    assert format_summary(found | {"skipped": {}}, "out") == (
        "4 pictures, 4 labels, 0 skipped: out"
    )


def test_no_drawing_and_no_map_overwrites_another(road_run, tmp_path):
    sizes = {"a.jpg": (70, 90), "a.png": (80, 96), "A_labels.png": (66, 72)}
    sizes |= {"t.tif": (50, 60), "t.tif.png": (52, 62)}
    (tmp_path / "in").mkdir()
    for name, (height, width) in sizes.items():
        Image.new("RGB", (width, height)).save(tmp_path / "in" / name)
    found = predict_files(road_run, f"{tmp_path}/in/*", str(tmp_path / "out"))
    written = [i[what] for i in found["images"] for what in ("drawing", "label_map")]
    assert len({name.casefold() for name in written}) == 2 * len(sizes)
    for entry in found["images"]:
        label_map = Image.open(tmp_path / "out" / entry["label_map"])
        assert np.shape(label_map) == sizes[entry["file_name"].rpartition("/")[2]]
        # Drawings have the names of their files where they can.
        assert entry["file_name"].endswith((entry["drawing"], "t.tif"))


def test_weak_detections_are_left_out(cup_run, photos, tmp_path):
    found = predict_files(cup_run, f"{photos}/a.png", str(tmp_path), min_score=0.6)
    assert found["annotations"] == []
    assert len(found["images"]) == 1


def test_no_file_is_an_error_that_says_what_to_write(cup_run, photos, tmp_path):
    with pytest.raises(ValueError, match=r"`images`.*none for '.*\.gif'.*in quotes"):
        predict_files(cup_run, f"{photos}/*.gif", str(tmp_path))
    with pytest.raises(ValueError, match=r"is a folder: write '.*/b/\*'"):
        predict_files(cup_run, f"{photos}/b", str(tmp_path))


def test_no_readable_file_is_an_error(cup_run, photos, tmp_path):
    with pytest.raises(ValueError, match="none of 1 files is a readable picture"):
        predict_files(cup_run, f"{photos}/*.txt", str(tmp_path))


def test_no_picture_of_the_user_is_overwritten(cup_run, photos):
    with pytest.raises(ValueError, match="`output` must be a folder without"):
        predict_files(cup_run, f"{photos}/b/*.jpg", str(photos))


def test_only_what_an_earlier_call_wrote_is_overwritten(cup_run, photos, tmp_path):
    for _ in range(2):
        predict_files(cup_run, f"{photos}/a.png", str(tmp_path))
    mask = tmp_path / "b" / "a.jpg"
    mask.parent.mkdir()
    mask.write_bytes(b"an hour of work")
    with pytest.raises(ValueError, match="`output` has .*/b/a.jpg, which no earlier"):
        predict_files(cup_run, f"{photos}/**/*", str(tmp_path))
    assert mask.read_bytes() == b"an hour of work"


@pytest.mark.parametrize(
    "names, mask",
    [
        (["a.jpg"], "a_labels.png"),
        (["a.bmp"], "a.bmp_labels.png"),  # Of its drawing, a.bmp.png.
        (["a.jpg", "a.png"], "a_labels_2.png"),
        (["a.tif", "a.tif.png"], "a.tif_2.png"),  # A drawing.
    ],
)
def test_no_file_is_written_over_that_no_earlier_call_wrote(
    road_run, tmp_path, names, mask
):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    for name in names:
        Image.new("RGB", (90, 70)).save(tmp_path / "in" / name)
    (tmp_path / "out" / mask).write_bytes(b"an hour of work")
    given = (road_run, f"{tmp_path}/in/*", str(tmp_path / "out"))
    first, second = (predict_files(*given) for _ in range(2))
    assert (tmp_path / "out" / mask).read_bytes() == b"an hour of work"
    assert first == second
    written = [i[what] for i in first["images"] for what in ("drawing", "label_map")]
    assert mask not in written and len(set(written)) == 2 * len(names)


def test_a_score_is_a_share(cup_run, photos, tmp_path):
    with pytest.raises(ValueError, match=r"`min_score` must be in \[0, 1\), got 30"):
        predict_files(cup_run, f"{photos}/*", str(tmp_path), min_score=30)
