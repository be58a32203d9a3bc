"""What a row of a benchmark promises."""

import pytest

from st_keras.experiments.benchmarks import rows
from st_keras.experiments.benchmarks.rows import Measurement


def compare(ours, peer, **settings):
    sides = [iter(Measurement(rate, 0.98) for rate in side) for side in (ours, peer)]
    mine, other = (lambda side=side: next(side) for side in sides)
    return rows.compare("input/x", mine, other, pairs=len(ours), **settings)


def test_the_ratio_is_the_median_of_the_pairs_and_not_of_the_sides():
    # Pairs: 30/10 = 3, 80/20 = 4, 20/40 = 0.5. Medians of the sides: 30 and 20.
    row = compare([30, 80, 20], [10, 20, 40])
    assert (row["ours"], row["peer"], row["ratio"]) == (30, 20, 3)
    assert [run["ratio"] for run in row["runs"]] == [3, 4, 0.5]


def test_both_sides_are_measured_in_turn():
    order = []

    def side(name):
        return lambda: order.append(name) or Measurement(1.0, 1.0)

    done = lambda: order.append("pair")  # noqa: E731
    rows.compare("x", side("ours"), side("peer"), pairs=2, after_pair=done)
    assert order == ["ours", "peer", "pair"] * 2


def test_a_row_has_these_keys_and_a_note_only_where_there_is_one():
    keys = ["name", "ours", "peer", "unit", "ratio", "runs"]
    assert list(compare([5], [2])) == keys
    assert compare([5], [2], note="Half the work.")["note"] == "Half the work."


def test_the_table_shows_how_far_the_pairs_differ():
    table = rows.format_rows([compare([30, 80, 20], [10, 20, 40])])
    assert table.splitlines() == [
        "         ours  peer               unit  ratio      of pairs",
        "input/x  30.0  20.0  images/s per core   3.00  0.50 to 4.00",
    ]


def test_milliseconds_are_of_one_image():
    assert rows.milliseconds(Measurement(250.0, 1.0)) == 4.0


def test_the_machine_and_the_versions_are_named():
    assert rows.machine()["cores"] >= 1 and rows.machine()["cpu"]
    versions = rows.versions()
    assert versions["tf-models-official"].startswith("2.15")
    assert set(versions) == {"tensorflow", "tf-models-official", "st_keras"}


@pytest.mark.parametrize("text", ["", "flags : fpu vme\n"])
def test_a_processor_without_a_name_is_no_error(monkeypatch, text):
    monkeypatch.setattr(rows.pathlib.Path, "read_text", lambda self: text)
    assert isinstance(rows.machine()["cpu"], str)


def test_of_the_wall_there_is_a_ratio_per_second_of_processor_time_too():
    # 30/s with 1.5 cores is 20 per CPU second; 20/s with half a core is 40.
    sides = [lambda: Measurement(30.0, 1.5), lambda: Measurement(20.0, 0.5)]
    row = rows.compare("x", *sides, pairs=1, unit=rows.PER_SECOND)
    assert (row["ratio"], row["cpu_ratio"]) == (1.5, 0.5)
    assert rows.format_rows([row]).splitlines() == [
        "   ours  peer      unit  ratio      of pairs  of CPU time",
        "x  30.0  20.0  images/s   1.50  1.50 to 1.50         0.50",
    ]


def test_of_costs_the_smaller_is_the_better():
    row = rows.compare_costs("x", [2.0, 4.0, 3.0], [4.0, 4.0, 9.0], unit="s")
    assert (row["ours"], row["peer"], row["ratio"], row["unit"]) == (3, 4, 2, "s")


def test_a_table_for_the_documentation_has_a_line_for_each_row():
    cost = rows.compare_costs("x/memory", [200.0, 100.0], [300.0, 400.0], unit="MB")
    sides = [lambda: Measurement(30.0, 1.5), lambda: Measurement(20.0, 0.5)]
    speed = rows.compare("x", *sides, pairs=1, unit=rows.PER_SECOND)
    assert rows.format_markdown([cost, speed]).splitlines()[2:] == [
        "| x/memory | 150 | 350 | MB | **2.75** | 1.50 to 4.00 |  |",
        "| x | 30 | 20 | images/s | **1.50** | 1.50 to 1.50 | 0.50 |",
    ]
