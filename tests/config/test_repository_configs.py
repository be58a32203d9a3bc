"""What the configs of the repository promise: each loads, and is what it says."""

import pathlib

import pytest

from st_keras import config

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
GRIDS = CONFIGS / "experiments"  # Of many configs each; tests of grids load them.
YAMLS = sorted(set(CONFIGS.rglob("*.yaml")) - set(GRIDS.glob("*.yaml")))


@pytest.mark.parametrize(
    "path", YAMLS, ids=[str(path.relative_to(CONFIGS)) for path in YAMLS]
)
def test_every_config_of_the_repository_loads(path):
    loaded = config.load(str(path))
    assert config.from_dict(config.to_dict(loaded)) == loaded
