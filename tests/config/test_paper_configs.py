"""The paper's configs: each builds the preset of its name."""

import pathlib

import pytest

from st_keras import config as config_lib
from st_keras import models
from st_keras.tasks import build_task, with_class_names

FOLDER = pathlib.Path(__file__).parents[2] / "configs" / "detection"
NAMES = tuple(f"category {number}" for number in range(1, 91))
DETECTORS = [name for name in models.PRESETS if name.startswith("retinanet_")]


@pytest.fixture
def built(monkeypatch):
    """Collects what `models.retinanet` is called with."""
    calls = []

    def retinanet(*size_and_classes, **settings):
        calls.append((*size_and_classes, settings))

    monkeypatch.setattr(models, "retinanet", retinanet)
    return calls


@pytest.mark.parametrize("name", DETECTORS)
def test_a_config_builds_the_preset_of_its_name(name, built):
    preset = models.PRESETS[name]
    config = config_lib.load(str(FOLDER / f"{name}.yaml"))
    config = with_class_names(config, NAMES)
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


def test_every_config_of_the_folder_loads():
    loaded = [config_lib.load(str(path)) for path in sorted(FOLDER.glob("*.yaml"))]
    # The presets, what they share, and the one for pictures of one's own.
    assert len(loaded) == len(DETECTORS) + 2
    assert all(config.human.records for config in loaded)
