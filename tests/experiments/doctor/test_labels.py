"""Each thing that can be wrong with labels, and nothing else, is found."""

import numpy as np
import pytest

from st_keras.data import images
from st_keras.experiments.doctor import checkup
from tests.experiments.doctor.ward import CLASSES, picture


def pictures(name, number, labels_of):
    return [
        picture(f"{name}_{i}", number, i, labels=labels)
        for i, labels in enumerate(labels_of)
    ]


def test_what_was_read_is_counted(ward):
    case, _ = checkup.examine(ward.config(), steps=0)
    human = case.surveys["human"]
    assert (human.pictures, human.empty, human.most_per_picture) == (8, 0, 3)
    assert human.per_class == {0: 8, 1: 8, 2: 8}
    assert human.human == {"boxes_per_image": 3.0}
    assert case.surveys["test"].pictures == 3


def test_only_the_chosen_pictures_count(ward):
    # Pictures 8 to 11 are not labelled by people.
    ward.write("train", pictures("train", 0, [(1, 2, 3)] * 8 + [()] * 4))
    assert ward.found() == []


def test_a_class_that_is_asked_for_and_never_shown_is_a_problem(ward):
    ward.write("train", pictures("train", 0, [(1, 3)] * 8 + [(1, 2, 3)] * 4))
    (found,) = ward.found()
    assert found == (
        "problem: human: no picture shows cup, but evaluation and test ask for it."
    )


def test_a_class_that_nobody_shows_is_a_warning(ward):
    for number, (name, count) in enumerate({"train": 12, "val": 4, "test": 3}.items()):
        ward.write(name, pictures(name, number, [(1, 3)] * count))
    assert ward.found() == ["warning: human: no picture shows cup."]


def test_a_class_that_is_not_measured_is_a_warning(ward):
    ward.write("test", pictures("test", 2, [(1, 2)] * 3))
    (found,) = ward.found()
    assert found.startswith("warning: test: no picture shows kite, so nothing is")


def test_many_pictures_without_labels_are_a_warning(ward):
    ward.write("train", pictures("train", 0, [()] * 5 + [(1, 2, 3)] * 7))
    assert ward.found() == ["warning: human: 5 of 8 pictures have no label."]


def test_no_label_at_all_is_one_problem(ward):
    ward.write("train", pictures("train", 0, [()] * 8 + [(1, 2, 3)] * 4))
    assert ward.found() == ["problem: human: none of 8 pictures has a label."]


def test_a_label_without_a_name_is_a_problem(ward):
    ward.write("val", pictures("val", 1, [(1, 2, 3), (1, 2, 7), (1, 2), (3,)]))
    (found,) = ward.found()
    assert found == (
        "problem: evaluation: `ROOT/val/*.tfrecord` has labels without a name in "
        "dataset.json: 7; there are 3 names."
    )


def test_more_objects_than_are_kept_are_a_warning(ward):
    found = ward.found("detection.postprocess.max_detections=2")
    assert [text.split(",")[0] for text in found] == [
        f"warning: {name}: a picture has 3 objects"
        for name in ("human", "evaluation", "test")
    ]
    assert ward.found("detection.postprocess.max_detections=3") == []


def test_objects_too_small_for_the_network_are_a_warning(ward):
    # 80 x 100 px are shown in 32 x 32, so a box of 16 x 20 is 5 px high.
    (found,) = ward.found("detection.image_size_px=[32, 32]")
    assert found.startswith("warning: human: 100% of 24 labels have a side under 8 px")


def test_a_record_that_cannot_be_read_is_told_with_its_set(ward):
    path = sorted((ward.root / "val").glob("*.tfrecord"))[0]
    content = bytearray(path.read_bytes())
    content[-40] ^= 0xFF  # The length is as it was; the checksum is not.
    path.write_bytes(content)
    (found,) = ward.found()
    assert found.startswith("problem: evaluation: `ROOT/val/*.tfrecord`: a record")


@pytest.fixture
def maps(ward):
    """Writes the same pictures with a map: left class 0, right class 1, below 255."""

    def write(known_rows):
        ids = np.full([80, 100], 255, np.uint8)
        ids[:known_rows, :40], ids[:known_rows, 40:] = 0, 1
        png = images.encode_png(ids)
        for number, name in enumerate(("train", "val", "test")):
            written = [
                picture(f"{name}_{i}", number, i, labels=(), label_map_png=png)
                for i in range({"train": 12, "val": 4, "test": 3}[name])
            ]
            ward.write(name, written, label_map_names=CLASSES[:2])
        segmentation = {
            **{"image_size_px": [64, 64], "backbone": "tiny"},
            "deeplab": {"output_stride": 32, "aspp_rates": [1], "aspp_filters": 16},
        }
        return ward.found("detection=null", segmentation=segmentation)

    return write


def test_label_maps_are_looked_at_alike(maps):
    assert maps(80) == []


def test_pixels_that_are_mostly_ignored_are_a_warning(maps):
    found = maps(24)
    assert found == [
        f"warning: {name}: only 30% of the pixels have a class, the rest is ignored."
        for name in ("human", "evaluation", "test")
    ]
