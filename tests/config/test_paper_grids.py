"""The paper's tables as grids: every cell can be loaded, and says what it should."""

import dataclasses
import functools
import pathlib
import re

import pytest

from st_keras import config as config_lib
from st_keras.config import paper
from st_keras.config.grid import cells_of, config_of_cell, load_grid

CONFIGS = pathlib.Path(__file__).parents[2] / "configs"
FOLDER = CONFIGS / "experiments"
# With the beginning of the cell that is built, the largest its table needs.
TABLES = {
    **{"table2": "S4", "table3": "100", "table4": "", "table5": "190"},
    **{"table6": "l2", "table7": "random", "table8": "S4", "fig1": "S4"},
}
# The steps of table 4 are those of the authors' model zoo.
AS_THE_PAPER = [name for name in TABLES if name != "table4"]


@functools.cache
def configs(name):
    """Returns the config of every cell by its name."""
    path = str(FOLDER / f"{name}.yaml")
    grid = load_grid(path)
    return {
        cell.name: config_of_cell(path, grid, cell, grid.seeds[0])
        for cell in cells_of(grid)
    }


def grid_of(name):
    return load_grid(str(FOLDER / f"{name}.yaml"))


def gains(name, arm, of):
    """Returns by how much an arm is published above another, point by point."""
    grid = grid_of(name)
    points = ["/".join((*point, "")) for point in grid.points()]
    found = [grid.published[p + arm] - grid.published[p + of] for p in points]
    return dict(zip((p.rstrip("/") for p in points), found, strict=True))


def test_every_table_of_the_paper_has_a_grid():
    assert {path.stem for path in FOLDER.glob("*.yaml")} >= set(TABLES)
    assert len(TABLES) == 8  # Tables 2 to 8 and a figure.


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.yaml")))
def test_every_cell_has_a_config_that_loads(name):
    assert len(configs(name)) == len(cells_of(grid_of(name)))
    for config in configs(name).values():
        assert config.pseudo and config.self_training


@pytest.mark.parametrize("name", TABLES)
def test_the_header_says_row_expectation_cost_and_command(name):
    text = (FOLDER / f"{name}.yaml").read_text()
    header = text[: text.index("title:")]
    number = name.removeprefix("table").replace("fig", "figure ")
    assert f"The paper's {'table ' if number.isdigit() else ''}{number}" in header
    for word in ("# Data:", "# Expect:", "# Cost:    not run here", "# Run:"):
        assert word in header
    assert f"tools/grid.py --preset {name} " in header


@pytest.mark.parametrize("name", AS_THE_PAPER)
def test_what_the_paper_states_is_set_in_every_cell(name):
    for cell, config in configs(name).items():
        assert paper.differences(config) == [], cell


@pytest.mark.parametrize("name", TABLES)
def test_a_teacher_has_half_of_its_students_batch_of_512(name):
    for cell, config in configs(name).items():
        assert config.self_training.teacher_images_per_step == 256
        student = config.human.images_per_step + config.pseudo.images_per_step
        # Memory: 128 and 128 on EfficientNet-L2.
        assert student == (256 if cell.startswith("l2") else 512), cell


@pytest.mark.parametrize("name", ["table2", "table8", "fig1"])
def test_the_column_names_the_augmentation(name):
    for cell, config in configs(name).items():
        assert config.section.augment.policy == cell.split("/")[0]


@pytest.mark.parametrize("name", ["table3", "table4", "table7"])
def test_the_other_tables_of_coco_are_of_augment_s4(name):
    assert {c.section.augment.policy for c in configs(name).values()} == {"S4"}


@pytest.mark.parametrize("name", ["table2", "table3", "table4", "table7", "fig1"])
def test_a_cell_starts_from_the_weights_it_is_named_after(name):
    kinds = {"imagenet", "imagenet++", "simclr"}
    for cell, config in configs(name).items():
        named = kinds & set(cell.split("/")) or {"random"}
        assert {config.init.kind} == named, cell


def test_a_share_of_labels_is_a_file_of_ids():
    for cell, config in configs("table3").items():
        share = cell.split("/")[0]
        name = "" if share == "100" else f"data/coco/splits/fraction_{share}_seed0.txt"
        assert config.human.ids == name
    assert {c.human.ids for c in configs("table7").values()} == {
        "data/coco/splits/fraction_20_seed0.txt"
    }


@pytest.mark.parametrize(
    ("cell", "same"),
    [
        ("table2:S4/random", "table3:100/random/supervised"),
        ("table2:S4/imagenet", "table3:100/imagenet/supervised"),
        ("table2:S4/self_training", "table3:100/random/self_training"),
        ("table7:imagenet/self_training", "table3:20/imagenet/self_training"),
        ("table7:random/supervised", "table3:20/random/supervised"),
        ("fig1:S4/imagenet++", "table3:100/imagenet++/supervised"),
        ("fig1:S1/random", "table2:S1/random"),
        ("fig1:S2/imagenet", "table2:S2/imagenet"),
        ("table8:S4/train", "table6:b7/teacher"),
        ("table8:S4/self_training", "table6:b7/student"),
    ],
)
def test_what_two_tables_share_has_one_config_and_one_number(cell, same):
    (name, cell), (other, same) = cell.split(":"), same.split(":")
    assert configs(name)[cell] == configs(other)[same]
    assert grid_of(name).published[cell] == grid_of(other).published[same]


@pytest.mark.parametrize(
    ("name", "cell", "path"),
    [
        ("table5", "190/student", "detection/retinanet_spinenet_190_student"),
        (
            *("table6", "l2/student"),
            "segmentation/nas_fpn_segmenter_efficientnet_l2_student",
        ),
    ],
)
def test_a_larger_model_is_that_of_its_own_config(name, cell, path):
    assert configs(name)[cell] == config_lib.load(str(CONFIGS / f"{path}.yaml"))


@pytest.mark.parametrize("name", TABLES)
def test_every_student_has_a_control_of_equal_cost_that_the_paper_has_not(name):
    grid = grid_of(name)
    kinds = {arm: settings.kind for arm, settings in grid.arms.items()}
    students = [arm for arm, kind in kinds.items() if kind == "self_training"]
    if name == "fig1":
        assert not students
        return
    # Of table 7, the first: how `both` would be matched, jointly or not, is open.
    assert grid.arms["control"].cost_of == students[0]
    assert [arm for arm in kinds if grid.arms[arm].cost_of] == ["control"]
    assert not [cell for cell in grid.published if cell.endswith("control")]
    for cell, config in configs(name).items():
        if cell.endswith("control"):
            assert config == configs(name)[cell.replace("control", students[0])]


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"fig1"}))
def test_the_supervised_arm_has_the_steps_of_a_student(name):
    """What a grid's comment calls equal steps."""
    assert "# Equal steps:" in (FOLDER / f"{name}.yaml").read_text()
    grid = grid_of(name)
    student = grid.arms["control"].cost_of
    for cell, config in configs(name).items():
        taught = configs(name)[cell.replace(cell.split("/")[-1], student)]
        assert config.self_training.teacher_steps == 0, cell
        assert config.training.steps == taught.training.steps, cell
        is_l2 = cell.startswith("l2")
        assert taught.human.images_per_step == (128 if is_l2 else 256), cell


@pytest.mark.parametrize("name", sorted(set(TABLES) - {"fig1"}))
def test_what_a_teacher_labels_has_a_number(name):
    # Of ImageNet and PASCAL's `aug` it is known, of OpenImages it is quoted.
    numbers = {
        "data/imagenet_pictures/train/*.tfrecord": 1_281_167,
        "data/openimages_pictures/train/*.tfrecord": 1_700_000,
        "data/voc/aug/*.tfrecord": 9118,
    }
    for config in configs(name).values():
        records = config.self_training.unlabeled_records
        assert grid_of(name).images == {records: numbers[records]}


def test_joint_training_is_that_of_its_own_config():
    path = CONFIGS / "detection" / "retinanet_efficientnet_b7_fpn_joint.yaml"
    theirs = config_lib.load(str(path))
    for cell, config in configs("table7").items():
        has_joint = cell.split("/")[1] in ("joint", "both")
        assert config.joint == (theirs.joint if has_joint else None)
        assert config.human == theirs.human
        assert config.detection == theirs.detection
    both = configs("table7")["random/both"].self_training
    assert both.teacher_joint == theirs.self_training.teacher_joint


def test_published_numbers_differ_by_the_gains_that_the_paper_prints():
    # Each is rounded by itself, so a difference may be 0.1 off.
    printed = {"S1": 1.7, "S2": 1.5, "S3": 1.5, "S4": 1.3}
    assert gains("table2", "self_training", "random") == pytest.approx(printed, abs=0.1)
    printed = {"S1": 0.3, "S2": -0.7, "S3": -0.8, "S4": -1.0}
    assert gains("table2", "imagenet", "random") == pytest.approx(printed, abs=0.11)
    printed = {
        **{"20/random": 3.4, "50/random": 1.8, "100/random": 1.3},
        **{"20/imagenet": 2.7, "50/imagenet": 1.7, "100/imagenet": 1.3},
        **{"20/imagenet++": 1.3, "50/imagenet++": 1.6, "100/imagenet++": 0.8},
    }
    found = gains("table3", "self_training", "supervised")
    assert found == pytest.approx(printed, abs=0.01)
    found = gains("table4", "self_training", "random")
    assert found == pytest.approx({"": 0.8}, abs=0.01)
    for arm, printed in (
        ("self_training", {"random": 3.4, "imagenet": 2.7}),
        ("joint", {"random": 2.9, "imagenet": 0.7}),
        ("both", {"random": 4.4, "imagenet": 3.3}),
    ):
        found = gains("table7", arm, "supervised")
        assert found == pytest.approx(printed, abs=0.01)
    # The abstract: 1.5 AP and 1.5 mIoU over its best teachers.
    assert gains("table6", "student", "teacher") == pytest.approx(
        {"b7": 1.5, "l2": 1.3}, abs=0.01
    )


def test_what_is_only_quoted_second_hand_is_not_called_published():
    assert set(grid_of("table8").published) == {"S4/train", "S4/self_training"}
    assert "S1/imagenet++" not in grid_of("fig1").published


@pytest.mark.parametrize(
    "name,times,cells", [("mini", 8, 12), ("mini_segmentation", 4, 7)]
)
def test_a_short_form_has_fewer_steps_and_fewer_of_the_same_cells(name, times, cells):
    whole, short = configs(name), configs(f"{name}_quick")
    assert len(whole) == 14 and len(short) == cells
    for cell, config in short.items():
        training = dataclasses.replace(
            config.training, steps=whole[cell].training.steps // times
        )
        assert config.training == training, cell
        for part in ("human", "pseudo", "self_training", "section", "init"):
            assert getattr(config, part) == getattr(whole[cell], part), (cell, part)
    short, whole = grid_of(f"{name}_quick"), grid_of(name)
    assert short.seeds == whole.seeds and len(short.seeds) == 5
    assert set(short.claims) < set(whole.claims)


@functools.cache
def billions_of_models():
    """Returns the multiply-adds of each preset, as docs/models.md prints them."""
    text = (CONFIGS.parent / "docs" / "models.md").read_text()
    cells = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("| `"): float(row[5].removesuffix(" B")) for row in cells}


def of_training(config):
    """Counts as the plan does, without building large models."""
    kind = {"detection": "retinanet", "segmentation": "nas_fpn_segmenter"}
    name = f"{kind[config.task_name]}_{config.section.backbone}"
    billions = billions_of_models()
    model = billions.get(name) or billions[f"{name}_fpn"]
    if not config.joint:
        return model * 1e9, 0
    # Of 600 px, and so many fewer for fewer pixels.
    beside = billions["classifier_efficientnet_b7"]
    return model * 1e9, beside * 1e9 * (config.joint.image_size_px[0] / 600) ** 2


@pytest.mark.parametrize("name", TABLES)
def test_the_header_has_the_cost_of_the_plan(name, tmp_path, monkeypatch):
    from st_keras.experiments import multiply_adds
    from st_keras.experiments.grids import jobs, plan

    monkeypatch.setattr(multiply_adds, "of_training", of_training)
    path = FOLDER / f"{name}.yaml"
    of_all = jobs.of_grid(str(path), str(tmp_path), cells=[], seeds=[])
    last = plan.format_plan(of_all).partition("\n\n")[0].splitlines()[-1]
    trillions, hours = re.search(r"(\S+) T +(\S+)$", last).groups()
    said = re.search(r"estimates (\S+) multiply-adds, (\S+) chip-h", path.read_text())
    # Printed in three digits; of the joint classifier, the size is scaled.
    assert float(said[1]) == pytest.approx(number(trillions) * 1e12, rel=0.005)
    assert number(said[2]) == pytest.approx(number(hours), rel=0.001)


def number(text):
    return float(text.replace(",", ""))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), TABLES.items())
def test_a_cell_of_each_grid_is_a_model(name, value):
    from st_keras.tasks import build_task, with_class_names
    from tests.config.datasets import COCO, PASCAL

    cell = [cell for cell in configs(name) if cell.startswith(value)][-1]
    config = configs(name)[cell]
    info = PASCAL if config.task_name == "segmentation" else COCO
    model = build_task(with_class_names(config, info)).build_model(
        sync_batch_norm=False
    )
    assert model.input_shape[1:3] == config.section.image_size_px
