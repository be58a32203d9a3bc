"""What reading stored labels promises: what was written, picture by picture."""

import glob
import pathlib
import shutil

import numpy as np
import pytest

from st_keras.data import images, records
from st_keras.runtime.stored_labels import labels_in
from tests.docs.pages import blocks
from tests.record_files import write_records


def test_labels_come_back_as_they_were_written(tiny_records):
    found = dict(labels_in(tiny_records.glob))
    assert found.keys() == tiny_records.by_id.keys()
    for image_id, record in tiny_records.by_id.items():
        boxes = found[image_id]
        np.testing.assert_allclose(boxes.boxes_yxyx, record.boxes_yxyx, atol=1e-3)
        np.testing.assert_array_equal(boxes.class_ids, np.array(record.labels) - 1)
        assert set(boxes.scores) <= {1.0}


def test_ids_choose_the_pictures(tiny_records):
    found = labels_in(tiny_records.glob, ids=["tiny_04", "tiny_02"])
    assert {image_id: len(boxes.scores) for image_id, boxes in found} == {
        **{"tiny_02": 1, "tiny_04": 5}
    }
    with pytest.raises(ValueError, match="tiny_99"):
        list(labels_in(tiny_records.glob, ids=["tiny_99"]))


def test_pseudo_labels_keep_their_scores_and_maps_their_confidences(tmp_path):
    label_map = np.array([[0, 1, 1], [255, 1, 0]], np.uint8)
    confidence = np.array([[9, 200, 30], [0, 1, 255]], np.uint8)
    record = records.Record(
        **{"image_id": "a", "encoded": b"", "format": "png", "filename": ""},
        **{"height_px": 2, "width_px": 3, "source": "a teacher"},
        label_map_png=images.encode_png(label_map),
        confidence_png=images.encode_png(confidence),
    )
    write_records(tmp_path, [record], label_map_names=("sky", "road"))
    ((image_id, found),) = labels_in(f"{tmp_path}/*.tfrecord")
    assert image_id == "a"
    np.testing.assert_array_equal(found.class_ids, label_map)
    np.testing.assert_array_equal(found.confidences, confidence)


def test_the_lines_of_the_page_on_pseudo_labels_run(tiny_records, capsys):
    (block,) = [b for b in blocks("py") if b.page.name == "pseudo_labels.md"]
    exec(block.text.replace("runs/demo/labels_1/*.tfrecord", tiny_records.glob), {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 12 and printed[1] == "tiny_01 [] []"


def test_damaged_records_are_named(tiny_records, tmp_path):
    shutil.copytree(pathlib.Path(tiny_records.glob).parent, tmp_path / "cut")
    shard = sorted(glob.glob(f"{tmp_path}/cut/*.tfrecord"))[1]
    content = pathlib.Path(shard).read_bytes()
    pathlib.Path(shard).write_bytes(content[:-40])
    with pytest.raises(ValueError, match=r"cut/\*.tfrecord`: not readable: .*again"):
        list(labels_in(f"{tmp_path}/cut/*.tfrecord"))
