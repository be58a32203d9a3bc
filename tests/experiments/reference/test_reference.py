"""Pages of reference: they are current, and nothing that counts is left out."""

import dataclasses
import inspect
import pathlib
import re
import subprocess
import sys
import textwrap

import pytest

from st_keras import config as config_lib
from st_keras import models
from st_keras.experiments.reference import api, configs, ranges, source, tools

FOLDER = pathlib.Path(__file__).parents[3] / "docs" / "reference"
FRESH = "run `python tools/reference.py --output docs/reference`"


@pytest.mark.parametrize(
    ("name", "made_by"), [("configs", configs), ("tools", tools), ("api", api)]
)
def test_the_page_is_what_the_code_says(name, made_by):
    assert (FOLDER / f"{name}.md").read_text() == made_by.page(), FRESH


def sections():
    """Returns the text of each section of the page of settings, by its title."""
    parts = configs.page().split("\n## ")[1:]
    return {part.partition("\n")[0]: part for part in parts}


def test_every_setting_has_a_row():
    def visit(kind, section):
        for field in dataclasses.fields(kind):
            inherited = issubclass(kind, config_lib.TaskConfig)
            texts = [section, sections()["Every task"]] if inherited else [section]
            assert any(f"\n| `{field.name}` |" in text for text in texts), field.name

    visit(config_lib.PseudoConfig, sections()["`pseudo`"])
    visit(config_lib.DetectionConfig, sections()["`detection`"])
    visit(config_lib.Config, sections()["The file"])
    visit(config_lib.CalibrationConfig, sections()["`self_training.calibration`"])


def test_a_row_has_type_default_range_and_comment():
    assert (
        "| `min_score` | number | `0.5` | in [0, 1) | Boxes under it are dropped, "
        "pixels under it ignored. |"
    ) in sections()["`pseudo`"]
    assert (
        "| `steps` | whole number | required | above 0 |  |"
        in (sections()["`training`"])
    )
    assert (
        "| `weight` | number | `1` | 0 or more | Of the pseudo loss: alpha. |"
        in (sections()["`pseudo`"])
    )
    rows = sections()["`segmentation`"]
    assert "`{scales: [0.5, 0.75, 1.0, 1.25, 1.5, 1.75], flip: true}`" in rows
    assert (
        "| `optimizer` | text | `sgd` | one of `sgd`, `adamw` |"
        in (sections()["`optimization`"])
    )


def test_a_class_that_stands_in_many_places_is_described_once():
    titles = [title for title in sections() if "detection.augment" in title]
    assert titles == [
        "`detection.augment`, `segmentation.augment`, `classification.augment`, "
        "`simclr.augment`"
    ] or (len(titles) == 1 and "`joint.augment`" in titles[0])


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module with settings of its own, where the package would be."""
    text = """
    WORDS = ("a", *("b", "c"))

    class Made:
        # Above, in
        # two lines.
        first: int = 1  # And behind.
        second: float = 0.5

        # Not said of the next, after a blank line.

        third: str = "a"
        fourth: tuple[int, ...] = ()

        def __post_init__(self):
            check_above_zero(self, "first", "second")
            if self.fourth:
                check("first", self.first, True, f"at most `second` ({self.second})")
            for name in ("second", "fourth"):
                check(name, 1, True, "in [0, 1)")
            check_choice(self, "third", WORDS)
            wanted = "empty with two"
            check("fourth", 1, True, wanted)
            check(f"{self.first}.x", 1, True, "never told")
            check("third", 1, True, f"one of {len(self.third)} words")
    """
    (tmp_path / "made.py").write_text(textwrap.dedent(text))
    monkeypatch.setattr(source, "_ROOT", tmp_path)
    source.read.cache_clear()
    yield source.read("made")
    source.read.cache_clear()


def test_comments_above_and_behind_a_field_are_joined(module):
    fields = {f.name: f for f in source.fields(module, module.find("Made"))}
    assert fields["first"].comment == "Above, in two lines. And behind."
    assert fields["second"].comment == fields["third"].comment == ""
    assert fields["first"].default == "1"
    assert fields["fourth"].annotation == "tuple[int, ...]"


def test_ranges_are_read_from_the_checks(module):
    found = ranges.ranges(module, module.find("Made"))
    assert found["first"] == "above 0; at most `second`"
    assert found["second"] == "above 0; in [0, 1)"
    # What only a run can fill in is left out.
    assert found["third"] == "one of `a`, `b`, `c`"
    assert found["fourth"] == "in [0, 1); empty with two"


@pytest.mark.parametrize("name", ["make_records", "evaluate", "show"])
def test_a_command_shows_the_flags_that_its_help_has(name):
    tool = FOLDER.parents[1] / "tools" / f"{name}.py"
    done = subprocess.run([sys.executable, tool, "--help"], capture_output=True)
    (module,) = [m for m in source.tools() if m.name == f"tools/{name}.py"]
    helped = set(re.findall(r"^  --(?:\[no\])?(\w+):", done.stdout.decode(), re.M))
    ours = {flag.name for flag in tools.flags_of(module)}
    assert helped == ours
    assert helped


def test_a_flag_has_what_it_takes_and_its_default():
    page = tools.page()
    assert "| `--config` | text | required | YAML file with the settings. |" in page
    assert "| `--overwrite` | on or off | off | Replace records that are there. |" in (
        page
    )
    assert "| `--purpose` | one of `evaluation`, `labeling` | `evaluation` |" in page
    assert "| `--source` | one of `coco`, `voc`, `yolo`, " in page
    assert "| `--fractions` | list, with commas | `1,5,10,20,50` | Percent. |" in page


def test_every_name_of_the_front_door_can_be_imported():
    for name in api.FRONT_DOOR:
        assert api.members(name), name
        for member in api.members(name):
            source.resolve(name, member)  # Raises where there is none.


def test_a_name_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="`st_keras.config` has no `lod`"):
        source.resolve("st_keras.config", "lod")
    with pytest.raises(ValueError, match="must be a module of st_keras"):
        source.read("st_keras.nothing")


def test_a_signature_on_the_page_is_that_of_the_function():
    page = api.page()
    for function in (config_lib.load, config_lib.digest, config_lib.save):
        start = page.index(f"```text\n{function.__name__}(")
        shown = page[start : page.index("```\n", start + 4)]
        for parameter in inspect.signature(function).parameters:
            assert parameter in shown


def shown(heading):
    """Returns the text of the page of functions under a heading, up to the next."""
    return re.split("\n##+ ", api.page().partition(f"\n{heading}\n")[2])[0]


def test_a_method_has_a_signature_and_all_of_its_docstring():
    add = shown("#### MeanIoU.add")
    assert (
        "```text\nadd(image_id: str, truth: LabelMap, predicted: LabelMap) -> " in add
    )
    assert "\n- `truth`: NumPy arrays [H, W]." in add
    assert "\n**Raises**\n\n- `ValueError`: The picture was added before" in add
    # Neither the instance nor the decorator is an argument.
    assert "```text\nby_class_id(config: Any, " in shown("#### Task.by_class_id")
    assert "```text\nclass_names: tuple[str, ...]\n" in shown("#### Task.class_names")


def test_a_module_is_shown_with_all_that_it_says():
    assert "Coordinates: y before x, height before width" in shown("## st_keras.types")
    seeded = shown("#### randomness.seeded")
    assert "```text\nseeded(seed: tf.Tensor)" in seeded
    assert "\n- `seed`: [2] int32" in seeded


def test_a_constant_is_shown_with_its_value_or_its_keys():
    assert "it is `255`. Class id of a pixel" in shown("### IGNORED")
    assert "it is `('auto', 'tf1', " in shown("### FORMATS")
    # In the order of the code, and those that a loop makes too.
    assert "keys `tiny`, `resnet18`, `resnet34`" in shown("### BACKBONES")
    for name in models.PRESETS:
        assert f"`{name}`" in shown("### PRESETS")
