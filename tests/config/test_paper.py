"""Where a config goes its own way."""

import pathlib

import pytest

from st_keras import config as config_lib
from st_keras.config import paper

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"


def of(name, *overrides):
    return paper.differences(config_lib.load(str(CONFIGS / name), overrides))


def test_the_papers_own_configs_do_as_the_paper():
    for size in ("b7", "l2"):
        name = f"segmentation/nas_fpn_segmenter_efficientnet_{size}_student.yaml"
        assert of(name) == []


def test_what_differs_is_shown_beside_the_papers_value():
    rows = of(
        "segmentation/nas_fpn_segmenter_efficientnet_b7_student.yaml",
        *("pseudo.decay=0.99", "training.steps=1500"),
        *("segmentation.image_size_px=[256, 384]", "human.images_per_step=16"),
    )
    assert rows == [
        ("human.images_per_step", "16", "256"),
        ("training.steps", "1,500", "40,000 or 20,000"),
        ("segmentation.image_size_px", "256 x 384", "512 x 512"),
        ("pseudo.decay", "0.99", "0.9997"),
    ]


@pytest.mark.parametrize("path", CONFIGS.glob("*/*_cpu.yaml"), ids=lambda p: p.stem)
def test_configs_for_a_cpu_do_otherwise_and_pretraining_has_no_table(path):
    rows = of(path.relative_to(CONFIGS))
    assert bool(rows) == (path.parent.name != "classification")


def test_each_backbone_has_values_of_its_own():
    swapped = ["optimization.learning_rate=0.2", "human.images_per_step=128"]
    b7, l2 = (
        of(f"segmentation/nas_fpn_segmenter_efficientnet_{size}_student.yaml", *swapped)
        for size in ("b7", "l2")
    )
    assert b7 == [
        ("human.images_per_step", "128", "256"),
        ("optimization.learning_rate", "0.2", "0.08"),
    ]
    assert l2 == []


def test_a_backbone_that_the_paper_does_not_have_is_compared_with_all():
    rows = of("segmentation/deeplab_v3_plus_resnet101.yaml", "human.images_per_step=8")
    assert ("human.images_per_step", "8", "256 or 128") in rows


def test_what_is_not_known_of_the_paper_is_not_compared():
    name = "segmentation/nas_fpn_segmenter_efficientnet_b7_student.yaml"
    assert of(name, "pseudo.weight=3.0") == []


def test_a_teacher_is_not_asked_for_what_is_the_students():
    names = [name for name, _, _ in of("demo/digits_teacher.yaml")]
    assert names
    assert not [name for name in names if name.startswith("pseudo.")]
