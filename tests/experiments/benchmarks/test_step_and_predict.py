"""What the suites that measure training and detection promise."""

import json
import time

import pytest

from st_keras.experiments.benchmarks import (
    all_cores,
    lone,
    predict_suite,
    step_suite,
    suites,
)
from st_keras.experiments.benchmarks.twins import Sizes

SIZES = Sizes("resnet18", (128, 128), batch_size=2, num_classes=5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "suite, ends",
    [
        (step_suite, ["", "/peer_without_targets", "/plain_gradients"]),
        (predict_suite, ["", "/peer_batched_nms"]),
    ],
)
def test_rows_are_written_with_what_they_were_measured_on(tmp_path, suite, ends):
    path = tmp_path / "rows.json"
    names = [f"x{end}" for end in ends]
    cases = {"x": SIZES, "y": SIZES}
    suite.run(str(path), command="c", only=names, pairs=1, cases=cases)
    written = json.loads(path.read_text())
    assert [row["name"] for row in written["rows"]] == names
    assert all(row["ratio"] > 0 and row["note"] for row in written["rows"])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["step", "predict"])
def test_start_and_memory_are_those_of_a_process_of_its_own(kind):
    found = {side: lone.measure(kind, side, SIZES) for side in ("ours", "peer")}
    for numbers in found.values():
        assert numbers["cpu_seconds"] > 0 and numbers["wall_seconds"] > 0
        assert 200 < numbers["peak_mb"] < 10_000


@pytest.fixture
def processes(monkeypatch):
    """Rows of processes that are not started."""
    costs = {"ours": (2.0, 3.456, 100.0), "peer": (3.0, 5.0, 400.0)}
    keys = ("cpu_seconds", "wall_seconds", "peak_mb")
    monkeypatch.setattr(
        lone,
        "measure",
        lambda kind, side, sizes: dict(zip(keys, costs[side], strict=True)),
    )

    class Bar:
        def set_description(self, text):
            pass

        def update(self, count):
            pass

    chosen = ["x/first_call", "x/peak_memory", "x"]
    return lone.rows_of("step", "x", SIZES, chosen, 5, Bar())


def test_rows_of_processes_divide_the_peers_cost_by_ours(processes):
    assert [(row["name"], row["ratio"], row["unit"]) for row in processes] == [
        ("x/first_call", 1.5, "s"),
        ("x/peak_memory", 4.0, "MB"),
    ]
    assert len(processes[0]["runs"]) == 3


def test_the_wall_time_of_a_first_call_is_kept_beside_its_processor_time(processes):
    first_call, memory = processes
    for run in first_call["runs"]:
        assert (run["ours_wall_seconds"], run["peer_wall_seconds"]) == (3.46, 5.0)
    assert not any("ours_wall_seconds" in run for run in memory["runs"])


def test_all_suites_take_no_rows(tmp_path):
    with pytest.raises(ValueError, match="--only.*all"):
        suites.run("all", str(tmp_path), command="python x", only=["x"])


def test_rows_that_take_hours_are_measured_only_by_name(tmp_path, monkeypatch):
    measured = []

    def measure(name, sizes, chosen, pairs, bar):
        measured.extend(chosen)
        return iter([])

    monkeypatch.setattr(lone, "rows_of", lambda *_: [])
    settings = {"command": "c", "cases": {"x": SIZES}, "measure": measure}
    predict_suite.run(str(tmp_path / "p.json"), **settings)
    assert measured == ["x/peer_batched_nms", "x/first_call", "x/peak_memory"]
    measured.clear()
    predict_suite.run(str(tmp_path / "p.json"), only=["x"], **settings)
    assert measured == ["x"]


def test_the_end_of_a_pipeline_is_not_on_the_clock():
    class Slow:
        def __del__(self):
            time.sleep(0.2)

    found = all_cores.measure(1, Slow)
    assert found.rate > 50
