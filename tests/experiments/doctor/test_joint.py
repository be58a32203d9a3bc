"""What the doctor looks for in joint training, and in a teacher that is asked live."""

import pytest

from tests import patterns


@pytest.fixture
def joint(ward):
    patterns.write(ward.root / "classes", "val")
    return {
        **{"records": ward.glob("classes/val"), "images_per_step": 4},
        "image_size_px": [64, 64],
    }


def test_nothing_is_wrong_with_classes_of_other_pictures(ward, joint):
    assert ward.found(joint=joint) == []


def test_classes_of_the_very_pictures_that_have_boxes_are_fine(ward, joint):
    (found,) = ward.found(joint=joint | {"records": ward.glob("train")})
    assert "`joint.records`" in found
    assert "no classes of pictures" in found


def test_pictures_of_the_test_set_are_a_problem(ward, joint):
    found = ward.found(joint=joint | {"records": ward.glob("test")})
    assert any("test" in text and "joint" in text for text in found)
    assert sum("no picture in common" in text for text in found) == 1


def test_a_step_that_sees_pictures_twice_is_a_problem(ward, joint):
    (found,) = ward.found(joint=joint | {"images_per_step": 10})
    assert found.startswith("problem: joint: a step takes 10 pictures, but there are 9")


def test_few_pictures_for_batch_norm_are_a_warning(ward, joint):
    (found,) = ward.found(joint=joint | {"images_per_step": 3})
    assert found.startswith("warning: BatchNorm takes its statistics from 3 images")
