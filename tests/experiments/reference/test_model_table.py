"""What docs/models.md promises: our numbers, next to the published ones."""

import pathlib
import re

import pytest

from st_keras import models
from st_keras.experiments.reference import model_table
from st_keras.experiments.reference.model_table import PUBLISHED, Size

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "models.md"
LARGEST_DIFFERENCE = 0.005
QUICK = ("retinanet_spinenet_mobile_49", "classifier_efficientnet_b0")


def rows():
    """Returns the cells of each line of the page, by preset."""
    lines = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in lines}


def is_close(ours: float, published: str) -> bool:
    """Whether a number is within 0.5%, or equal at the published precision."""
    decimals = len(published.partition(".")[2])
    half_a_digit = 0.5 * 10.0**-decimals
    allowed = max(LARGEST_DIFFERENCE * float(published), half_a_digit)
    return abs(ours - float(published)) <= allowed * (1 + 1e-9)


def sizes():
    return {
        name: (int(cells[1].replace(",", "")), float(cells[4].removesuffix(" B")))
        for name, cells in rows().items()
    }


def test_every_preset_has_a_row():
    assert list(rows()) == list(models.PRESETS)
    assert set(PUBLISHED) <= set(models.PRESETS)
    assert len(PUBLISHED) >= 16


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_size_is_met_or_the_difference_explained(name):
    parameters, multiply_adds_b = sizes()[name]
    published = PUBLISHED[name]
    is_met = is_close(parameters / 1e6, published.parameters_m) and (
        not published.multiply_adds_b
        or is_close(multiply_adds_b, published.multiply_adds_b)
    )
    assert is_met != bool(published.explanation)


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in models.PRESETS
    ],
)
def test_the_page_has_the_size_that_is_measured(name):
    assert model_table.row(name, model_table.measure(name)) in PAGE.read_text()


def test_close_means_half_a_percent_or_the_same_rounding():
    # 0.5% of 28.5 is 0.1425.
    assert is_close(28.64, "28.5") and not is_close(28.65, "28.5")
    # 0.98 prints as 1.0 with one digit, 0.94 as 0.9.
    assert is_close(0.98, "1.0") and not is_close(0.94, "1.0")
    assert is_close(11.6, "12") and not is_close(11.4, "12")


def test_a_row_shows_both_numbers_and_their_difference():
    size = Size(parameters=28_785_000, multiply_adds=84_546_000_000)
    row = model_table.row("retinanet_spinenet_49", size)
    # 28.785 / 28.5 = 1.01; 84.546 / 85.4 = 0.99.
    assert row == (
        "| `retinanet_spinenet_49` | 640 | 28,785,000 | 28.5 M | +1.0% | 84.55 B "
        "| 85.4 B | -1.0% | authors' model zoo |"
    )


def test_the_page_has_around_its_table_what_the_tool_writes():
    text = PAGE.read_text()
    rows = re.findall(r"^\| `.*$", text, re.MULTILINE)
    assert model_table.page(rows) == text
