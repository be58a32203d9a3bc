"""The paper's configs: each builds the preset of its name."""

import inspect
import pathlib

import pytest

from st_keras import config as config_lib
from st_keras import models
from st_keras.tasks import build_task, with_class_names
from tests.config.datasets import COCO, PASCAL

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
FOLDER = CONFIGS / "detection"
DETECTORS = [name for name in models.PRESETS if name.startswith("retinanet_")]
STUDENTS = [  # Of the paper's tables.
    *("retinanet_efficientnet_b7_fpn", "retinanet_resnet50_fpn"),
    *("retinanet_spinenet_143", "retinanet_spinenet_190"),
]


@pytest.fixture
def built(monkeypatch):
    """Collects what `models.retinanet` is called with."""
    calls = []

    def retinanet(*size_and_classes, **settings):
        calls.append((*size_and_classes, settings))

    monkeypatch.setattr(models, "retinanet", retinanet)
    return calls


@pytest.mark.parametrize(
    "name", [*DETECTORS, *(f"{name}_student" for name in STUDENTS)]
)
def test_a_config_builds_the_preset_of_its_name(name, built):
    preset = models.PRESETS[name.removesuffix("_student")]
    config = config_lib.load(str(FOLDER / f"{name}.yaml"))
    assert config.role == ("student" if name.endswith("_student") else "teacher")
    config = with_class_names(config, COCO)
    build_task(config).build_model(sync_batch_norm=False)
    size, num_classes, settings = built[0]
    assert size == (preset.side_px, preset.side_px)
    assert num_classes == preset.num_classes
    defaults = {"norm": models.Norm(), "activation": "relu"}
    for setting, value in (defaults | dict(preset.settings)).items():
        assert settings[setting] == value, setting
    if "head_filters" not in preset.settings:
        assert settings["head_filters"] == 256
    assert settings["head_convs"] == preset.settings.get("head_convs", 4)
    assert settings["anchors_per_cell"] == 9
    assert config.detection.anchor_size == preset.anchor_size


SEGMENTERS = [
    name
    for name in models.PRESETS
    if "segmenter" in name and not name.endswith("_b0") or name.endswith("resnet101")
]


@pytest.mark.parametrize("name", SEGMENTERS)
@pytest.mark.parametrize("role", ["", "_student"])
def test_a_segmenter_is_the_preset_of_its_name(name, role, monkeypatch):
    preset, calls = models.PRESETS[name], []
    path = CONFIGS / "segmentation" / f"{name}{role}.yaml"
    if role and not name.startswith("nas_fpn"):
        pytest.skip("The paper has no such student.")
    monkeypatch.setattr(
        models, preset.function.__name__, lambda *a, **more: calls.append((a, more))
    )
    config = with_class_names(config_lib.load(str(path)), PASCAL)
    build_task(config).build_model(sync_batch_norm=False)
    ((size, num_classes), settings) = calls[0]
    assert size == (preset.side_px, preset.side_px)
    assert num_classes == preset.num_classes
    # What neither says is the default of the function.
    defaults = inspect.signature(preset.function).parameters
    stated = {name: d.default for name, d in defaults.items()} | dict(preset.settings)
    for setting, value in settings.items():
        assert value == stated[setting], setting
    assert config.role == ("student" if role else "teacher")


def test_a_config_of_the_paper_knows_the_classes_of_its_records():
    """Other records are refused, and a plan of costs needs no records."""
    coco = config_lib.load(str(FOLDER / "coco.yaml"))
    assert with_class_names(coco, COCO) == coco
    assert len(coco.detection.class_names) == 91
    assert coco.detection.class_names[44] == "bottle"  # By COCO's id.
    pascal = config_lib.load(str(CONFIGS / "segmentation" / "pascal.yaml"))
    assert with_class_names(pascal, PASCAL) == pascal
    assert len(pascal.segmentation.class_names) == 21


def test_every_segmentation_config_loads():
    paths = sorted((CONFIGS / "segmentation").glob("*.yaml"))
    loaded = [config_lib.load(str(path)) for path in paths]
    # A teacher of each preset, students of two, what they share, and the small one.
    assert len(loaded) == len(SEGMENTERS) + 2 + 2
    assert all(config.task_name == "segmentation" for config in loaded)


def test_every_config_of_the_folder_loads():
    loaded = [config_lib.load(str(path)) for path in sorted(FOLDER.glob("*.yaml"))]
    # The presets, students, what they share, the two for pictures of one's own, and two
    # that are jointly trained with classes.
    assert len(loaded) == len(DETECTORS) + len(STUDENTS) + 5
    assert all(config.human.records for config in loaded)


def test_every_classification_config_loads():
    paths = sorted((CONFIGS / "classification").glob("*.yaml"))
    loaded = {path.stem: config_lib.load(str(path)) for path in paths}
    assert {name: c.task_name for name, c in loaded.items()} == {
        "folders_cpu": "classification",
        "imagenet_resnet50": "classification",
        "simclr_cpu": "simclr",
        "simclr_resnet50": "simclr",
    }
    imagenet = loaded["imagenet_resnet50"]
    # 90 epochs of 1,281,167 pictures, and the learning rate falls after 30, 60, 80.
    epoch = 1_281_167 // imagenet.human.images_per_step
    assert imagenet.training.steps == 90 * epoch
    steps = imagenet.optimization.step_boundaries
    assert steps == (30 * epoch, 60 * epoch, 80 * epoch)


@pytest.mark.parametrize("name", ["imagenet_resnet50", "simclr_resnet50"])
def test_a_detector_of_the_paper_can_start_from_a_run_of_its_backbone(name):
    """BatchNorm's epsilon and the activation are alike, so its layers do the same."""
    ours = config_lib.load(str(CONFIGS / "classification" / f"{name}.yaml"))
    theirs = config_lib.load(str(FOLDER / "retinanet_resnet50_fpn.yaml"))
    for setting in ("backbone", "flavor", "activation", "batch_norm_epsilon"):
        assert getattr(ours.section, setting) == getattr(theirs.section, setting)
