"""What dataset.json promises."""

import dataclasses
import json

import numpy as np
import pytest

from st_keras.data import dataset_info, images, records


def record(label_map=None, labels=()):
    png = None
    if label_map is not None:
        png = images.encode_png(np.array(label_map, np.uint8))
    return records.Record(
        **{"image_id": "a", "encoded": b"", "format": "png", "filename": "a.png"},
        **{"height_px": 2, "width_px": 3, "label_map_png": png},
        boxes_yxyx=np.zeros([len(labels), 4], np.float32),
        labels=np.array(labels, np.int64),
    )


def info(tally, **options):
    fields = {"source": "masks", "skipped": {}, "content_sha256": "", "shards": ["s"]}
    return tally.info(**fields, **options)


def test_pixels_are_counted_by_the_names_of_their_values():
    tally = dataset_info.Tally()
    tally.add(record([[0, 2, 2], [255, 0, 2]]))
    tally.add(record([[2, 255, 255]]))
    found = info(tally, label_map_names=("sky", "car", "road"))
    assert found.pixels_per_class == {"sky": 2, "car": 0, "road": 4}
    assert found.ignored_pixels == 3
    assert (found.class_names, found.boxes_per_class) == ((), {})


def test_a_record_may_have_boxes_and_a_map_or_neither():
    tally = dataset_info.Tally()
    tally.add(record([[0, 1, 1]], labels=[2, 2]))
    tally.add(record())
    found = info(tally, class_names=("cat", "dog"), label_map_names=("ground", "dog"))
    assert found.boxes_per_class == {"cat": 0, "dog": 2}
    assert found.images_without_boxes == 1
    assert found.pixels_per_class == {"ground": 1, "dog": 2}


def test_tallies_of_parts_add_up():
    parts = [
        [record([[0, 1, 1]], labels=[2, 2]), record()],
        [record([[255, 1, 0]], labels=[1, 2, 2, 1]), record(labels=[2])],
    ]
    whole, added = dataset_info.Tally(), dataset_info.Tally()
    for part in parts:
        tally = dataset_info.Tally()
        for one in part:
            tally.add(one)
            whole.add(one)
        added.add_counts(json.loads(json.dumps(tally.counts())))
    names = {"class_names": ("cat", "dog"), "label_map_names": ("ground", "dog")}
    found = info(added, **names)
    assert found == info(whole, **names)
    # 0, 1, 2 and 4 boxes.
    assert found.boxes_per_image["mean"] == 1.75
    assert [found.boxes_per_image[p] for p in ("p0", "p100")] == [0.0, 4.0]
    assert found.pixels_per_class == {"ground": 2, "dog": 3}
    assert found.ignored_pixels == 1


def test_what_is_saved_is_loaded(tmp_path):
    tally = dataset_info.Tally()
    tally.add(record([[0, 1, 255]]))
    saved = info(tally, label_map_names=("sky", "road"))
    dataset_info.save(saved, tmp_path)
    (tmp_path / "s.tfrecord").touch()
    assert dataset_info.load(f"{tmp_path}/*.tfrecord") == saved


def test_files_from_before_label_maps_were_counted_load(tmp_path):
    dataset_info.save(info(dataset_info.Tally(), class_names=("cat",)), tmp_path)
    path = tmp_path / "dataset.json"
    fields = json.loads(path.read_text())
    for name in ("label_map_names", "pixels_per_class", "ignored_pixels"):
        del fields[name]
    path.write_text(json.dumps(fields))
    (tmp_path / "s.tfrecord").touch()
    loaded = dataset_info.load(f"{tmp_path}/*.tfrecord")
    assert (loaded.pixels_per_class, loaded.ignored_pixels) == ({}, 0)


def test_a_field_of_a_later_version_is_named(tmp_path):
    (tmp_path / "dataset.json").write_text('{"later": 1}')
    (tmp_path / "s.tfrecord").touch()
    with pytest.raises(ValueError, match="another version.*later"):
        dataset_info.load(f"{tmp_path}/*.tfrecord")


def test_pictures_are_counted_by_their_class_in_tallies_of_parts_too():
    parts, added = [dataset_info.Tally(), dataset_info.Tally()], dataset_info.Tally()
    for number, label in enumerate((1, 3, None, 3)):
        parts[number % 2].add(dataclasses.replace(record(), class_label=label))
    for part in parts:
        added.add_counts(json.loads(json.dumps(part.counts())))
    found = info(added, image_class_names=("ant", "bee", "cat"))
    assert found.images_per_class == {"ant": 1, "bee": 0, "cat": 2}
    assert found.images == 4


def test_counts_of_an_earlier_version_are_added():
    tally, added = dataset_info.Tally(), dataset_info.Tally()
    tally.add(record(labels=[1]))
    counts = tally.counts()
    del counts["classes"]
    added.add_counts(counts)
    assert info(added, class_names=("cat",)).boxes == 1


def test_the_shards_of_a_folder_are_found_whatever_it_is_called(tmp_path):
    folder = tmp_path / "lr=[0.1], *"
    folder.mkdir()
    (folder / "records-00000-of-00001.tfrecord").touch()
    (path,) = dataset_info.shard_paths(dataset_info.shards_of(f"{folder}/"))
    assert path == str(folder / "records-00000-of-00001.tfrecord")
    assert dataset_info.shards_of("runs/labels_1") == "runs/labels_1/*.tfrecord"
    written_by_hand = f"{folder}/*.tfrecord"
    assert dataset_info.shard_paths(written_by_hand) == [path]


def test_records_of_two_conversions_are_not_one_set(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "records-00000-of-00001.tfrecord").touch()
    with pytest.raises(ValueError, match=r"of one conversion, got those in .*/a, .*/b"):
        dataset_info.shard_paths(f"{tmp_path}/*/*.tfrecord")


def test_a_folder_is_no_record_file(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(ValueError, match=r"got a folder; write '.*/train/\*.tfrecord'"):
        dataset_info.shard_paths(f"{tmp_path}/train/")
