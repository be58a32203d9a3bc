"""Which pictures there are to label, and where each one is."""

import dataclasses
import io
import pathlib
import resource

import pytest
import tensorflow as tf
from PIL import Image

from st_keras.data import dataset_info
from st_keras.data.records import count_records
from st_keras.data.skipping import SkipLog
from st_keras.data.unlabeled import FilePictures, RecordPictures
from tests.record_files import write_records


def ids(pictures, start, stop):
    return [picture.image_id for picture in pictures.read(start, stop, SkipLog())]


def test_records_are_counted_without_reading_them(tiny_records):
    for path in dataset_info.shard_paths(tiny_records.glob):
        assert count_records(path) == 4 == len(list(tf.data.TFRecordDataset(path)))


@pytest.mark.parametrize("left", [3, 100, -1])
def test_a_file_that_ends_within_a_record_is_named(tiny_records, tmp_path, left):
    # In the length of the first record, in its content, in the last one's checksum.
    content = pathlib.Path(dataset_info.shard_paths(tiny_records.glob)[0]).read_bytes()
    path = tmp_path / "cut.tfrecord"
    path.write_bytes(content[:left])
    whole = 3 if left < 0 else 0
    with pytest.raises(ValueError, match=f"cut.tfrecord: cut off after {whole} "):
        count_records(str(path))


def test_every_stretch_of_records_is_read_by_itself(tiny_records):
    pictures = RecordPictures(tiny_records.glob)
    # Three files of four: records are dealt out in turn.
    order = [f"tiny_{n:02d}" for n in (0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11)]
    assert pictures.positions == pictures.count == 12
    assert ids(pictures, 0, 12) == order
    # Across two borders of files, within one file, and nothing.
    assert ids(pictures, 3, 9) == order[3:9]
    assert ids(pictures, 5, 7) == order[5:7]
    assert ids(pictures, 5, 5) == []


def test_chosen_pictures_keep_their_positions(tiny_records):
    pictures = RecordPictures(tiny_records.glob, ["tiny_08", "tiny_04", "tiny_03"])
    assert (pictures.positions, pictures.count) == (12, 3)
    assert ids(pictures, 0, 6) == ["tiny_03", "tiny_04"]
    assert ids(pictures, 6, 12) == ["tiny_08"]


def test_pictures_come_without_their_labels(tiny_records):
    for picture in RecordPictures(tiny_records.glob).read(0, 12, SkipLog()):
        original = tiny_records.by_id[picture.image_id]
        assert len(original.labels) or picture.image_id in ("tiny_01", "tiny_06")
        assert len(picture.labels) == len(picture.boxes_yxyx) == 0
        for name in ("encoded", "format", "filename", "height_px", "width_px"):
            assert getattr(picture, name) == getattr(original, name)


def test_other_pictures_have_another_fingerprint(tiny_records, digit_records):
    some = {
        RecordPictures(tiny_records.glob).fingerprint,
        RecordPictures(tiny_records.glob, ["tiny_04"]).fingerprint,
        RecordPictures(tiny_records.glob, ["tiny_05"]).fingerprint,
        RecordPictures(f"{digit_records}/val/*.tfrecord").fingerprint,
    }
    assert len(some) == 4
    first, second = ["tiny_04", "tiny_05"], ["tiny_05", "tiny_04"]
    assert (
        RecordPictures(tiny_records.glob, first).fingerprint
        == RecordPictures(tiny_records.glob, second).fingerprint
    )


def test_a_picture_is_no_list_of_pictures(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ValueError, match="a.jpg: not a list of pictures .*its folder"):
        FilePictures(str(tmp_path / "a.jpg"))


def test_a_damaged_file_is_named(tiny_records, tmp_path):
    write_records(tmp_path, tiny_records.by_id.values())
    [path] = tmp_path.glob("*.tfrecord")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{path.name}: damaged: "):
        ids(RecordPictures(f"{tmp_path}/*.tfrecord"), 0, 12)


def test_a_picture_that_tensorflow_cannot_decode_is_found_when_asked_for(
    tiny_records, tmp_path
):
    good, bad = list(tiny_records.by_id.values())[:2]
    bad = dataclasses.replace(bad, encoded=bad.encoded[:50])
    write_records(tmp_path, [good, bad])
    pictures = RecordPictures(f"{tmp_path}/*.tfrecord")
    assert ids(pictures, 0, 2) == ["tiny_00", "tiny_01"]
    skipped = SkipLog()
    read = list(pictures.read(0, 2, skipped, check=True))
    assert [picture.image_id for picture in read] == ["tiny_00"]
    assert skipped.counts == {"unreadable_file": 1}
    assert "tiny_01" in skipped.first


def png(side_px):
    buffer = io.BytesIO()
    Image.new("RGB", (side_px, side_px + 3), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_files_of_a_folder_are_found_and_one_stretch_is_read(tmp_path):
    (tmp_path / "sub").mkdir()
    for name, side_px in (("b.png", 7), ("a.png", 5), ("sub/c.png", 9)):
        (tmp_path / name).write_bytes(png(side_px))
    (tmp_path / "notes.txt").write_text("none")
    pictures = FilePictures(str(tmp_path))
    assert pictures.positions == pictures.count == 4
    skipped = SkipLog()
    read = list(pictures.read(0, 4, skipped))
    assert sorted((p.image_id, p.height_px, p.width_px) for p in read) == [
        ("a", 8, 5),
        ("b", 10, 7),
        ("sub/c", 12, 9),
    ]
    assert skipped.counts == {"unknown_extension": 1}
    stretches = [ids(pictures, place, place + 1) for place in range(4)]
    assert sum(stretches, []) == [p.image_id for p in read]


@pytest.mark.parametrize("listed", [False, True])
def test_a_shard_of_labels_has_pictures_of_all_sub_folders(tmp_path, listed):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for number in range(20):
            (tmp_path / name / f"{number}.png").write_bytes(png(5))
    where = tmp_path
    if listed:
        where = tmp_path / "list.txt"
        where.write_text("\n".join(str(p) for p in sorted(tmp_path.glob("*/*"))))
    first_half = ids(FilePictures(str(where)), 0, 20)
    # By path, it would be ants alone; see sources/test_mixed.py for the bounds.
    assert 5 <= sum(i.startswith("ant") for i in first_half) <= 15


def test_files_beside_a_picture_do_not_take_its_name(tmp_path):
    for name in ("1.jpg", "1.MP4", "1.jpg.json"):
        (tmp_path / name).write_bytes(png(5) if name == "1.jpg" else b"...")
    skipped = SkipLog()
    read = list(FilePictures(str(tmp_path)).read(0, 3, skipped))
    assert [picture.image_id for picture in read] == ["1.jpg"]
    assert skipped.counts == {"unknown_extension": 2}


def test_files_of_a_list_are_read_whatever_their_names(tmp_path):
    for name in ("a.png", "b"):
        (tmp_path / name).write_bytes(png(5))
    listed = tmp_path / "list.txt"
    listed.write_text(f"b\n\n{tmp_path}/a.png\nmissing.png\n.\n")
    pictures = FilePictures(str(listed))
    skipped = SkipLog()
    read = [picture.image_id for picture in pictures.read(0, 4, skipped)]
    assert sorted(read) == ["a", "b"]
    assert skipped.counts == {"missing_file": 1, "unreadable_file": 1}
    # Another content, another fingerprint.
    (tmp_path / "a.png").write_bytes(png(50))
    assert FilePictures(str(listed)).fingerprint != pictures.fingerprint


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "no picture in it"), ("a.png\nb.png\na.png\n", "1 of 3 files are twice")],
)
def test_a_list_with_nothing_or_twice_the_same_is_refused(tmp_path, text, told):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(ValueError, match=told):
        FilePictures(str(tmp_path / "list.txt"))


def test_a_folder_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="must be a folder or a list file, got no"):
        FilePictures("nowhere")


def test_a_shard_that_lacks_whole_records_is_found(tiny_records, tmp_path):
    first, *rest = tiny_records.by_id.values()
    write_records(tmp_path / "one", [first])
    write_records(tmp_path / "all", [first, *rest])
    (shard,) = (tmp_path / "one").glob("*.tfrecord")
    (whole,) = (tmp_path / "all").glob("*.tfrecord")
    whole.write_bytes(shard.read_bytes())
    with pytest.raises(ValueError, match="the shards hold 1 records, .* says 12"):
        RecordPictures(f"{tmp_path}/all/*.tfrecord")


def test_more_shards_than_the_usual_limit_of_open_files(tiny_records, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        write_records(tmp_path, tiny_records.by_id.values(), num_shards=300)
        assert len(list(tmp_path.glob("*.tfrecord"))) == 300
        if hard != resource.RLIM_INFINITY:
            with pytest.raises(
                ValueError, match="`num_shards` is .*, but this machine"
            ):
                write_records(tmp_path / "more", [], num_shards=hard + 1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
