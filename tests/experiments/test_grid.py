"""What a grid promises: each thing once, at equal cost, and no table with holes."""

import dataclasses
import json
import pathlib

import pytest
import yaml

from st_keras import config as config_lib
from st_keras.config.grid import load_grid
from st_keras.experiments import grid, grid_plan, grid_table, ledger
from st_keras.experiments.grid import Job
from st_keras.runtime import preflight

GRID = """
title: Two ways
config: {config}
seeds: [0]
reference: student
arms:
  teacher: {{kind: supervised}}
  student: {{}}
  same_cost: {{kind: supervised, cost_of: student}}
  twice: {{iterations: 2}}
"""
OVERRIDES = ("training.steps=4",)


@pytest.fixture(scope="module")
def finished(student_yaml, tmp_path_factory):
    """The path of a grid, its workdir, and what its cells have reached."""
    folder = tmp_path_factory.mktemp("grid")
    path = folder / "grid.yaml"
    path.write_text(GRID.format(config=student_yaml))
    of_all = grid.jobs(
        str(path),
        str(folder / "w"),
        cells=[],
        seeds=[],
        overrides=OVERRIDES,
    )
    return str(path), folder / "w", {job.cell: grid.run_job(job) for job in of_all}


def test_what_cells_have_in_common_is_made_once(finished):
    _, workdir, results = finished
    folders = [path.name for path in (workdir / "stages").iterdir() if path.is_dir()]
    kinds = sorted(name.split("-")[0] for name in folders)
    # The teacher of all, its labels, one student; a second round; and one control.
    assert kinds == ["labels", "labels", "student", "student"] + ["supervised"] * 2
    assert results["twice"]["stages"][:3] == results["student"]["stages"]


def test_a_control_costs_what_the_arm_costs_with_its_teacher_and_labels(finished):
    _, _, results = finished
    # Teacher and student see 6 pictures in each of 4 steps, three passes each; 15 are
    # labelled by one: (2 x 72 + 15) / 18 = 8.8 steps of the control.
    assert results["same_cost"]["steps"] == 9
    theirs = results["student"]["total"]["multiply_adds"]
    ours = results["same_cost"]["total"]["multiply_adds"]
    assert theirs <= ours < theirs * (1 + 1 / 8)


def test_the_plan_says_the_same_before_anything_is_run(finished):
    path, _, results = finished
    for cell in ("teacher", "student", "same_cost", "twice"):
        job = Job(grid=path, cell=cell, seed=0, workdir="w", overrides=OVERRIDES)
        cost, total = grid_plan.cost_of(job), results[cell]["total"]
        assert (cost.images, cost.steps) == (total["images"], total["steps"])
        assert cost.multiply_adds == pytest.approx(total["multiply_adds"], rel=1e-9)


@pytest.fixture(scope="module")
def patterns_yaml(joint_yaml, tmp_path_factory):
    """A classifier on the backbone of `student_yaml`, for two steps."""
    settings = yaml.safe_load(pathlib.Path(joint_yaml).read_text())
    content = {
        "classification": {"image_size_px": [32, 32], "backbone": "tiny"},
        "human": {"records": settings["joint"]["records"], "images_per_step": 4},
        "optimization": settings["optimization"],
        "training": {"steps": 2, "steps_per_loop": 2, "checkpoint_every_steps": 2},
    }
    path = tmp_path_factory.mktemp("patterns") / "patterns.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.slow
def test_cells_begin_with_one_pretrained_model_that_no_cost_has(
    finished, patterns_yaml, student_yaml, tmp_path
):
    text = GRID.format(config=student_yaml).replace("arms:", "axes: {start: {}}\narms:")
    starts = "{random: [], it: ['init={kind: imagenet, checkpoint: \"{it}\"}']}"
    path = tmp_path / "grid.yaml"
    path.write_text(
        text.replace("{start: {}}", f"{{start: {starts}}}")
        + f"pretrained: {{it: {patterns_yaml}}}\n"
    )
    overrides = (*OVERRIDES, "self_training.student_init=init")
    for_all = {"cells": ["it/teacher", "it/student"], "seeds": [0]}
    found = {
        job.cell: grid.run_job(job)
        for job in grid.jobs(
            str(path), str(tmp_path / "w"), **for_all, overrides=overrides
        )
    }
    (first,) = (tmp_path / "w/stages").glob("pretrained-it-*")
    assert json.loads((first / "summary.json").read_text())["steps"] == 2
    for cell in found:
        random = finished[2][cell.removeprefix("it/")]["total"]
        assert found[cell]["total"]["steps"] == random["steps"]
        last = tmp_path / "w/stages" / found[cell]["stages"][-1]
        config = config_lib.load(str(last / preflight.CONFIG_FILE))
        assert config.init.checkpoint == str(first)


@pytest.mark.slow
def test_two_processes_make_what_they_share_once(finished, tmp_path):
    path, _, results = finished
    for_two = {"cells": ["teacher", "student"], "seeds": [], "overrides": OVERRIDES}
    todo = grid.jobs(path, str(tmp_path / "w"), **for_two)
    assert grid.run(todo, processes=2) == {}
    for job in todo:
        assert grid.read_result(job)["stages"] == results[job.cell]["stages"]
        assert grid.result_path(job).with_suffix(".log").exists()
    rows = ledger.Ledger(tmp_path / "w/stages").rows()
    trained = set(results["student"]["stages"])
    looked_at = {f"evaluate_{results[job.cell]['stages'][-1]}" for job in todo}
    assert set(rows) == trained | looked_at


def test_a_second_call_reads_what_the_first_has_found(finished, monkeypatch):
    path, workdir, results = finished
    monkeypatch.setattr(grid, "Stages", None)
    job = Job(
        grid=path, cell="twice", seed=0, workdir=str(workdir), overrides=OVERRIDES
    )
    assert grid.run_job(job) == results["twice"]


def test_what_was_found_with_other_settings_does_not_count(finished):
    path, workdir, results = finished
    for cell in ("teacher", "same_cost"):
        for more, counts in (((), True), (("pseudo.weight=0.5",), False)):
            job = Job(
                grid=path,
                cell=cell,
                seed=0,
                workdir=str(workdir),
                overrides=(*OVERRIDES, *more),
            )
            assert grid.read_result(job) == (results[cell] if counts else {})


def test_a_test_picture_that_is_learned_from_is_refused_before_anything_is_run(
    student_yaml, digit_records, tmp_path
):
    path = tmp_path / "grid.yaml"
    path.write_text(GRID.format(config=student_yaml))
    overrides = (f"self_training.test_records={digit_records}/train/*.tfrecord",)
    todo = grid.jobs(
        str(path), str(tmp_path / "w"), cells=["teacher"], seeds=[], overrides=overrides
    )
    (told,) = grid.run(todo).values()
    assert "test" in told and "human" in told
    assert not (tmp_path / "w/stages").exists()


def test_a_cell_that_fails_is_told_of_and_the_others_go_on(tmp_path, student_yaml):
    path = tmp_path / "grid.yaml"
    path.write_text(GRID.format(config=student_yaml))
    todo = [
        Job(grid=str(path), cell="no_such_cell", seed=0, workdir=str(tmp_path / "w")),
    ]
    failures = grid.run(todo)
    assert list(failures) == ["no_such_cell seed 0"]
    kept = tmp_path / "w/cells/no_such_cell/seed_0.error.txt"
    assert str(kept) in failures["no_such_cell seed 0"]
    assert "Traceback" in kept.read_text()


class TestTable:
    """Of results that are made up."""

    GRID = """
title: Made up
config: student.yaml
seeds: [0, 1, 2]
reference: student
axes: {labels: {20: [], 100: []}}
arms: {alone: {kind: supervised}, student: {}}
published: {20/alone: 30.7}
source: table 0
"""
    CLAIMS = """
claims:
  A student is better: {20/student: 1, 20/alone: -1}
  Better with few labels than with many:
    {20/student: 1, 20/alone: -1, 100/student: -1, 100/alone: 1}
  It is worse with many: {100/alone: 1, 100/student: -1}
  It is worse with few: {20/alone: 1, 20/student: -1}
"""
    VALUES = {
        "20/alone": [30.0, 31.0, 35.0],
        "20/student": [33.0, 35.0, 37.0],
        "100/alone": [44.0, 45.0, 46.0],
        "100/student": [45.0, 46.0, 47.0],
    }

    @pytest.fixture
    def made_up(self, tmp_path, student_yaml):
        path = tmp_path / "made_up.yaml"
        path.write_text((self.GRID + self.CLAIMS).replace("student.yaml", student_yaml))
        of_all = grid.jobs(str(path), str(tmp_path / "w"), cells=[], seeds=[])
        for job in of_all:
            arm = job.cell.split("/")[1]
            result = {
                "headline": "AP",
                "settings_sha256": grid.settings_digest(job),
                "metrics": {"AP": self.VALUES[job.cell][job.seed]},
                "steps": 10,
                "stages": [],
                "total": {"multiply_adds": 300 if arm == "student" else 120},
                "protocol": {"records": "r", "checkpoint": "gone"},
            }
            file = grid.result_path(job)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(result))
        return str(path), tmp_path, of_all

    def test_it_has_means_spread_gains_and_doubt(self, made_up):
        path, _, of_all = made_up
        cells = grid_table.collect(load_grid(path), of_all)["cells"]
        # Of 30, 31, 35: 32, and squares 4 + 1 + 9 over 2: sqrt(7).
        assert (cells["20/alone"]["mean"], cells["20/alone"]["sd"]) == (32.0, 2.6458)
        # -3, -4, -2: mean -3, sd 1; t = -3 sqrt(3) = -5.196 with 2 degrees: p 0.0351.
        assert cells["20/alone"]["gain"] == {"mean": -3.0, "sd": 1.0, "p": 0.035}
        # All differences are -1: no spread, and nothing to divide by.
        assert cells["100/alone"]["gain"] == {"mean": -1.0, "sd": 0.0, "p": None}
        assert "gain" not in cells["20/student"]
        assert cells["20/alone"]["published"] == 30.7

    def test_a_claim_holds_if_the_sum_of_its_cells_is_above_0_beyond_chance(
        self, made_up
    ):
        path, _, of_all = made_up
        claims = grid_table.collect(load_grid(path), of_all)["claims"]
        better, few, worse, opposite = claims.values()
        # The gain above, the other way round.
        assert better == {
            **{"values": [3.0, 4.0, 2.0], "mean": 3.0, "sd": 1.0, "p": 0.035},
            "holds": True,
        }
        # 3, 4, 2 less 1: mean 2, sd 1, t = 2 sqrt(3) = 3.464 with 2 degrees: p 0.074.
        assert (few["values"], few["p"], few["holds"]) == ([2, 3, 1], 0.074, False)
        assert (worse["mean"], worse["holds"]) == (-1.0, False)
        # Beyond chance, but the other way.
        found = (opposite["mean"], opposite["p"], opposite["holds"])
        assert found == (-3.0, 0.035, False)

    def test_p_of_several_claims_together_is_holms_by_pencil(self):
        # In order: 4 x 0.01, 3 x 0.02 = 0.06, 2 x 0.02 = 0.04 but not less than the
        # one before, 1 x 0.9.
        p_of = {"b": 0.02, "d": 0.9, "a": 0.01, "c": 0.02, "unknown": None}
        found = grid_table._holm(p_of)
        expected = {"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.9}
        assert found.pop("unknown") is None
        assert found == pytest.approx(expected)

    def test_a_claim_is_judged_by_what_was_found_and_not_by_what_is_shown(self):
        # Mean 1, sd 0.4025: t = 1 / (0.4025 / sqrt(3)) = 4.3031, just above the 4.3027
        # of 2 degrees at 0.05. Shown, p is 0.05.
        values = [1.0 - 0.4025, 1.0, 1.0 + 0.4025]
        results = {("a", seed): {"metrics": {"AP": values[seed]}} for seed in range(3)}
        found = grid_table._claim({"a": 1.0}, results, "AP", range(3))
        assert (found["p"], found["holds"]) == (0.05, True)

    def test_what_rounding_makes_of_equal_gains_is_no_spread(self):
        # 0.3 - 0.1 and 0.2 - 0.0 differ in the last digit.
        found = grid_table.paired([0.3, 0.2, 0.2], [0.1, 0.0, 0.0])
        assert found == {"mean": 0.2, "sd": 0.0, "p": None}

    def test_seeds_that_are_asked_for_are_those_of_the_table(self, made_up):
        path, folder, _ = made_up
        lines = self.write(path, folder, seeds=[2, 0])
        assert "| alone | 32.5 (3.5), paper 30.7 | 45.0 (1.4) |" in lines
        assert any("t-test with 2 seeds" in line for line in lines)
        lines = self.write(path, folder, seeds=[1])
        assert "| alone | 31.0, paper 30.7 | 45.0 |" in lines
        assert "Gains are over `student`, seed by seed." in lines
        with pytest.raises(ValueError, match="the first 20/alone seed 3"):
            self.write(path, folder, seeds=[3])

    def write(self, path, folder, seeds=()):
        """Returns the lines of the page; it and its figure are on the disk."""
        output = str(folder / "out")
        where = (str(folder / "w"), output)
        text = grid_table.write(path, *where, "make it", seeds=seeds)
        assert pathlib.Path(f"{output}.md").read_text() == text
        assert pathlib.Path(f"{output}.png").read_bytes()[1:4] == b"PNG"
        return text.splitlines()

    def test_the_page_has_both_tables_and_the_figure_is_there(self, made_up):
        path, folder, _ = made_up
        lines = self.write(path, folder)
        assert "|  | labels 20 | labels 100 |" in lines
        assert "| alone | 32.0 (2.6), paper 30.7 | 45.0 (1.0) |" in lines
        row = "| 20/student | 35.0 (2.0) | 10 | 2.50 |  |  | 33.0 | 35.0 | 37.0 |"
        assert row in lines
        assert "Made by `make it`." in lines
        cells = "+1 20/student -1 20/alone"
        # Two p of 0.035 and one of 0.074: three times the least of them.
        row = f"| A student is better | {cells} | +3.0 (1.0) | 0.035 | 0.11 | yes |"
        assert row in lines
        assert any(
            line.startswith("| It is worse with few") and "no, the other way" in line
            for line in lines
        )
        assert json.loads(pathlib.Path(f"{folder}/out.json").read_text())["cells"]

    def test_a_cell_that_is_left_out_is_a_gap(self, made_up):
        path, folder, _ = made_up
        grid_file = pathlib.Path(path)
        claim = "only_claims: true\nclaims: {It is good: {20/alone: 1, 100/student: 1}}"
        text = grid_file.read_text()
        text = text[: text.index("published:")] + claim
        grid_file.write_text(text)
        lines = self.write(path, folder)
        assert "| alone | 32.0 (2.6) |  |" in lines
        assert "| student |  | 46.0 (1.0) |" in lines
        # Its reference, 100/alone, is none; nor is it compared.
        row = "| 100/student | 46.0 (1.0) | 10 | 2.50 |  |  | 45.0 | 46.0 | 47.0 |"
        assert row in lines

    def test_a_cell_without_a_run_is_no_table(self, made_up):
        path, folder, of_all = made_up
        grid.result_path(of_all[2]).unlink()
        with pytest.raises(
            ValueError, match=r"1 of 12 runs .* the first 100/alone see"
        ):
            grid_table.write(path, str(folder / "w"), str(folder / "out"), "make it")


def test_results_of_data_that_has_changed_are_not_shown_again(finished):
    path, workdir, results = finished
    job = Job(grid=path, cell="student", seed=0, workdir=str(workdir))
    job = dataclasses.replace(job, overrides=OVERRIDES)
    assert grid.read_result(job) == results["student"]
    file = workdir / "cells/student/seed_0.json"
    text = file.read_text()
    result = json.loads(text)
    assert set(result["data"]) >= {"human", "unlabeled", "evaluation", "test"}
    for name in result["data"]:
        changed = {name: result["data"][name] | {"records_sha256": "0a"}}
        file.write_text(json.dumps(result | {"data": result["data"] | changed}))
        with pytest.raises(ValueError, match=f"seed_0.json: .*`{name}`.* have changed"):
            grid.read_result(job)
    file.write_text(text)


def test_a_pretrained_model_has_not_seen_the_test_set(
    patterns_yaml, student_yaml, tmp_path, monkeypatch
):
    text = GRID.format(config=student_yaml).replace(
        "arms:",
        "axes: {start: {it: ['init={kind: imagenet, checkpoint: \"{it}\"}']}}"
        "\npretrained: {it: " + str(patterns_yaml) + "}\narms:",
    )
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    trained = []
    monkeypatch.setattr(grid.Stages, "train", lambda _, name, __: trained.append(name))
    monkeypatch.setattr(grid.Stages, "evaluate", lambda *_, **__: 1 / 0)
    common = {"grid": str(path), "cell": "it/teacher", "seed": 0}
    overrides = (*OVERRIDES, "self_training.student_init=init")
    job = Job(workdir=str(tmp_path / "w"), overrides=overrides, **common)
    with pytest.raises(ZeroDivisionError):
        grid.run_job(job)
    assert trained[0].startswith("pretrained-it-") and len(trained) == 2
    # Now the test set is what it learns from.
    settings = yaml.safe_load(pathlib.Path(patterns_yaml).read_text())
    learned = settings["human"]["records"]
    seen = (f"self_training.test_records={learned}",)
    job = dataclasses.replace(job, overrides=(*overrides, *seen))
    monkeypatch.setattr(grid, "check_before", lambda *_, **__: None)
    with pytest.raises(ValueError, match="human of pretrained-it-.* and `test` must"):
        grid.run_job(job)


def test_a_supervised_cell_may_learn_what_another_lets_its_teacher_label(
    finished, monkeypatch
):
    path, workdir, _ = finished
    labelled = []
    monkeypatch.setattr(grid, "_run_arm", lambda *_: labelled.append(1) or ["x"])
    monkeypatch.setattr(grid.Stages, "evaluate", lambda *_, **__: 1 / 0)
    overrides = (*OVERRIDES, "human.ids=", "training.steps=5")
    common = {"grid": path, "seed": 0, "workdir": str(workdir), "overrides": overrides}
    with pytest.raises(ZeroDivisionError):  # It has got that far.
        grid.run_job(Job(cell="teacher", **common))
    for cell in ("student", "same_cost"):  # Whose cost is the student's.
        with pytest.raises(ValueError, match="`human` and `unlabeled` must have no"):
            grid.run_job(Job(cell=cell, **common))
    nowhere = ("self_training.unlabeled_records=gone/*.tfrecord",)
    common["overrides"] = (*overrides, *nowhere)
    with pytest.raises(ZeroDivisionError):
        grid.run_job(Job(cell="teacher", **common))


def test_processes_side_by_side_work_on_other_seeds_where_points_are_few(finished):
    path, _, _ = finished
    todo = [
        Job(grid=path, cell=cell, seed=seed, workdir="w")
        for seed in (0, 1, 2)
        for cell in ("teacher", "student")
    ]
    ordered = [(job.seed, job.cell) for job in grid._side_by_side(todo, 2)]
    assert ordered[:2] == [(0, "teacher"), (1, "teacher")]
    assert ordered[2:4] == [(0, "student"), (1, "student")]
    assert ordered[4:] == [(2, "teacher"), (2, "student")]
