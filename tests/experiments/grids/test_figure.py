"""What the figure of a grid shows: every seed, every mean, and what the paper has."""

import math

import numpy as np
import pytest

from st_keras.config.grid import ArmConfig, GridConfig
from st_keras.experiments.grids import figure

PAPER = "paper"


def cell(mean, published=None):
    """Returns a cell whose two seeds are 1 below and 1 above the mean."""
    found = {"values": [mean - 1.0, mean + 1.0], "mean": mean, "sd": math.sqrt(2.0)}
    return found | ({} if published is None else {"published": published})


def drawn(grid, **content):
    """Returns the axes of the figure of some cells."""
    (axes,) = figure._figure(grid, {"headline": "AP", "claims": {}} | content).axes
    return axes


def legend(axes):
    if axes.get_legend() is None:
        return []
    return [text.get_text() for text in axes.get_legend().get_texts()]


def curves(axes, style):
    """Returns the values of the lines of a style, those with data."""
    lines = [line for line in axes.lines if line.get_linestyle() == style]
    return [list(line.get_ydata()) for line in lines if len(line.get_ydata())]


ARMS = {"alone": ArmConfig(kind="supervised"), "student": ArmConfig()}


@pytest.fixture
def rows():
    """A grid without axes."""
    return GridConfig(
        title="Rows", config="x", seeds=(0, 1), arms=ARMS, reference="alone"
    )


@pytest.fixture
def columns():
    """A grid with three shares of labels."""
    labels = {"labels": {"20": (), "50": (), "100": ()}}
    return GridConfig(title="Columns", config="x", seeds=(0, 1), axes=labels, arms=ARMS)


OF_COLUMNS = {
    **{"20/alone": cell(30.0, 30.7), "50/alone": cell(38.0)},
    **{"100/alone": cell(44.0, 44.3), "20/student": cell(33.0)},
    **{"50/student": cell(40.0), "100/student": cell(45.0)},
}


def test_a_row_has_a_dot_for_each_seed_a_bar_for_the_mean_and_the_papers_value(rows):
    axes = drawn(rows, cells={"alone": cell(41.0, 41.5), "student": cell(43.0)})
    points = {
        (line.get_marker(), x, y) for line in axes.lines for x, y in line.get_xydata()
    }
    assert points == {
        *(("o", 40.0, 0), ("o", 42.0, 0), ("|", 41.0, 0), ("D", 41.5, 0)),
        *(("o", 42.0, 1), ("o", 44.0, 1), ("|", 43.0, 1)),
    }
    assert [text.get_text() for text in axes.get_yticklabels()] == ["alone", "student"]
    assert legend(axes) == [PAPER]


def test_a_diamond_of_the_paper_hides_no_dot(rows):
    axes = drawn(rows, cells={"alone": cell(41.0, 41.0), "student": cell(43.0)})
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    # One at the value, and that of the legend.
    assert {line.get_markerfacecolor() for line in diamonds} == {"none"}
    assert len(diamonds) == 2


def test_rows_of_which_nothing_is_published_have_no_legend(rows):
    axes = drawn(rows, cells={"alone": cell(41.0), "student": cell(43.0)})
    assert legend(axes) == []
    assert not [line for line in axes.lines if line.get_marker() == "D"]


def test_a_line_has_the_means_of_an_arm_and_names_it(columns):
    axes = drawn(columns, cells=OF_COLUMNS)
    assert curves(axes, "-") == [[30.0, 38.0, 44.0], [33.0, 40.0, 45.0]]
    assert legend(axes) == ["alone", "student", PAPER]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("labels", "AP")


def test_the_papers_values_are_shown_where_they_exist_and_not_guessed_between(columns):
    axes = drawn(columns, cells=OF_COLUMNS)
    alone, student = curves(axes, "--")
    np.testing.assert_equal(alone, [30.7, math.nan, 44.3])
    assert all(math.isnan(value) for value in student)
    # A value between two gaps is a point of no line: the marker shows it.
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert {line.get_marker() for line in dashed} == {"D"}


def test_the_papers_line_has_the_color_of_ours(columns):
    axes = drawn(columns, cells=OF_COLUMNS)
    ours, papers = (
        [line.get_color() for line in axes.lines if line.get_linestyle() == style]
        for style in ("-", "--")
    )
    assert papers[:2] == ours and len(set(ours)) == 2


def test_lines_of_which_nothing_is_published_do_not_name_the_paper(columns):
    cells = {name: cell(found["mean"]) for name, found in OF_COLUMNS.items()}
    assert legend(drawn(columns, cells=cells)) == ["alone", "student"]


def test_claims_are_rows_around_zero():
    grid = GridConfig(
        title="Claims",
        config="x",
        seeds=(0, 1),
        arms=ARMS,
        claims={"It helps": {"student": 1.0, "alone": -1.0}},
        only_claims=True,
    )
    cells = {"alone": cell(41.0), "student": cell(43.0)}
    axes = drawn(grid, cells=cells, claims={"It helps": cell(2.0)})
    assert [text.get_text() for text in axes.get_yticklabels()] == ["It helps"]
    assert axes.get_xlabel() == "AP, above 0 as claimed"
    assert [0.0, 0.0] in [list(line.get_xdata()) for line in axes.lines]
    assert legend(axes) == []
