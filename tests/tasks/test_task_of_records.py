"""Which task speaks of records, where no config says so."""

import dataclasses

import pytest

from st_keras.data import dataset_info
from st_keras.tasks import task_of_records
from st_keras.tasks.detection import DetectionTask


def test_records_with_boxes_are_for_detection(tiny_records):
    task = task_of_records(dataset_info.load(tiny_records.glob))
    assert isinstance(task, DetectionTask)
    assert task.class_names == task.names_in_records == tiny_records.class_names


def test_records_with_label_maps_are_for_segmentation(tiny_records):
    info = dataset_info.load(tiny_records.glob)
    info = dataclasses.replace(info, class_names=(), label_map_names=("sky", "road"))
    task = task_of_records(info)
    assert task.names_field == "label_map_names"
    assert task.class_names == ("sky", "road")


def test_records_without_labels_are_refused(tiny_records):
    info = dataset_info.load(tiny_records.glob)
    with pytest.raises(ValueError, match="labels for no task"):
        task_of_records(dataclasses.replace(info, class_names=()))
    both = dataclasses.replace(info, label_map_names=("sky",))
    with pytest.raises(ValueError, match="labels for detection and segmentation"):
        task_of_records(both)
