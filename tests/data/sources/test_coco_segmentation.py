"""What reading the masks of COCO's JSON promises."""

import io

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from st_keras.data.skipping import Reason
from st_keras.data.sources import coco_shapes
from st_keras.data.sources.coco_segmentation import CocoSegmentationSource

HEIGHT, WIDTH = 4, 6
NAN = float("nan")
CATEGORIES = [{"id": 90, "name": "dog"}, {"id": 7, "name": "cat"}]  # 7 is value 1.


def box(top, left, bottom, right):
    """Returns the polygon of a rectangle; its corners are x, y."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def annotation(segmentation, category_id=7, **fields):
    return {
        **{"id": 1, "image_id": 5, "category_id": category_id},
        **{"segmentation": segmentation, "iscrowd": 0, **fields},
    }


@pytest.fixture
def coco(folder):
    def convert(*annotations, entries=None, masks=None):
        size = {"height": HEIGHT, "width": WIDTH}
        path = folder.write(
            "train.json",
            {
                "images": entries or [{"id": 5, "file_name": "a.png", **size}],
                "annotations": list(annotations),
                "categories": CATEGORIES,
            },
        )
        folder.picture("images/a.png", HEIGHT, WIDTH)
        source = CocoSegmentationSource(folder.root / "images", path, masks)
        return folder.convert(source)["train"]

    return convert


def stored(folder, image_id="5"):
    [encoded] = folder.records()[image_id]["label_map"]
    return np.asarray(Image.open(io.BytesIO(encoded))).tolist()


def test_a_polygon_covers_the_pixels_between_its_edges(coco, folder):
    # Rows 1 and 2, columns 2 to 4.
    info = coco(annotation(box(1, 2, 3, 5)))
    assert stored(folder) == [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    assert info.label_map_names == ("background", "cat", "dog")
    assert info.pixels_per_class == {"background": 18, "cat": 6, "dog": 0}
    assert folder.skipped() == []


def test_an_object_may_have_several_polygons(coco, folder):
    coco(annotation(box(0, 0, 1, 2) + box(3, 4, 4, 6), category_id=90))
    assert stored(folder)[0] == [2, 2, 0, 0, 0, 0]
    assert stored(folder)[3] == [0, 0, 0, 0, 2, 2]


@pytest.mark.parametrize("small_first", [True, False])
def test_smaller_objects_are_drawn_over_larger_ones(coco, folder, small_first):
    both = [annotation(box(1, 1, 2, 3)), annotation(box(0, 0, 3, 5), category_id=90)]
    coco(*(both if small_first else both[::-1]))
    assert stored(folder) == [
        [2, 2, 2, 2, 2, 0],
        [2, 1, 1, 2, 2, 0],
        [2, 2, 2, 2, 2, 0],
        [0, 0, 0, 0, 0, 0],
    ]


# Down the columns: 5 pixels without, 2 with, 17 without: rows 1 and 2 of column 1.
RUNS = [5, 2, 17]


@pytest.mark.parametrize("counts", [RUNS, "52a0"], ids=["a list", "a string"])
def test_run_lengths_go_down_the_columns(coco, folder, counts):
    coco(annotation({"size": [HEIGHT, WIDTH], "counts": counts}))
    assert [row[1] for row in stored(folder)] == [0, 1, 1, 0]
    assert np.sum(stored(folder)) == 2


def test_compressed_run_lengths_are_those_of_pycocotools():
    random = np.random.default_rng(3)
    inside = random.random([50, 70]).round().astype(bool)
    inside[:, 20:55] = False  # Long runs, and differences below 0.
    runs = coco_mask.encode(np.asfortranarray(inside.astype(np.uint8)))
    text = {"size": runs["size"], "counts": runs["counts"].decode()}
    assert (coco_shapes.rasterize(text, (50, 70)) == inside).all()


def test_crowds_are_ignored_and_objects_on_them_are_not(coco, folder):
    crowd = {"size": [HEIGHT, WIDTH], "counts": [4, 8, 12]}  # Columns 1 and 2.
    coco(annotation(crowd, iscrowd=1), annotation(box(0, 2, 1, 3), category_id=90))
    assert stored(folder)[0] == [0, 255, 2, 0, 0, 0]
    assert stored(folder)[1] == [0, 255, 255, 0, 0, 0]
    assert folder.skipped() == [("5", "0", "crowd (kept, never trained on)")]


def test_a_crowd_is_what_says_1(coco, folder):
    coco(
        annotation(box(0, 0, 1, 2), iscrowd="0"),
        annotation(box(1, 0, 2, 2), iscrowd=NAN),
        annotation(box(2, 0, 3, 2), iscrowd="many"),
    )
    assert [row[0] for row in stored(folder)] == [1, 1, 255, 0]
    assert folder.skipped() == [("5", "2", "malformed")]


def test_an_unknown_category_is_ignored_and_counted(coco, folder):
    coco(annotation(box(0, 0, 1, 2), category_id=8), annotation(box(3, 0, 4, 1)))
    assert stored(folder)[0] == [255, 255, 0, 0, 0, 0]
    assert folder.skipped() == [("5", "0", "unknown_class")]


def test_a_picture_without_annotations_is_background(coco, folder):
    assert coco().pixels_per_class["background"] == HEIGHT * WIDTH


def runs(counts, size=(HEIGHT, WIDTH)):
    return {"size": list(size), "counts": counts}


BROKEN_SHAPES = {
    "nothing": (None, "malformed"),
    "no polygon": ([], "malformed"),
    "a text": ("polygon", "malformed"),
    "numbers without a list": ([0, 0, 3, 0, 3, 3], "malformed"),
    "half a point": ([[0, 0, 3, 0, 3, 3, 1]], "malformed"),
    "two points": ([[0, 0, 3, 3]], "degenerate"),
    "nan": ([[0, 0, 3, 0, 3, NAN]], "not_a_number"),
    "a word": ([[0, 0, 3, 0, 3, "three"]], "not_a_number"),
    "no pixel": (box(1, 1, 1.1, 1.1), "degenerate"),
    "right of the picture": (box(0, 7, 2, 9), "degenerate"),
    "far away": (box(0, 0, 2, 1e9), "outside_image"),
    "runs without counts": ({"size": [HEIGHT, WIDTH]}, "malformed"),
    "runs of another size": (runs(RUNS, (WIDTH, HEIGHT)), "size_mismatch"),
    "runs beyond the end": (runs([5, 2, 1000]), "malformed"),
    "runs that go back": (runs([5, -2, 21]), "malformed"),
    "runs that end early": (runs([5, 2]), "malformed"),
    "runs of parts": (runs([5, 2.5, 16.5]), "malformed"),
    "runs without a pixel": (runs([24]), "degenerate"),
    "a string that breaks off": (runs("52a"), "malformed"),
    "a string of other characters": (runs("5 2a0"), "malformed"),
    "a string without end": (runs("o" * 60), "malformed"),
}


@pytest.mark.parametrize("shape, reason", BROKEN_SHAPES.values(), ids=BROKEN_SHAPES)
def test_a_broken_shape_is_skipped_by_name(coco, folder, shape, reason):
    coco(annotation(box(0, 4, 1, 6)), annotation(shape))
    assert folder.skipped() == [("5", "1", reason)]
    assert stored(folder)[0] == [0, 0, 0, 0, 1, 1]


def test_a_part_without_area_takes_nothing_from_its_object(coco, folder):
    coco(annotation([[0, 0, 3, 3], *box(0, 0, 1, 2), [1, 1]]))
    assert stored(folder)[0] == [1, 1, 0, 0, 0, 0]
    assert folder.skipped() == []


def test_the_box_of_a_shape_that_cannot_be_read_is_ignored(coco, folder):
    # Rows 1 and 2, columns 1 to 3; another object is on it.
    unread = annotation("polygon", bbox=[1.5, 1, 2, 1.5])
    coco(unread, annotation(box(1, 2, 2, 3)))
    assert stored(folder) == [
        [0, 0, 0, 0, 0, 0],
        [0, 255, 1, 255, 0, 0],
        [0, 255, 255, 255, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]
    assert folder.skipped() == [("5", "0", "malformed")]


BOXES = {
    "around the picture": ([-9, -9, 1e300, 99], HEIGHT * WIDTH),
    "beside the picture": ([-9, 0, 3, 2], 0),
    "nan": ([0, 0, NAN, 2], 0),
    "three numbers": ([0, 0, 2], 0),
    "nothing": (None, 0),
}


@pytest.mark.parametrize("bbox, pixels", BOXES.values(), ids=BOXES)
def test_the_pixels_around_a_shape_are_those_in_the_picture(bbox, pixels):
    assert coco_shapes.around(bbox, (HEIGHT, WIDTH)).sum() == pixels


@pytest.mark.parametrize(
    "annotations",
    [
        # As an export of boxes alone.
        [annotation([], bbox=[1, 1, 2, 2]), annotation([], bbox=[0, 0, 2, 2])],
        [annotation(box(0, 0, 1, 2), category_id=8), annotation([[0, 0]])],
    ],
)
def test_a_json_without_a_shape_that_can_be_used_is_refused(coco, annotations):
    with pytest.raises(ValueError, match="none of its 2 shapes can be used"):
        coco(*annotations)


def test_crowds_alone_are_shapes(coco, folder):
    coco(annotation(box(0, 0, 1, 2), iscrowd=1))
    assert stored(folder)[0] == [255, 255, 0, 0, 0, 0]


def test_part_of_a_polygon_may_lie_outside(coco, folder):
    coco(annotation(box(-2, -3, 1, 2)))
    assert stored(folder)[0] == [1, 1, 0, 0, 0, 0]
    assert np.sum(stored(folder)) == 2


def test_a_polygon_from_far_away_does_not_keep_the_machine_busy():
    assert coco_shapes.rasterize([[0, 0, 1e12, 0, 0, 3]], (4, 6)) is (
        Reason.OUTSIDE_IMAGE
    )


# As shown, 4 x 6, or as it lies in the file, 6 x 4, which EXIF 6 turns to the right:
# the lower left corner of the file is shown at the upper left.
@pytest.mark.parametrize(
    "size, corner",
    [
        ((HEIGHT, WIDTH), box(0, 0, 1, 2)),
        ((WIDTH, HEIGHT), box(WIDTH - 2, 0, WIDTH, 1)),
    ],
    ids=["as shown", "as stored"],
)
def test_shapes_follow_the_size_that_their_json_states(coco, folder, size, corner):
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (HEIGHT, WIDTH)).save(buffer, "PNG", exif=exif)
    folder.write("images/b.png", buffer.getvalue())
    entry = {"id": 5, "file_name": "b.png", "height": size[0], "width": size[1]}
    coco(annotation(corner), entries=[entry])
    assert stored(folder)[0] == [1, 1, 0, 0, 0, 0]
    assert np.sum(stored(folder)) == 2


BROKEN_ENTRIES = {
    "no size": ({"id": 6, "file_name": "b.png"}, ("6", "-", "malformed")),
    "another size": (
        {"id": 6, "file_name": "b.png", "height": WIDTH, "width": HEIGHT},
        ("6", "-", "size_mismatch"),
    ),
    "no file name": ({"id": 6}, ("?", "-", "malformed")),
    # No machine could draw it, and no picture is so large.
    "a size beyond all memory": (
        {"id": 6, "file_name": "b.png", "height": 10**6, "width": 10**6},
        ("6", "-", "too_many_pixels"),
    ),
}


@pytest.mark.parametrize("entry, line", BROKEN_ENTRIES.values(), ids=BROKEN_ENTRIES)
def test_a_broken_image_is_skipped_by_name(coco, folder, entry, line):
    folder.picture("images/b.png", HEIGHT, WIDTH)
    good = {"id": 5, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}
    coco(entries=[good, entry])
    assert folder.skipped() == [line]
    assert set(folder.records()) == {"5"}


def test_a_file_under_two_ids_has_the_shapes_of_both(coco, folder):
    size = {"height": HEIGHT, "width": WIDTH}
    entries = [{"id": i, "file_name": "a.png", **size} for i in (4, 5, 105)]
    shapes = [annotation(box(0, 0, 1, 2)), annotation(box(1, 0, 2, 3), image_id=105)]
    coco(*shapes, entries=entries)
    assert [sum(row) for row in stored(folder)] == [2, 3, 0, 0]
    assert folder.skipped() == [(i, "-", "duplicate_file") for i in ("105", "4")]


def test_annotations_of_no_image_are_listed(coco, folder):
    good = annotation(box(0, 0, 2, 2))
    coco(good, annotation(box(0, 0, 2, 2), image_id=99), "text", {})
    assert folder.skipped() == [
        ("99", "-", "unknown_image"),
        ("?", "-", "malformed"),
        ("?", "-", "malformed"),
    ]


def test_what_says_no_image_is_not_of_one_that_is_called_a_question_mark(coco, folder):
    size = {"height": HEIGHT, "width": WIDTH}
    coco("text", entries=[{"id": "?", "file_name": "a.png", **size}])
    assert folder.skipped() == [("?", "-", "malformed")]
    assert np.sum(stored(folder, "?")) == 0


def panoptic(folder, ids):
    """Writes the PNG of segment ids, R + 256 G + 65536 B."""
    ids = np.array(ids)
    pixels = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    folder.write("masks/a.png", buffer.getvalue())
    return folder.root / "masks"


IDS = np.zeros([HEIGHT, WIDTH], int)
IDS[0, 1:] = [3, 3 + 256 * 5, 3 + 65536 * 5, 255, 255]


def segments(*told, **fields):
    infos = [
        {"id": segment_id, "category_id": category_id, "iscrowd": crowd}
        for segment_id, category_id, crowd in told
    ]
    return {"image_id": 5, "file_name": "a.png", "segments_info": infos, **fields}


ALL = [(3, 7, 0), (3 + 256 * 5, 90, 0), (3 + 65536 * 5, 7, 1), (255, 7, 0)]


def test_segments_of_a_panoptic_mask_are_found_by_their_colour(coco, folder):
    coco(segments(*ALL), masks=panoptic(folder, IDS))
    # Nobody labelled id 0; the third segment is a crowd; 255 is an id like others.
    assert stored(folder)[0] == [255, 1, 2, 255, 1, 1]
    assert folder.skipped() == [("5", "2", "crowd (kept, never trained on)")]


def test_a_segment_of_an_unknown_category_is_ignored_and_counted(coco, folder):
    coco(segments((3, 8, 0), *ALL[1:]), masks=panoptic(folder, IDS))
    assert stored(folder)[0][1] == 255
    assert ("5", "0", "unknown_class") in folder.skipped()


def beside_a_good_one(coco, folder, *annotations):
    """Converts picture 5 with these annotations, and 6 with good ones."""
    folder.picture("images/b.png", HEIGHT, WIDTH)
    size = {"height": HEIGHT, "width": WIDTH}
    entries = [
        {"id": 5, "file_name": "a.png", **size},
        {"id": 6, "file_name": "b.png", **size},
    ]
    good = segments(*ALL[:2], (3 + 65536 * 5, 7, 0), ALL[3], image_id=6)
    coco(*annotations, good, entries=entries, masks=panoptic(folder, IDS))
    assert "6" in folder.records()


BROKEN_PANOPTIC = {
    "no annotation": ([], "missing_file"),
    "an id that is not told": ([segments(*ALL[:3])], "unknown_label_value"),
    "no list of segments": ([segments(segments_info=5)], "malformed"),
    "no file name": ([segments(*ALL, file_name=None)], "malformed"),
    "no such mask": ([segments(*ALL, file_name="gone.png")], "missing_file"),
}


@pytest.mark.parametrize(
    "annotations, reason", BROKEN_PANOPTIC.values(), ids=BROKEN_PANOPTIC
)
def test_a_broken_panoptic_picture_is_skipped(coco, folder, annotations, reason):
    beside_a_good_one(coco, folder, *annotations)
    assert folder.skipped() == [("5", "-", reason)]


def test_a_broken_segment_and_a_second_annotation_are_counted(coco, folder):
    good = segments(*ALL)
    good["segments_info"].append({"category_id": 7})
    beside_a_good_one(coco, folder, good, segments(*ALL))
    assert folder.skipped() == [
        ("5", "1", "duplicate_annotation"),
        ("5", "2", "crowd (kept, never trained on)"),
        ("5", "4", "malformed"),
    ]


@pytest.mark.parametrize("number", [2**70, 256**3, -1])
def test_a_segment_whose_id_is_no_colour_is_counted(coco, folder, number):
    coco(segments(*ALL, (number, 7, 0)), masks=panoptic(folder, IDS))
    assert stored(folder)[0] == [255, 1, 2, 255, 1, 1]
    assert ("5", "4", "malformed") in folder.skipped()


def test_panoptic_json_and_its_folder_belong_together(coco, folder):
    with pytest.raises(ValueError, match="`masks` must be the folder .*segments_info"):
        coco(segments())
    with pytest.raises(ValueError, match="`masks` is for panoptic JSON, got .*leave"):
        coco(annotation(box(0, 0, 1, 1)), masks=panoptic(folder, IDS))
