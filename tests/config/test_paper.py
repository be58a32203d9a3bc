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
        ("human.images_per_step", "16", "256 or 128"),
        ("training.steps", "1,500", "40,000 or 20,000"),
        ("segmentation.image_size_px", "256 x 384", "512 x 512"),
        ("pseudo.decay", "0.99", "0.9997"),
    ]


@pytest.mark.parametrize("path", CONFIGS.glob("*/*_cpu.yaml"), ids=lambda p: p.stem)
def test_configs_for_a_cpu_do_otherwise_and_pretraining_has_no_table(path):
    rows = of(path.relative_to(CONFIGS))
    assert bool(rows) == (path.parent.name != "classification")


def test_a_teacher_is_not_asked_for_what_is_the_students():
    names = [name for name, _, _ in of("demo/digits_teacher.yaml")]
    assert names
    assert not [name for name in names if name.startswith("pseudo.")]
