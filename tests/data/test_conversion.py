"""What `convert` promises, whatever the source."""

import json

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data import dataset_info, records, unlabeled
from st_keras.data.images import encode_png
from st_keras.data.skipping import SkipLog
from st_keras.data.sources.coco import CocoSource
from st_keras.data.sources.folders import FolderSource
from st_keras.data.sources.masks import MaskSource
from st_keras.data.sources.voc import VocSource
from st_keras.data.sources.yolo import YoloSource


@pytest.fixture
def pictures(folder):
    for i in range(5):
        folder.picture(f"p{i}.png", height=60 + i)
    return folder


def shards(folder, split="train"):
    return sorted(path.name for path in (folder.output / split).glob("*.tfrecord*"))


def test_a_folder_per_split_holds_shards_info_and_skips(pictures):
    pictures.convert(FolderSource(pictures.root), num_shards=2)
    assert sorted(path.name for path in (pictures.output / "train").iterdir()) == [
        "dataset.json",
        "images.tsv",
        "records-00000-of-00002.tfrecord",
        "records-00001-of-00002.tfrecord",
        "skipped.txt",
    ]


@pytest.mark.parametrize("asked, got", [(0, 1), (3, 3), (99, 5)])
def test_there_are_never_more_shards_than_pictures(pictures, asked, got):
    info = pictures.convert(FolderSource(pictures.root), num_shards=asked)["train"]
    assert len(info.shards) == got == len(shards(pictures))
    assert len(pictures.records()) == 5


def test_the_info_tells_what_the_shards_hold(folder):
    folder.picture("a.png", height=60)
    folder.picture("b.png", height=80)
    box = {"image_id": 1, "category_id": 2, "bbox": [1, 2, 30, 40]}
    flat = {"image_id": 1, "category_id": 2, "bbox": [1, 2, 30, 0]}
    path = folder.write(
        "train.json",
        {
            "images": [
                {"id": 1, "file_name": "a.png"},
                {"id": 2, "file_name": "b.png"},
            ],
            "annotations": [box, box | {"id": 2}, flat],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        },
    )
    folder.convert(CocoSource(folder.root, path))
    info = dataset_info.load(str(folder.output / "train" / "*.tfrecord"))
    assert info.source == "coco"
    assert info.class_names == ("cat", "dog")
    assert (info.images, info.boxes, info.images_without_boxes) == (2, 2, 1)
    assert info.boxes_per_class == {"cat": 0, "dog": 2}
    assert info.skipped == {"degenerate": 1}
    assert (info.height_px["p0"], info.height_px["p100"]) == (60, 80)


def test_the_summary_says_what_was_written_and_left_out(pictures, capsys):
    pictures.write("notes.txt", "")
    pictures.convert(FolderSource(pictures.root))
    out = capsys.readouterr().out
    assert "train: 5 pictures (5 without boxes), 0 boxes, 1 shard(s)" in out
    assert "skipped 1, listed in" in out
    assert "unknown_extension 1" in out


def test_the_same_input_makes_the_same_bytes(pictures, tmp_path):
    source = FolderSource(pictures.root)
    first = pictures.convert(source)["train"].content_sha256
    assert pictures.convert(source, overwrite=True)["train"].content_sha256 == first
    pictures.picture("p0.png", height=10)
    assert pictures.convert(source, overwrite=True)["train"].content_sha256 != first


def test_a_picture_is_the_same_whether_it_was_shrunk_or_not(folder, tmp_path):
    for i in range(2):
        folder.picture(f"p{i}.png", height=60 + i)
    source = FolderSource(folder.root)
    folder.convert(source)
    pattern = str(folder.output / "train" / "*.tfrecord")
    whole = dataset_info.picture_digests(pattern)
    folder.convert(source, max_side_px=50, overwrite=True)
    assert folder.records()["p0"]["size"] == (30, 50)
    assert dataset_info.picture_digests(pattern) == whole
    assert len(set(whole.values())) == 2
    # And for a teacher that labels it.
    read = unlabeled.RecordPictures(pattern).read(0, 2, SkipLog(False))
    assert {r.image_id: records.digest(r) for r in read} == whole


def test_complete_records_are_not_touched_without_overwrite(pictures):
    pictures.convert(FolderSource(pictures.root))
    with pytest.raises(ValueError, match="complete records .*--overwrite replaces"):
        pictures.convert(FolderSource(pictures.root))


def test_records_of_an_interrupted_run_are_not_touched_either(pictures):
    pictures.convert(FolderSource(pictures.root))
    (pictures.output / "train" / "dataset.json").unlink()
    with pytest.raises(ValueError, match="interrupted run .*--overwrite replaces"):
        pictures.convert(FolderSource(pictures.root))


def test_what_a_killed_run_had_begun_is_removed_by_the_next(pictures):
    train = pictures.output / "train"
    train.mkdir(parents=True)
    (train / "records-00000-of-00002.tfrecord.host-7.tmp").write_bytes(b"half")
    (train / "notes.tmp").write_bytes(b"of the user")
    pictures.convert(FolderSource(pictures.root))
    assert [path.name for path in train.glob("*.tmp")] == ["notes.tmp"]


def test_overwrite_leaves_no_shard_of_the_former_run(pictures):
    pictures.convert(FolderSource(pictures.root), num_shards=4)
    pictures.convert(FolderSource(pictures.root), num_shards=2, overwrite=True)
    assert len(shards(pictures)) == 2
    assert len(pictures.records()) == 5


def test_a_failed_overwrite_leaves_the_former_records(pictures):
    source = FolderSource(pictures.root)
    pictures.convert(source, num_shards=4)
    before = shards(pictures)
    pictures.write("zz.png", "no picture")
    with pytest.raises(ValueError, match="zz: unreadable_file.*--strict"):
        pictures.convert(source, overwrite=True, strict=True)
    assert shards(pictures) == before
    assert len(pictures.records()) == 5
    assert (pictures.output / "train" / "dataset.json").exists()


def test_a_crash_leaves_no_half_of_a_record_file(pictures, monkeypatch):
    def crash(record):
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "to_example", crash)
    with pytest.raises(KeyboardInterrupt):
        pictures.convert(FolderSource(pictures.root))
    assert shards(pictures) == []


def test_no_usable_picture_at_all_is_an_error(folder):
    folder.write("a.png", "no picture")
    folder.write("b.heic", "no picture that is known")
    with pytest.raises(
        ValueError, match="none of its 2 pictures .*: a: unreadable_file.*lists all"
    ):
        folder.convert(FolderSource(folder.root))
    listed = (folder.output / "train" / "skipped.txt").read_text()
    assert "unreadable_file" in listed and "unknown_extension" in listed


def test_a_file_where_the_folder_should_be_is_an_os_error(pictures, tmp_path):
    pictures.output.write_text("in the way")
    with pytest.raises(OSError):
        pictures.convert(FolderSource(pictures.root))


@pytest.mark.parametrize("name", ["num_shards", "max_side_px"])
def test_negative_settings_are_refused(pictures, name):
    with pytest.raises(ValueError, match=f"`{name}` must be 0 or more, got -1"):
        pictures.convert(FolderSource(pictures.root), **{name: -1})


def test_an_unknown_split_is_refused_before_anything_is_written(pictures):
    with pytest.raises(ValueError, match="must be from train, got val"):
        pictures.convert(FolderSource(pictures.root), split_names=["train", "val"])
    assert not pictures.output.exists()


def test_a_split_without_a_picture_is_refused_with_a_way_out(folder):
    for split, stems in (("train", "a\n"), ("val", ""), ("test", "b\n")):
        folder.write(f"ImageSets/Main/{split}.txt", stems)
    for stem in "ab":
        folder.picture(f"JPEGImages/{stem}.png")
        folder.write(f"Annotations/{stem}.xml", "<annotation/>")
    source = VocSource(folder.root)
    with pytest.raises(ValueError, match="`val`: .* no picture .*--splits train,test"):
        folder.convert(source)
    assert not folder.output.exists()
    folder.convert(source, split_names=["train", "test"])
    assert set(folder.records("test")) == {"b"}


@pytest.mark.parametrize("name", ["cat\ndog", "", "cat\u2028", "\ud800"])
def test_a_class_whose_name_is_no_line_is_refused(folder, name):
    folder.picture("images/a.png")
    folder.write("data.yaml", json.dumps({"names": ["cow", name], "train": "images"}))
    with pytest.raises(
        ValueError, match="source yolo`: the name of a class must be .*"
    ):
        folder.convert(YoloSource(folder.root))
    assert not folder.output.exists()


def test_boxes_shrink_with_their_picture(folder):
    # 60 x 100 to at most 25: a quarter.
    folder.picture("JPEGImages/a.png")
    folder.write(
        "Annotations/a.xml",
        "<annotation><object><name>x</name><bndbox><xmin>9</xmin><ymin>5</ymin>"
        "<xmax>60</xmax><ymax>40</ymax></bndbox></object></annotation>",
    )
    folder.convert(VocSource(folder.root), max_side_px=25)
    record = folder.records()["a"]
    assert record["pixels"].shape == (15, 25, 3)
    assert record["size"] == (15, 25)
    assert record["boxes"] == [[1, 2, 10, 15]]


@pytest.fixture
def streets(folder):
    """A 60 x 100 picture: sky above, road below but for 10 columns nobody labelled."""
    folder.picture("images/a.png")
    mask = np.zeros([60, 100], np.uint8)
    mask[30:] = 2
    mask[30:, 90:] = 255
    folder.write("masks/a.png", encode_png(mask))
    folder.classes = ["sky", "car", "road"]
    return folder


def mask_source(folder):
    return MaskSource(folder.root / "images", folder.root / "masks", folder.classes)


def test_label_maps_shrink_with_their_picture_and_keep_their_values(streets):
    # 60 x 100 to at most 25: a quarter. Half of 15 rows: the pixel in the middle, 7.5,
    # is nearest to row 30 of 60.
    streets.convert(mask_source(streets), max_side_px=25)
    record = streets.records()["a"]
    label_map = tf.io.decode_png(record["label_map"][0])[..., 0].numpy()
    assert label_map.shape == record["size"] == (15, 25)
    assert label_map[[0, 6, 7, 14], 3].tolist() == [0, 0, 2, 2]
    # 22.5 columns of road: column 22 has its centre, 22.5 * 4, at the first ignored.
    assert label_map[14, [21, 22, 24]].tolist() == [2, 255, 255]
    assert set(np.unique(label_map)) == {0, 2, 255}


def test_the_summary_tells_the_share_of_each_class(streets, capsys):
    streets.convert(mask_source(streets))
    out = capsys.readouterr().out
    assert "train: 1 pictures with label maps, 1 shard(s)\n" in out
    # 3000 pixels of sky and 2700 of road; 300 of 6000 are ignored.
    assert "labelled pixels per class: sky 52.6 %, car 0 %, road 47.4 %\n" in out
    assert "ignored pixels: 5 % of all\n" in out
    assert "classes without a pixel: car\n" in out


def test_a_mask_without_a_labelled_pixel_is_kept_and_counted(streets, capsys):
    streets.picture("images/b.png")
    streets.write("masks/b.png", encode_png(np.full([60, 100], 255, np.uint8)))
    info = streets.convert(mask_source(streets), strict=True)["train"]
    assert set(streets.records()) == {"a", "b"}
    assert streets.skipped() == [("b", "-", "nothing_labeled (kept)")]
    assert info.ignored_pixels == 300 + 6000
    assert "skipped 0, listed in" in capsys.readouterr().out


def test_strict_stops_at_a_value_of_no_class(streets):
    streets.classes = ["sky", "road"]
    with pytest.raises(ValueError, match="a: unknown_label_value: value 2 in 2700"):
        streets.convert(mask_source(streets), strict=True)


class TestModelGardenReadsTheRecords:
    """tf-models-official's own decoder is the oracle of the format."""

    @pytest.fixture
    def decoded(self, folder):
        from official.vision.dataloaders import tf_example_decoder

        folder.picture("a.png")
        boxes = [
            {"id": 1, "image_id": 5, "category_id": 9, "bbox": [10, 6, 50, 24]},
            {"id": 2, "image_id": 5, "category_id": 4, "bbox": [0, 0, 100, 60]},
        ]
        boxes[1]["iscrowd"] = 1
        path = folder.write(
            "train.json",
            {
                "images": [{"id": 5, "file_name": "a.png"}],
                "annotations": boxes,
                "categories": [{"id": 4, "name": "cat"}, {"id": 9, "name": "dog"}],
            },
        )
        folder.convert(CocoSource(folder.root, path))
        [shard] = (folder.output / "train").glob("*.tfrecord")
        [serialized] = tf.data.TFRecordDataset(str(shard))
        return tf_example_decoder.TfExampleDecoder().decode(serialized)

    def test_boxes_are_shares_of_the_picture(self, decoded):
        # y 6 to 30 of 60, x 10 to 60 of 100.
        np.testing.assert_allclose(
            decoded["groundtruth_boxes"],
            [[0.1, 0.1, 0.5, 0.6], [0, 0, 1, 1]],
            atol=1e-6,
        )

    def test_classes_crowds_and_areas_are_theirs(self, decoded):
        assert decoded["groundtruth_classes"].numpy().tolist() == [2, 1]
        assert decoded["groundtruth_is_crowd"].numpy().tolist() == [False, True]
        np.testing.assert_allclose(decoded["groundtruth_area"], [24 * 50, 6000])

    def test_the_picture_and_its_id_are_theirs(self, decoded):
        assert decoded["image"].shape == (60, 100, 3)
        assert (int(decoded["height"]), int(decoded["width"])) == (60, 100)
        assert decoded["source_id"].numpy() == b"5"


def test_the_info_is_json_that_people_can_read(pictures):
    pictures.convert(FolderSource(pictures.root))
    text = (pictures.output / "train" / "dataset.json").read_text()
    assert json.loads(text)["images"] == 5
    assert text.count("\n") > 10
