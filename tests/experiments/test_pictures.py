"""What the pictures of a report show."""

import dataclasses

import numpy as np
import pytest

from st_keras.data import dataset_info, drawing
from st_keras.experiments import pictures
from st_keras.self_training import labeling
from st_keras.tasks import with_class_names
from st_keras.types import IGNORED

DROPPED = (170, 170, 170)


def draw(streets, image_id, class_id=None):
    labels = streets.labels[image_id]
    if class_id is not None:
        labels = labels._replace(class_ids=np.full_like(labels.class_ids, class_id))
    return drawing.draw_labels(
        streets.pixels[image_id],
        labels,
        streets.class_names,
        smallest_side_px=240,
        largest_side_px=480,
    )


def taught(config, records, min_score):
    pseudo = dataclasses.replace(config.pseudo, records=records, min_score=min_score)
    return dataclasses.replace(config, pseudo=pseudo)


def test_rows_of_maps_show_the_truth_and_then_each_model(street_records, road_run):
    runs = {"teacher": road_run, "student": road_run}
    rows = pictures.test_rows(runs, street_records.glob, count=3)
    # Seven pictures: every seven thirds.
    assert [row.image_id for row in rows] == ["street_0", "street_2", "street_4"]
    for row in rows:
        road = draw(street_records, row.image_id, 1)
        expected = [draw(street_records, row.image_id), road, road]
        for found, wanted in zip(row.drawn, expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("min_score, class_id", [(0.55, 1), (0.65, IGNORED)])
def test_pseudo_maps_are_hatched_below_the_threshold_and_stand_beside_the_truth(
    street_records, street_config, road_run, tmp_path, min_score, class_id
):
    labeling.label_pictures(road_run, str(tmp_path), records=street_records.glob)
    student = taught(street_config, f"{tmp_path}/*.tfrecord", min_score)
    rows = pictures.pseudo_rows(student, street_records.glob, count=4)
    # Of 0, 2, 4, 6 and 1, 3, 5 in two files: positions 0, 7 / 4, 14 / 4 and 21 / 4.
    assert [row.image_id for row in rows] == [f"street_{n}" for n in (0, 2, 6, 3)]
    for row in rows:
        pseudo, truth = row.drawn
        np.testing.assert_array_equal(
            pseudo, draw(street_records, row.image_id, class_id)
        )
        np.testing.assert_array_equal(truth, draw(street_records, row.image_id))


def test_pictures_that_nobody_labelled_are_shown_without_truth(
    street_records, street_config, road_run, tiny_records, tmp_path
):
    # Boxes say nothing of pixels.
    labeling.label_pictures(road_run, str(tmp_path), records=tiny_records.glob)
    student = taught(street_config, f"{tmp_path}/*.tfrecord", 0.5)
    rows = pictures.pseudo_rows(student, tiny_records.glob, count=4)
    assert [len(row.drawn) for row in rows] == [1] * 4


def test_pseudo_boxes_are_dashed_below_the_threshold(
    tiny_records, cup_run, student_config, tmp_path
):
    labeling.label_pictures(
        cup_run, str(tmp_path), records=tiny_records.glob, score_floor=0.4
    )
    info = dataset_info.load(tiny_records.glob)
    config = with_class_names(student_config_of(student_config, tiny_records), info)
    is_dashed = []
    for min_score in (0.45, 0.55):  # The cups have 0.5.
        student = taught(config, f"{tmp_path}/*.tfrecord", min_score)
        (row,) = pictures.pseudo_rows(student, tiny_records.glob, count=1)
        pseudo, truth = row.drawn
        assert not (truth == DROPPED).all(-1).any()
        is_dashed.append((pseudo == DROPPED).all(-1).any())
    assert is_dashed == [False, True]


def student_config_of(config, tiny_records):
    human = dataclasses.replace(config.human, records=tiny_records.glob, ids="")
    return dataclasses.replace(config, human=human)
