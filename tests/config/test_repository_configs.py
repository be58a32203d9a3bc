"""What the configs of the repository promise: each loads, and is what it says."""

import json
import pathlib
import statistics

import pytest

from st_keras import config

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
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


@pytest.mark.parametrize("model", ["teacher", "student"])
@pytest.mark.parametrize(
    ("task", "results"), [("", "demo"), ("segmentation_", "demo_segmentation")]
)
def test_what_the_demo_expects_is_what_was_measured(task, results, model):
    expect = config.load(str(CONFIGS / f"demo/digits_{task}{model}.yaml")).expect
    rows = json.loads((ROOT / f"docs/results/{results}.json").read_text())["rows"]
    measured = [row[f"{model}_{expect.metric}"] for row in rows]
    assert len(measured) == 3
    assert abs(statistics.mean(measured) - expect.value) < 0.05
    assert abs(2 * statistics.stdev(measured) - expect.tolerance) < 0.2
