"""What `--check` accepts."""

import dataclasses

import pytest

from st_keras.config import ExpectConfig
from st_keras.experiments.expected import check_metrics, read_expectation

EXPECT = ExpectConfig(metric="AP", value=60.0, tolerance=2.0)


@pytest.mark.parametrize("value", [58.0, 60.5, 62.0])
def test_a_metric_within_the_tolerance_is_as_it_should_be(value):
    assert "as it should be" in check_metrics({"AP": value}, EXPECT)


@pytest.mark.parametrize("value", [57.9, 62.1, float("nan")])
def test_a_metric_outside_the_tolerance_is_an_error(value):
    with pytest.raises(ValueError, match=r"`AP` must be 60 \+- 2, got"):
        check_metrics({"AP": value}, EXPECT)


def test_an_unknown_metric_is_named_beside_the_known():
    with pytest.raises(ValueError, match="must be one of mIoU, got AP"):
        check_metrics({"mIoU": 60.0, "per_class": {}}, EXPECT)
    with pytest.raises(ValueError, match="must be one of AP, got per_class"):
        by_class = dataclasses.replace(EXPECT, metric="per_class")
        check_metrics({"AP": 60.0, "per_class": {}}, by_class)


def test_a_config_without_an_expectation_cannot_be_checked(teacher_config):
    with pytest.raises(ValueError, match="no `expect` part"):
        read_expectation(teacher_config)
    config = dataclasses.replace(teacher_config, expect=EXPECT)
    assert read_expectation(config) == EXPECT
