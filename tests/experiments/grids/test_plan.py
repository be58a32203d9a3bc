"""What `--dry_run` says of a grid: every column, by pencil."""

import pytest

from st_keras.experiments import multiply_adds
from st_keras.experiments.grids import grid, plan
from st_keras.experiments.grids.jobs import of_grid

GRID = """
title: Three ways
config: {config}
seeds: [0]
arms:
  teacher: {{kind: supervised}}
  student: {{}}
  same_cost: {{kind: supervised, cost_of: student}}
"""
NOTE = """
Images and steps are of the stages behind each cell, with those it shares with
others. Chip-hours are of a TPU v3 chip of 123 TFLOP/s at 30% of its peak.
Labelling is counted once a picture."""


@pytest.fixture
def write(student_yaml, tmp_path, monkeypatch):
    """Returns the jobs of a grid whose model takes 10^15 multiply-adds a picture."""
    monkeypatch.setattr(multiply_adds, "of_training", lambda config: (10**15, 0))

    def jobs(*overrides, more=""):
        path = tmp_path / "grid.yaml"
        path.write_text(GRID.format(config=student_yaml) + more)
        workdir = str(tmp_path / "w")
        overrides = ("training.steps=4", *overrides)
        return of_grid(str(path), workdir, cells=[], seeds=[], overrides=overrides)

    return jobs


def test_the_whole_text(write):
    # A step has 6 pictures, three passes each: 18 of them, 72 in four steps. A student
    # adds 15 labels and a run like its teacher's: 72 + 15 + 72 = 159. That is
    # 159 / 18 = 8.8 steps of the control, so 9, which cost 162. An hour of a chip is
    # 3600 x 36.9e12 / 2 = 6.642e16 multiply-adds: 1.08, 2.39 and 2.44.
    table = """\
cell       seed  status  images  steps  multiply-adds  chip-hours
teacher       0  to run      24      4       72,000 T        1.08
student       0  to run      63      8      159,000 T        2.39
same_cost     0  to run      54      9      162,000 T        2.44
all                         141     21      393,000 T        5.92
"""
    assert plan.format_plan(write()) == table + NOTE


ELSEWHERE = (
    "self_training.unlabeled_records=gone/*.tfrecord",
    "self_training.unlabeled_ids=",
)


def test_a_number_without_its_labelling_has_a_plus_and_the_records_are_named(write):
    # 144 / 18 = 8 steps of the control.
    table = """\
cell       seed  status  images  steps  multiply-adds  chip-hours
teacher       0  to run      24      4       72,000 T        1.08
student       0  to run     48+      8     144,000 T+       2.17+
same_cost     0  to run     48+      8     144,000 T+       2.17+
all                        120+     20     360,000 T+       5.42+
"""
    more = """

+: more, by the labelling of gone/*.tfrecord, whose pictures no one can count
here: a grid's `images` says how many records have. A control that costs as
much has more steps too."""
    assert plan.format_plan(write(*ELSEWHERE)) == table + NOTE + more


def test_pictures_that_are_elsewhere_are_as_many_as_the_grid_says(write):
    images = "images: {gone/*.tfrecord: 15, others/*.tfrecord: 7}\n"
    here = plan.format_plan(write())
    assert plan.format_plan(write(*ELSEWHERE, more=images)) == here


def test_records_that_are_here_are_counted_whatever_the_grid_says(write, digit_records):
    records = f"{digit_records}/train/*.tfrecord"
    here = plan.format_plan(write())
    assert plan.format_plan(write(more=f"images: {{{records}: 999}}\n")) == here
    everything = write(
        "self_training.unlabeled_ids=", more=f"images: {{{records}: 999}}"
    )
    # All 24 of them, and not the 15 that the file of ids names.
    assert plan.cost_of(everything[1]).images == 24 + 24 + 24


def test_a_file_of_ids_that_is_elsewhere_is_not_all_of_the_records(write):
    gone = (ELSEWHERE[0], "self_training.unlabeled_ids=gone.txt")
    todo = write(*gone, more="images: {gone/*.tfrecord: 15}\n")
    assert [plan.uncounted(job) for job in todo] == [[], ["gone.txt"], ["gone.txt"]]


def test_many_hours_are_whole_numbers(write):
    last = plan.format_plan(write("training.steps=4000")).splitlines()[4]
    # 72,000 + (2 x 72,000 + 15) + 18 x 8001 = 360,033 x 10^15, or 5420.5 hours.
    assert last.split()[-1] == "5,421"


def test_a_plan_says_what_was_begun(write, monkeypatch):
    todo = write()
    monkeypatch.setattr(grid.arms, "run_arm", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        grid.run_job(todo[1])
    lines = plan.format_plan(todo).splitlines()
    assert ["begun" in line for line in lines[1:4]] == [False, True, False]
