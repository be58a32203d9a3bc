"""How a config is put together: a file over its base, and overrides over both."""

import re

import pytest

from st_keras import config
from st_keras.config import ConfigError
from tests.config.settings import TEACHER


def test_a_file_overrides_its_base_setting_by_setting(write):
    write(TEACHER + "seed: 5", "base.yaml")
    path = write("base: base.yaml\ntraining: {steps_per_loop: 7}\nseed: 6")
    loaded = config.load(path)
    assert (loaded.training.steps, loaded.training.steps_per_loop) == (30, 7)
    assert loaded.seed == 6
    assert loaded.detection.image_size_px == (128, 256)


def test_a_list_replaces_the_list_of_its_base(write):
    write(TEACHER, "base.yaml")
    path = write("base: base.yaml\ndetection: {class_names: [dog]}")
    assert config.load(path).detection.class_names == ("dog",)


def test_null_removes_a_part_of_the_base(write):
    write(TEACHER + "pseudo: {images_per_step: 3}", "base.yaml")
    assert config.load(write("base: base.yaml\npseudo: null")).pseudo is None


def test_base_is_found_beside_the_file_that_names_it(write, tmp_path, monkeypatch):
    (tmp_path / "inner").mkdir()
    write(TEACHER, "base.yaml")
    path = write("base: ../base.yaml\nseed: 3", "inner/run.yaml")
    monkeypatch.chdir(tmp_path.parent)
    assert config.load(path).seed == 3


def test_a_base_of_a_base_is_refused(write):
    write(TEACHER, "grandmother.yaml")
    write("base: grandmother.yaml", "mother.yaml")
    with pytest.raises(ConfigError, match="run.yaml: `base` is one level deep, but "):
        config.load(write("base: mother.yaml"))


def test_a_base_must_be_a_file_name(write):
    message = re.escape("`base` must be a file name, got ['a'].")
    with pytest.raises(ConfigError, match=message):
        config.load(write("base: [a]"))


def test_an_override_reaches_any_depth(teacher):
    loaded = config.load(teacher, ["detection.augment.flip_probability=0", "seed=4"])
    assert loaded.detection.augment.flip_probability == 0.0
    assert loaded.detection.image_size_px == (128, 256)
    assert loaded.seed == 4


def test_an_override_creates_the_parts_it_needs(teacher):
    overrides = ["pseudo.images_per_step=4", "pseudo.min_score=3e-1"]
    loaded = config.load(teacher, overrides)
    assert loaded.pseudo == config.PseudoConfig(images_per_step=4, min_score=0.3)


def test_an_override_of_null_removes_an_optional_part_and_the_next_makes_it_anew(write):
    path = write(TEACHER + "pseudo: {images_per_step: 3, weight: 2}")
    assert config.load(path, ["pseudo=null"]).pseudo is None
    anew = config.load(path, ["pseudo=null", "pseudo.images_per_step=5"]).pseudo
    assert anew == config.PseudoConfig(images_per_step=5)


def test_the_later_override_wins(teacher):
    assert config.load(teacher, ["seed=1", "seed=2"]).seed == 2


def test_an_override_may_hold_an_equals_sign(teacher):
    loaded = config.load(teacher, ["human.records=gs://a/date=3/*.tfrecord"])
    assert loaded.human.records == "gs://a/date=3/*.tfrecord"


@pytest.mark.parametrize(
    "override, message",
    [
        ("seed", "--set seed: must look like `a.b=value`."),
        ("=3", "--set =3: must look like `a.b=value`."),
        ("seed.x=3", "--set seed.x=3: `seed` is a value, not a part."),
        ("seed=2020-13-45", "--set seed=2020-13-45: the value is not YAML: month"),
        ("seed=[", "--set seed=[: the value is not YAML: "),
    ],
)
def test_an_override_that_cannot_be_read_is_shown(write, override, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        config.load(write(TEACHER + "seed: 1"), [override])
