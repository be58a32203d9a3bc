"""What the settings of a grid promise."""

import pytest

from st_keras.config import ConfigError
from st_keras.config.grid import (
    cell_at,
    cells_of,
    check_all,
    config_of_cell,
    load_grid,
    pretraining,
)

GRID = """
title: A test
config: student.yaml
seeds: [3, 5]
reference: student
axes:
  labels:
    20: [human.ids=some.txt]
    100: []
  start:
    random: []
    teacher: [init.kind=teacher, init.checkpoint=runs/t]
arms:
  alone: {kind: supervised}
  student: {}
  long: {kind: supervised, cost_of: student}
  soft: {set: [pseudo.soft=true], iterations: 2}
published: {20/random/alone: 30.7, 100/teacher/student: 44.6}
source: a paper, table 3
"""
STUDENT = """
detection: {class_names: [cat]}
human: {records: r/*.tfrecord}
pseudo: {images_per_step: 4}
training: {steps: 10}
self_training: {unlabeled_records: u/*.tfrecord}
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "student.yaml").write_text(STUDENT)

    def write_grid(text=GRID):
        path = tmp_path / "grid.yaml"
        path.write_text(text)
        return str(path)

    return write_grid


def test_every_arm_is_at_every_point_in_the_order_of_the_file(write):
    grid = load_grid(write())
    names = list(grid.cells())
    assert len(names) == 2 * 2 * 4
    assert names[:5] == [
        *("20/random/alone", "20/random/student", "20/random/long"),
        *("20/random/soft", "20/teacher/alone"),
    ]


def test_a_cell_has_the_overrides_of_its_values_and_then_of_its_arm(write):
    path = write()
    grid = load_grid(path)
    cell = next(c for c in cells_of(grid) if c.name == "20/teacher/soft")
    assert cell.overrides == (
        *("human.ids=some.txt", "init.kind=teacher", "init.checkpoint=runs/t"),
        "pseudo.soft=true",
    )
    config = config_of_cell(path, grid, cell, 5, ("training.steps=7",))
    assert (config.human.ids, config.init.checkpoint) == ("some.txt", "runs/t")
    assert (config.pseudo.soft, config.seed, config.training.steps) == (True, 5, 7)


def test_a_cell_expects_nothing(write, tmp_path):
    with (tmp_path / "student.yaml").open("a") as file:
        file.write("expect: {metric: AP, value: 40.0, tolerance: 1.0}\n")
    path = write()
    grid = load_grid(path)
    assert config_of_cell(path, grid, cells_of(grid)[0], 3).expect is None


def test_what_is_set_for_all_cells_gives_way_to_the_caller_and_to_the_cell(write):
    common = "set: [training.steps=5, pseudo.soft=false, human.ids=none.txt]\naxes:"
    path = write(GRID.replace("axes:", common))
    grid = load_grid(path)
    cells = {cell.name: cell for cell in cells_of(grid)}
    config = config_of_cell(path, grid, cells["20/random/soft"], 3)
    assert (config.training.steps, config.human.ids) == (5, "some.txt")
    assert config.pseudo.soft
    config = config_of_cell(
        path, grid, cells["100/random/student"], 3, ("training.steps=7",)
    )
    assert (config.training.steps, config.human.ids) == (7, "none.txt")
    assert not config.pseudo.soft


def test_without_axes_a_cell_is_called_like_its_arm(write):
    axes = GRID[GRID.index("axes:") : GRID.index("arms:")]
    text = GRID.replace(axes, "")
    text = text[: text.index("published:")]
    assert list(load_grid(write(text)).cells()) == ["alone", "student", "long", "soft"]


CLAIMS = """
only_claims: true
claims:
  It helps: {20/random/student: 1, 20/random/alone: -1}
  Longer helps: {100/teacher/long: 1, 20/random/alone: -1}
"""


def test_cells_that_no_claim_has_can_be_left_out(write):
    text = GRID[: GRID.index("published:")] + CLAIMS
    grid = load_grid(write(text))
    # In the order of the design, each once.
    found = [*("20/random/alone", "20/random/student"), "100/teacher/long"]
    assert list(grid.cells()) == found
    assert [cell.name for cell in cells_of(grid)] == found
    # The arm whose cost `long` has is left out, and still known.
    other = cell_at(grid, ("100", "teacher"), grid.arms["long"].cost_of)
    assert other.name == "100/teacher/student"
    assert other.overrides == ("init.kind=teacher", "init.checkpoint=runs/t")


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("seeds: [3, 5]", "seeds: [3, 3]", r"`seeds` must be different numbers"),
        ("reference: student", "reference: studnt", r"`reference` must be one of"),
        (
            "cost_of: student",
            "cost_of: alone",
            r"`arms.long.cost_of` must be an arm of self_training, got 'alone'",
        ),
        (
            "alone: {kind: supervised}",
            "alone: {kind: supervised, iterations: 2}",
            r"arms: alone: `iterations` must be 1 with `kind: supervised`",
        ),
        ("soft: {set", "soft: {cost_of: long, set", r"`cost_of` must be empty with"),
        ("20/random/alone: 30.7", "20/alone: 30.7", r"`published` must be of cells"),
        ("source: a paper, table 3", "", r"`source` must be given with `published`"),
        (
            "source: a paper",
            "claims: {It helps: {20/student: 1}}\nsource: a paper",
            r"`It helps` must be of cells of the grid, got 20/student",
        ),
        (
            "source: a paper",
            "only_claims: true\nsource: a paper",
            r"`only_claims` must be false without `claims`",
        ),
        ("20: [human", "a/20: [human", r"`axes.labels` must be names .*, got 'a/20'"),
        ("random: []", "'': []", r"`axes.start` must be names of folders"),
        ("alone: {kind", "..: {kind", r"`arms` must be names of folders.*, got '..'"),
        ("axes:", "axes:\n  more: {}", r"`axes.more` must be one or more, got {}"),
        (
            "source: a paper",
            "claims: {It helps: {}}\nsource: a paper",
            r"`It helps` must be of cells of the grid, got none",
        ),
        (
            "source: a paper",
            "images: {u/*.tfrecord: 0}\nsource: a paper",
            r"`images` must be above 0, got {'u/\*.tfrecord': 0}",
        ),
        ("title: A test", "titel: A test", r"no setting `titel`. Did you mean `title`"),
        (
            "arms:\n",
            "arms: 3\nx:\n",
            r"arms: wanted `name: value` lines|no setting `x`",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(write, old, new, message):
    assert old in GRID
    with pytest.raises(ConfigError, match=message):
        load_grid(write(GRID.replace(old, new)))


def test_an_override_that_cannot_be_used_names_its_cell(write):
    path = write(GRID.replace("pseudo.soft=true", "pseudo.sofd=true"))
    with pytest.raises(ConfigError, match="20/random/soft: .*no setting `sofd`"):
        check_all(path)


def test_a_pretrained_model_is_named_by_its_settings_and_the_seed(write, tmp_path):
    (tmp_path / "letters.yaml").write_text(
        "classification: {class_names: [a, b], image_size_px: [32, 32]}\n"
        "human: {records: r/*.tfrecord}\ntraining: {steps: 10}\n"
    )
    text = GRID.replace("init.checkpoint=runs/t", "'init.checkpoint={letters}'")
    path = write(text + "pretrained: {letters: letters.yaml}\n")
    grid = load_grid(path)
    cell = next(c for c in cells_of(grid) if c.name == "20/teacher/alone")
    names = []
    for seed in (3, 5):
        overrides = ("runtime.deterministic=false", "training.steps=7")
        ((name, config),) = pretraining(path, grid, seed, overrides).values()
        # Of the overrides of all cells, it has only where it is run.
        assert (config.seed, config.training.steps) == (seed, 10)
        assert not config.runtime.deterministic
        of_cell = config_of_cell(path, grid, cell, seed, overrides)
        assert of_cell.init.checkpoint == name
        names.append(name)
    assert len(set(names)) == 2
    assert all(name.startswith("pretrained-letters-") for name in names)


def test_a_config_without_self_training_is_refused(write, tmp_path):
    path = write()
    text = STUDENT[: STUDENT.index("self_training")]
    (tmp_path / "student.yaml").write_text(text)
    with pytest.raises(ConfigError, match="needs the `self_training` and `pseudo`"):
        check_all(path)
