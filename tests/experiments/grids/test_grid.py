"""What a grid promises: each thing once, at equal cost, of data that stays the same."""

import dataclasses
import json
import pathlib
import shutil

import pytest
import yaml

from st_keras import config as config_lib
from st_keras.experiments import ledger
from st_keras.experiments.grids import grid, jobs, plan
from st_keras.experiments.grids.jobs import Job
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
def finished(classification_yaml, tmp_path_factory):
    """The path of a grid, its workdir, and what its cells have reached."""
    folder = tmp_path_factory.mktemp("grid")
    path = folder / "grid.yaml"
    path.write_text(GRID.format(config=classification_yaml))
    of_all = jobs.of_grid(
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
    # Teacher and student see 6 pictures in each of 4 steps, three passes each; 27 are
    # labelled by one: (2 x 72 + 27) / 18 = 9.5 steps of the control.
    assert results["same_cost"]["steps"] == 10
    theirs = results["student"]["total"]["multiply_adds"]
    ours = results["same_cost"]["total"]["multiply_adds"]
    assert theirs <= ours < theirs * (1 + 1 / 8)


@pytest.mark.slow
def test_a_control_needs_no_more_of_the_other_arm_than_its_result(finished, tmp_path):
    """As where cells are spread over machines and their results put together."""
    path, workdir, results = finished
    job = Job(
        grid=path,
        cell="same_cost",
        seed=0,
        workdir=str(tmp_path),
        overrides=OVERRIDES,
    )
    student = jobs.result_path(dataclasses.replace(job, cell="student"))
    student.parent.mkdir(parents=True)
    shutil.copy(workdir / "cells/student/seed_0.json", student)
    assert grid.run_job(job)["metrics"] == results["same_cost"]["metrics"]
    made = [path.name for path in (tmp_path / "stages").iterdir() if path.is_dir()]
    assert made == results["same_cost"]["stages"]


def test_the_plan_says_the_same_before_anything_is_run(finished):
    path, _, results = finished
    for cell in ("teacher", "student", "same_cost", "twice"):
        job = Job(grid=path, cell=cell, seed=0, workdir="w", overrides=OVERRIDES)
        cost, total = plan.cost_of(job), results[cell]["total"]
        assert (cost.images, cost.steps) == (total["images"], total["steps"])
        assert cost.multiply_adds == pytest.approx(total["multiply_adds"], rel=1e-9)


def test_the_plan_counts_each_arm_with_its_own_model(finished, tmp_path):
    text = pathlib.Path(finished[0]).read_text()
    larger = "set: ['classification.image_size_px=[96, 96]']"
    other = f"{{kind: supervised, cost_of: student, {larger}}}"
    path = tmp_path / "grid.yaml"
    path.write_text(f"{text}  wide: {other}\n")
    job = Job(grid=str(path), cell="wide", seed=0, workdir="w", overrides=OVERRIDES)
    theirs = finished[2]["student"]["total"]["multiply_adds"]
    a_step = plan.cost_of(job).multiply_adds / plan.cost_of(job).steps
    # As many of its own, larger steps as cost the same, rounded up.
    assert theirs <= plan.cost_of(job).multiply_adds < theirs + a_step


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
        for job in jobs.of_grid(
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
    todo = jobs.of_grid(path, str(tmp_path / "w"), **for_two)
    assert grid.run(todo, processes=2) == {}
    for job in todo:
        assert jobs.read_result(job)["stages"] == results[job.cell]["stages"]
        assert jobs.result_path(job).with_suffix(".log").exists()
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
            assert jobs.read_result(job) == (results[cell] if counts else {})


def test_what_was_found_with_other_settings_is_kept(finished, tmp_path, monkeypatch):
    path, workdir, results = finished
    shutil.copytree(workdir, tmp_path / "w")
    job = Job(
        grid=path,
        cell="teacher",
        seed=0,
        workdir=str(tmp_path / "w"),
        overrides=(*OVERRIDES, "runtime.precision=mixed_bfloat16"),
    )
    monkeypatch.setattr(grid.arms, "run_arm", lambda *_: results["teacher"]["stages"])
    assert grid.run([job]) == {}
    result = jobs.result_path(job)
    kept = result.with_name(f"seed_0.{results['teacher']['settings_sha256'][:8]}.json")
    assert json.loads(kept.read_text()) == results["teacher"]
    assert jobs.read_result(job) == json.loads(result.read_text())


def test_a_job_that_another_process_has_finished_meanwhile_has_one_result(
    finished, tmp_path, monkeypatch
):
    path, workdir, results = finished
    shutil.copytree(workdir / "stages", tmp_path / "stages")
    common = {"grid": path, "cell": "teacher", "seed": 0, "workdir": str(tmp_path)}
    job = Job(**common, overrides=OVERRIDES)

    def meanwhile(*_):
        jobs.result_path(job).write_text(json.dumps(results["teacher"]))
        return results["teacher"]["stages"]

    monkeypatch.setattr(grid.arms, "run_arm", meanwhile)
    assert grid.run_job(job) == results["teacher"]
    left = [file.name for file in jobs.result_path(job).parent.iterdir()]
    assert left == ["seed_0.json"]


def test_a_test_picture_that_is_learned_from_is_refused_before_anything_is_run(
    student_yaml, digit_records, tmp_path
):
    path = tmp_path / "grid.yaml"
    path.write_text(GRID.format(config=student_yaml))
    overrides = (f"self_training.test_records={digit_records}/train/*.tfrecord",)
    todo = jobs.of_grid(
        str(path), str(tmp_path / "w"), cells=["teacher"], seeds=[], overrides=overrides
    )
    (told,) = grid.run(todo).values()
    assert "test" in told and "human" in told
    assert not (tmp_path / "w/stages").exists()
    assert [jobs.status(job) for job in todo] == ["failed"]


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


def test_a_cell_is_to_run_begun_failed_or_finished(finished, tmp_path, monkeypatch):
    path, workdir, results = finished
    common = {"grid": path, "cell": "teacher", "seed": 0, "workdir": str(tmp_path)}
    job = Job(**common, overrides=OVERRIDES)
    other = Job(**common, overrides=(*OVERRIDES, "seed=7", "pseudo.weight=0.5"))
    assert jobs.status(job) == "to run"
    monkeypatch.setattr(grid.arms, "run_arm", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):  # As a kill would, this leaves no message.
        grid.run_job(job)
    assert (jobs.status(job), jobs.status(other)) == ("begun", "to run")
    grid._keep(job, "no memory")
    assert (jobs.status(job), jobs.status(other)) == ("failed", "to run")
    with pytest.raises(ZeroDivisionError):
        grid.run_job(job)
    assert jobs.status(job) == "begun"
    shutil.copytree(workdir / "stages", tmp_path / "stages", dirs_exist_ok=True)
    monkeypatch.setattr(grid.arms, "run_arm", lambda *_: results["teacher"]["stages"])
    grid.run_job(job)
    assert (jobs.status(job), jobs.status(other)) == ("finished", "to run")
    left = [file.name for file in jobs.result_path(job).parent.iterdir()]
    assert left == ["seed_0.json"]


def test_results_of_data_that_has_changed_are_not_shown_again(finished):
    path, workdir, results = finished
    job = Job(grid=path, cell="student", seed=0, workdir=str(workdir))
    job = dataclasses.replace(job, overrides=OVERRIDES)
    assert jobs.read_result(job) == results["student"]
    file = workdir / "cells/student/seed_0.json"
    text = file.read_text()
    result = json.loads(text)
    assert set(result["data"]) >= {"human", "unlabeled", "evaluation", "test"}
    for name in result["data"]:
        changed = {name: result["data"][name] | {"records_sha256": "0a"}}
        file.write_text(json.dumps(result | {"data": result["data"] | changed}))
        with pytest.raises(ValueError, match=f"seed_0.json: .*`{name}`.* have changed"):
            jobs.read_result(job)
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
    monkeypatch.setattr(grid.arms, "run_arm", lambda *_: labelled.append(1) or ["x"])
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
