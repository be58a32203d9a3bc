"""What reading COCO's JSON promises."""

import pytest

from st_keras.data.sources.coco import CocoSource

CATEGORIES = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]


def annotation(identifier, image_id, bbox, category_id=3, **others):
    fields = {"id": identifier, "image_id": image_id, "category_id": category_id}
    return fields | {"bbox": bbox} | others


def content(annotations, images=None, categories=None):
    return {
        "images": images or [{"id": 5, "file_name": "a.png"}],
        "annotations": annotations,
        "categories": CATEGORIES if categories is None else categories,
    }


@pytest.fixture
def convert(folder):
    def run(json_content, name="instances_train.json", options=None, **more):
        folder.picture("pictures/a.png")
        folder.picture("pictures/b.png")
        folder.picture("pictures/c.png", height=20)
        path = folder.write(name, json_content)
        source = CocoSource(folder.root / "pictures", path, **(options or {}))
        folder.convert(source, **more)
        return folder

    return run


def test_a_box_is_left_top_width_height(convert):
    out = convert(content([annotation(1, 5, [10, 20, 30.5, 15])]))
    # y 20 to 35, x 10 to 40.5.
    assert out.records()["5"]["boxes"] == [[20, 10, 35, 40.5]]


def test_ids_may_be_whole_floats(convert):
    """As pandas writes them."""
    boxes = [annotation(1, 5.0, [10, 20, 30, 15], category_id=7.0)]
    images = [{"id": 5, "file_name": "a.png"}]
    out = convert(content(boxes, images))
    assert out.records()["5"]["texts"] == ["dog"]
    assert out.skipped() == []


def test_labels_count_from_1_in_the_order_of_category_ids(convert):
    boxes = [annotation(1, 5, [1, 2, 3, 4], 7), annotation(2, 5, [1, 2, 3, 4], 3)]
    record = convert(content(boxes)).records()["5"]
    assert record["labels"] == [2, 1]
    assert record["texts"] == ["dog", "cat"]


def test_kept_category_ids_leave_named_gaps(convert, folder):
    path = folder.write("x.json", content([annotation(1, 5, [1, 2, 3, 4], 7)]))
    source = CocoSource(folder.root, path, keep_category_ids=True)
    assert source.class_names == (
        *("unused_1", "unused_2", "cat", "unused_4", "unused_5", "unused_6", "dog"),
    )
    out = convert(
        content([annotation(1, 5, [1, 2, 3, 4], 7)]),
        options={"keep_category_ids": True},
    )
    assert out.records()["5"]["labels"] == [7]


def test_category_0_cannot_keep_its_id(folder):
    zero = [{"id": 0, "name": "cat"}]
    path = folder.write("x.json", content([], categories=zero))
    with pytest.raises(ValueError, match="ids from 1.* got 0"):
        CocoSource(folder.root, path, keep_category_ids=True)
    assert CocoSource(folder.root, path).class_names == ("cat",)


def test_an_id_that_is_no_number_of_a_class_cannot_be_kept(folder):
    key = [{"id": 1, "name": "cat"}, {"id": 2_000_000_000, "name": "dog"}]
    path = folder.write("x.json", content([], categories=key))
    message = (
        "x.json: .* at most 100,000.* got 2,000,000,000. Leave `keep_category_ids`"
    )
    with pytest.raises(ValueError, match=message):
        CocoSource(folder.root, path, keep_category_ids=True)
    assert CocoSource(folder.root, path).class_names == ("cat", "dog")


def test_two_categories_of_one_name_are_told_apart(folder):
    same = [{"id": 1, "name": "cat"}, {"id": 2, "name": "cat"}]
    path = folder.write("x.json", content([], categories=same))
    assert CocoSource(folder.root, path).class_names == ("cat", "cat_2")


def test_crowds_are_kept_and_listed(convert):
    out = convert(content([annotation(1, 5, [10, 20, 30, 15], iscrowd=1)]))
    assert out.records()["5"]["is_crowd"] == [1]
    assert out.skipped() == [("5", "0", "crowd (kept, never trained on)")]


@pytest.mark.parametrize("told", [0, "0", 0.0, False, None, float("nan")])
def test_what_says_no_crowd_is_none(convert, told):
    out = convert(content([annotation(1, 5, [10, 20, 30, 15], iscrowd=told)]))
    assert out.records()["5"]["is_crowd"] == [0]


@pytest.mark.parametrize("told", ["1", 1.0, True])
def test_a_crowd_may_be_told_as_pandas_or_a_person_writes_it(convert, told):
    out = convert(content([annotation(1, 5, [10, 20, 30, 15], iscrowd=told)]))
    assert out.records()["5"]["is_crowd"] == [1]


@pytest.mark.parametrize("told", [2, "no", "", [1]])
def test_neither_crowd_nor_object_is_skipped_by_name(convert, told):
    boxes = [annotation(1, 5, [10, 20, 30, 15], iscrowd=told)]
    out = convert(content([*boxes, annotation(2, 5, [1, 2, 3, 4])]))
    assert out.records()["5"]["boxes"] == [[2, 1, 6, 4]]
    assert out.skipped() == [("5", "0", "malformed")]


def test_image_ids_are_the_jsons(convert):
    entries = [{"id": 90, "file_name": "a.png"}, {"id": "x", "file_name": "b.png"}]
    records = convert(content([], entries)).records()
    assert {i: r["filename"] for i, r in records.items()} == {
        "90": "a.png",
        "x": "b.png",
    }


@pytest.mark.parametrize(
    "name, split",
    [
        ("instances_val2017.json", "val"),
        ("image_info_test2017.json", "test"),
        ("labels.json", "train"),
        ("test/_annotations.coco.json", "test"),
        ("valid/_annotations.coco.json", "val"),
        ("train/instances_val.json", "val"),
        ("latest/labels.json", "train"),  # No name of a split, though `test` is in it.
        ("labels_latest.json", "train"),
        ("val/constraints.json", "val"),
        ("test/intervals.json", "test"),
        ("image_info_test-dev2017.json", "test"),
        ("instances_valminusminival2014.json", "val"),
        ("minival.json", "val"),
        ("catsTest.json", "test"),
        ("VALIDATION.json", "val"),
        ("testset_v2.json", "test"),
    ],
)
def test_the_split_is_called_after_the_json(folder, name, split):
    path = folder.write(name, content([]))
    assert CocoSource(folder.root, path).splits == (split,)
    assert CocoSource(folder.root, path, split="mine").splits == ("mine",)


def test_a_file_of_test_images_needs_no_annotations(convert):
    out = convert({"images": [{"id": 5, "file_name": "a.png"}]})
    assert out.records()["5"]["boxes"] == []


def test_the_same_annotation_twice_counts_once(convert):
    twice = [annotation(1, 5, [10, 20, 30, 15])] * 2
    out = convert(content(twice))
    assert len(out.records()["5"]["boxes"]) == 1
    assert out.skipped() == [("5", "1", "duplicate_annotation")]


def test_two_objects_with_one_id_are_both_kept(convert):
    # Merged files restart their ids.
    boxes = [annotation(1, 5, [10, 20, 30, 15]), annotation(1, 5, [1, 2, 30, 15])]
    assert len(convert(content(boxes)).records()["5"]["boxes"]) == 2


def test_more_than_a_hundred_objects_are_all_kept(convert):
    boxes = [annotation(i, 5, [i / 10, 1, 20, 30]) for i in range(250)]
    assert len(convert(content(boxes)).records()["5"]["boxes"]) == 250


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not JSON"),
        ("\xff\xfe".encode("latin-1"), "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1, 2]", "list `images`, got a list"),
        ('{"info": 1}', "list `images`, got an object with 'info'"),
        ('{"images": [], "annotations": {}}', "`annotations` must be a list"),
        ('{"images": [], "categories": [5]}', "a category must have .* got 5"),
        ('{"images": [], "categories": [{"id": 1e999, "name": "a"}]}', "got .*Inf"),
        ('{"images": [], "categories": [{"id": 1, "name": null}]}', "got .*null"),
        ('{"images": [], "categories": [{"id": 1, "name": " "}]}', "one line, got ' '"),
        (
            '{"images": [], "categories": [{"id": 1, "name": "a\\ud800"}]}',
            r"one line, got 'a\\ud800'",
        ),
        (
            '{"images": [], "categories": [{"id": 1, "name": "a"}, '
            '{"id": 1, "name": "b"}]}',
            "two categories have the id 1",
        ),
    ],
)
def test_a_broken_json_is_one_clear_error(folder, text, message):
    path = folder.write("broken.json", text)
    with pytest.raises(ValueError, match=f"broken.json: .*{message}"):
        CocoSource(folder.root, path)


def test_a_missing_json_or_folder_is_named(folder):
    folder.root.mkdir()
    with pytest.raises(ValueError, match="no such file: .*none.json"):
        CocoSource(folder.root, folder.root / "none.json")
    with pytest.raises(ValueError, match="`images` must be a folder, got .*nothing"):
        CocoSource(folder.root / "none", folder.root / "none.json")


def test_boxes_of_an_id_that_two_files_have_are_given_to_neither(convert):
    # As in two files put together without new numbers.
    entries = [{"id": 5, "file_name": f"{name}.png"} for name in "ab"]
    entries.append({"id": 6, "file_name": "c.png"})
    out = convert(content([annotation(1, 5, [10, 20, 30, 15])], entries), strict=False)
    assert out.skipped()[:2] == [("5", "-", "duplicate_image_id")] * 2


def test_a_file_under_two_ids_has_the_boxes_of_both(convert):
    # As in an export that was put together with another of the same pictures.
    entries = [{"id": i, "file_name": "a.png"} for i in (4, 5, 105)]
    cat, dog = [10, 20, 30, 15], [1, 2, 30, 15]
    boxes = [
        annotation(1, 5, cat),
        annotation(2, 105, dog, category_id=7),
        annotation(3, 105, cat),  # The one that 5 has.
        annotation(4, 105, cat, category_id=7),
    ]
    out = convert(content(boxes, entries))
    record = out.records()["5"]
    assert record["texts"] == ["cat", "dog", "dog"]
    assert record["boxes"] == [[20, 10, 35, 40], [2, 1, 17, 31], [20, 10, 35, 40]]
    assert set(out.records()) == {"5"}
    assert out.skipped() == [
        ("105", "-", "duplicate_file"),
        ("4", "-", "duplicate_file"),
        ("5", "2", "duplicate_annotation"),
    ]


def test_boxes_of_a_file_whose_two_entries_state_other_sizes_are_not_joined(convert):
    entries = [
        {"id": 5, "file_name": "a.png", "height": 60, "width": 100},
        {"id": 6, "file_name": "./a.png", "height": 100, "width": 60},
        {"id": 7, "file_name": "b.png"},
    ]
    boxes = [annotation(i, i, [10, 20, 30, 15]) for i in (5, 6, 7)]
    out = convert(content(boxes, entries))
    assert set(out.records()) == {"7"}
    assert out.skipped() == [(i, "-", "duplicate_file") for i in ("5", "6")]
    told = (out.output / "train" / "skipped.txt").read_text()
    assert "a.png: listed as 5, 6 with 60 x 100 and 100 x 60 pixels" in told


def test_ids_that_are_written_in_two_ways_are_refused(convert):
    entries = [{"id": "0005", "file_name": "a.png"}, {"id": "7", "file_name": "b.png"}]
    boxes = [annotation(1, 5, [10, 20, 30, 15]), annotation(2, 5, [1, 2, 30, 15])]
    with pytest.raises(ValueError, match="none of its 2 boxes .*unknown_image 2"):
        convert(content(boxes, entries))


def test_annotations_of_no_picture_make_no_shards(convert, folder):
    boxes = [annotation(i, 6, [10, 20, 30, 15]) for i in range(700)]
    boxes.append(annotation(700, 5, [10, 20, 30, 15]))
    convert(content(boxes))
    assert len(list((folder.output / "train").glob("*.tfrecord"))) == 1
    assert folder.skipped() == [("6", "-", "unknown_image")] * 700


def test_annotations_alone_are_no_pictures(convert):
    with pytest.raises(ValueError, match="no picture in it"):
        convert({"images": [], "annotations": [annotation(1, 5, [1, 2, 3, 4])]})


def test_boxes_in_shares_of_the_picture_are_refused(convert):
    shares = [annotation(1, 5, [0.1, 0.3, 0.2, 0.35]), annotation(2, 5, [0, 0, 1, 1])]
    with pytest.raises(ValueError, match="must be in pixels, .* farther than 1 .*Mult"):
        convert(content(shares))
    # One in pixels shows that the others are small.
    out = convert(content([*shares, annotation(3, 5, [10, 20, 30, 15])]))
    assert len(out.records()["5"]["boxes"]) == 3


def test_a_list_of_classes_numbers_jsons_alike_whose_categories_differ(convert):
    boxes = [
        annotation(1, 5, [10, 20, 30, 15], category_id=7),
        annotation(2, 5, [1, 2, 30, 15], category_id=3),
    ]
    out = convert(content(boxes), options={"classes": ["cow", "dog"]})
    record = out.records()["5"]
    assert (record["labels"], record["texts"]) == ([2], ["dog"])
    assert out.skipped() == [("5", "1", "unknown_class")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["cow"]}, "names of categories, got cow; .* has dog, cat"),
        ({"classes": ["dog"], "keep_category_ids": True}, "cannot both be given"),
    ],
)
def test_a_list_of_other_classes_is_refused(folder, options, message):
    path = folder.write("train.json", content([]))
    with pytest.raises(ValueError, match=message):
        CocoSource(folder.root, path, **options)
