"""What the suite that measures growth promises."""

import json
import time

import numpy as np
import pytest

from st_keras.experiments.benchmarks import growth_suite, suites
from st_keras.experiments.benchmarks.growth_suite import CURVES, Curve


def working(seconds_of):
    def prepare(x):
        def work():
            end = time.process_time() + seconds_of(x)
            while time.process_time() < end:
                pass

        return work

    return prepare


MADE_UP = {
    "growth/linear": Curve("dots", "turns", (2, 4, 8), working(lambda x: 0.01 * x)),
    "growth/square": Curve("dots", "turns", (2, 8), working(lambda x: 0.005 * x * x)),
    # Three times as much in the end, for four times as many; and yet it is a square.
    "growth/square_beside_much": Curve(
        "dots", "turns", (2, 4, 8), working(lambda x: 0.1 + 0.005 * x * x)
    ),
}


def test_a_cost_that_grows_faster_than_what_there_is_is_seen(tmp_path):
    path = tmp_path / "growth.json"
    content = growth_suite.run(str(path), command="python x", pairs=3, curves=MADE_UP)
    linear, square, beside = content["curves"].values()
    assert linear["exponent"] == pytest.approx(1.0, abs=0.1)
    assert square["exponent"] == pytest.approx(2.0, abs=0.1)
    # From 0.18 to 0.42 s, for twice as many: log2(2.33).
    assert beside["exponent"] == pytest.approx(1.22, abs=0.1)
    written = json.loads(path.read_text())
    assert written["curves"] == content["curves"]
    assert (tmp_path / "growth.png").read_bytes()[1:4] == b"PNG"
    text = suites.run("table", str(path), command="")
    assert "| growth/linear | turns | 2 dots | 8 dots |" in text


def test_a_point_is_prepared_once_and_measured_after_a_first_time():
    calls = []

    def prepare(x):
        calls.append(f"prepare {x}")
        return lambda: calls.append(f"work {x}")

    curve = {"growth/x": Curve("dots", "calls", (1, 2), prepare)}

    class Bar:
        def update(self):
            calls.append("moved")

    points = list(growth_suite._measure(curve["growth/x"], 2, Bar()))
    assert [point["x"] for point in points] == [1, 2]
    assert all(len(point["runs"]) == 2 for point in points)
    for_one = ["work {0}"] * 3  # A first time, and two that count.
    expected = [
        call.format(x) for x in (1, 2) for call in ("prepare {0}", *for_one, "moved")
    ]
    assert calls == expected


def test_an_unknown_curve_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"--only.*growth/batch.*got growth/x"):
        growth_suite.run(str(tmp_path / "x.json"), command="", only=["growth/x"])


@pytest.mark.slow
@pytest.mark.parametrize("name", CURVES)
def test_the_work_of_each_curve_is_what_it_says(name):
    done = CURVES[name].prepare(CURVES[name].points[0])()
    if name == "growth/shards":
        assert done == 10_000
    elif name == "growth/evaluation":
        # By chance a box has the right place and class, seldom.
        assert 0.0 <= done["AP"] < 1.0
    else:
        assert {"human/class", "human/box"} <= done.keys()
        assert all(np.isfinite(float(value)) for value in done.values())
