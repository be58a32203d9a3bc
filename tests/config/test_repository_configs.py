"""What the configs of the repository promise: each loads, and is what it says."""

import pathlib

import pytest

from st_keras import config

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
GRIDS = CONFIGS / "experiments"  # Of many configs each; tests of grids load them.
YAMLS = sorted(set(CONFIGS.rglob("*.yaml")) - set(GRIDS.glob("*.yaml")))


def test_models_for_cpus_may_start_from_each_other():
    """A backbone with another epsilon is another function, which is refused."""
    loaded = [config.load(str(path)) for path in YAMLS]
    tiny = [c.section for c in loaded if c.section.backbone == "tiny"]
    assert len(tiny) > 5
    assert {section.batch_norm_epsilon for section in tiny} == {0.001}


@pytest.mark.parametrize(
    "path", YAMLS, ids=[str(path.relative_to(CONFIGS)) for path in YAMLS]
)
def test_every_config_of_the_repository_loads(path):
    loaded = config.load(str(path))
    assert config.from_dict(config.to_dict(loaded)) == loaded
