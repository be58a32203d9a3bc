"""Which settings tell one run from another."""

import dataclasses
import json
import pathlib
import typing

import pytest

from st_keras import config
from st_keras.config import identity

DEFAULTS = pathlib.Path(__file__).with_name("defaults.json")


@pytest.fixture
def student(student_yaml):
    return config.load(student_yaml)


def test_the_digest_tells_configs_apart_by_their_settings(student):
    assert config.digest(student) == config.digest(
        config.from_dict(config.to_dict(student))
    )
    digests = {config.digest(student)}
    for change in (
        {"seed": 4},
        {"init": config.InitConfig(kind="teacher", checkpoint="a")},
        {"training": dataclasses.replace(student.training, steps=7)},
        {"pseudo": dataclasses.replace(student.pseudo, weight=1.0000001)},
        {"pseudo": None},
        # A part that is there, with all its settings at their defaults.
        {"joint": config.JointConfig(records="a", images_per_step=1)},
    ):
        digests.add(config.digest(dataclasses.replace(student, **change)))
    assert len(digests) == 7
    assert all(len(digest) == 12 for digest in digests)


@pytest.mark.parametrize(
    "part, setting, value",
    [
        ("evaluation", "images_per_step", 3),
        ("training", "keep_checkpoints", 7),
        ("training", "on_nonfinite", "skip"),
    ],
)
def test_what_changes_no_number_does_not_count(student, part, setting, value):
    # Nothing else of the part is set, as a part at its defaults counts as absent.
    student = dataclasses.replace(student, evaluation=config.EvaluationConfig())
    own = dataclasses.replace(getattr(student, part), **{setting: value})
    changed = dataclasses.replace(student, **{part: own})
    assert config.digest(changed) == config.digest(student)
    name = f"{part}.{setting}"
    assert config.free_settings(changed)[name] == value
    assert config.free_settings(student)[name] != value


def test_another_slice_of_tpus_does_not_count(student):
    def on(**runtime):
        runtime = config.RuntimeConfig(**runtime)
        return config.digest(dataclasses.replace(student, runtime=runtime))

    assert on(strategy="tpu", tpu="local") == on(strategy="tpu", tpu="slice-2")
    assert on(strategy="tpu", tpu="local") != on()


def test_a_setting_of_a_later_version_does_not_count_at_its_default():
    @dataclasses.dataclass
    class Earlier:
        steps: int
        rate: float = 0.1

    @dataclasses.dataclass
    class Later(Earlier):
        warmup: int = 0
        names: tuple[str, ...] = ()

    assert identity._told(Later(4, 0.2)) == identity._told(Earlier(4, 0.2))
    assert identity._told(Later(4, 0.2, 1)) == {"steps": 4, "rate": 0.2, "warmup": 1}


def _defaults(kind, found):
    """Adds the default of every setting of a dataclass and of its parts."""
    for name, hint in typing.get_type_hints(kind).items():
        field = kind.__dataclass_fields__[name]
        default = identity._default(field)
        if default is not dataclasses.MISSING:
            found[f"{kind.__name__}.{name}"] = repr(default)
        for part in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(part):
                _defaults(part, found)
    return found


def test_no_default_has_changed():
    """A digest does not know defaults: with others, it would be of another run.

    A setting that is new belongs into the file, too.
    """
    held = json.loads(DEFAULTS.read_text())
    assert _defaults(config.Config, {}) == held
