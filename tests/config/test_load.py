"""What loading a config promises: a typed Config, or an error that names the place."""

import dataclasses
import math
import pathlib

import pytest

from st_keras import config
from tests.config.settings import TEACHER


def _error(path, *overrides):
    with pytest.raises(config.ConfigError) as raised:
        config.load(path, overrides)
    return str(raised.value).replace(path, "run.yaml")


def test_settings_that_are_not_given_have_the_defaults_of_the_dataclasses(teacher):
    loaded = config.load(teacher)
    assert loaded.training == config.TrainingConfig(steps=30)
    assert loaded.optimization == config.OptimizationConfig()
    assert loaded.detection.head == config.BoxHeadConfig()
    assert loaded.pseudo is None


def test_lists_become_tuples_of_the_annotated_type(write):
    ratios = TEACHER.replace("class_names", "aspect_ratios: [0.3, 1, 2], class_names")
    detection = config.load(write(ratios)).detection
    assert detection.image_size_px == (128, 256)
    assert detection.class_names == ("ball", "cup", "kite")
    assert detection.aspect_ratios == (0.3, 1.0, 2.0)
    assert [type(r) for r in detection.aspect_ratios] == [float] * 3


def test_a_name_of_a_text_with_nothing_behind_it_is_the_empty_text(write):
    loaded = config.load(write(TEACHER + "init: {checkpoint: }\nevaluation: {ids: }"))
    assert (loaded.init.checkpoint, loaded.evaluation.ids) == ("", "")


def test_a_config_cannot_be_changed(teacher):
    loaded = config.load(teacher)
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.training.steps = 3


def test_a_run_with_a_pseudo_part_is_a_student(teacher):
    assert config.load(teacher).role == "teacher"
    assert config.load(teacher, ["pseudo.images_per_step=4"]).role == "student"


@pytest.mark.parametrize(
    "text, value",
    [("1e-3", 0.001), ("1.0e-3", 0.001), ("2", 2.0), ("-.5E+1", -5.0), (".inf", None)],
)
def test_every_usual_spelling_of_a_number_is_a_float(write, text, value):
    # YAML 1.1 reads `1e-3` as a string: only `1.0e-3` is a float to it.
    content = TEACHER + f"expect: {{metric: AP, value: {text}, tolerance: 1}}"
    if value is None:
        assert "`value` must be finite, got inf" in _error(write(content))
    else:
        loaded = config.load(write(content)).expect.value
        assert loaded == value and isinstance(loaded, float)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            "pseudo.images_per_step=4 pseudo.wieght=2",
            "run.yaml: pseudo: no setting `wieght`. Did you mean `weight`?",
        ),
        ("trainning.steps=3", "run.yaml: no setting `trainning`. Did you mean `train"),
        ("detection.head.num_conv=3", "detection: head: no setting `num_conv`. Did"),
        ("training.qqq=3", "no setting `qqq`. There are: steps, steps_per_loop, "),
        ("training.steps=3.0", "training: steps: wanted int, got 3.0 (float)."),
        ("training.steps=1e3", "training: steps: wanted int, got '1e3' (str)."),
        ("training.steps=true", "training: steps: wanted int, got True (bool)."),
        ("optimization.momentum=true", "momentum: wanted float, got True (bool)."),
        ("optimization.momentum=fast", "momentum: wanted float, got 'fast' (str)."),
        ("runtime.jit_compile=1", "jit_compile: wanted bool, got 1 (int)."),
        ("runtime.jit_compile='no'", "jit_compile: wanted bool, got 'no' (str)."),
        ("human.records=7", "human: records: wanted str, got 7 (int)."),
        ("human.images_per_step=null", "images_per_step: wanted int, got None (Non"),
        (
            "detection=null",
            "`detection` or `segmentation` or `classification` or `simclr` must be",
        ),
        ("training=30", "training: wanted `name: value` lines, got 30."),
        (
            "detection.image_size_px=[128]",
            "image_size_px: wanted 2 values, got [128].",
        ),
        ("detection.image_size_px=128", "image_size_px: wanted a list, got 128."),
        ("detection.class_names=ball", "class_names: wanted a list, got 'ball'."),
        ("detection.class_names=[a,no]", "class_names[1]: wanted str, got False (b"),
        ("pseudo.weight=2", "pseudo: `images_per_step` is required and not set."),
    ],
)
def test_a_setting_that_cannot_be_read_is_named_with_its_place(
    teacher, change, message
):
    assert message in _error(teacher, *change.split(" "))


@pytest.mark.parametrize(
    "change, message",
    [
        ("pseudo.min_score=1.5", "pseudo: `min_score` must be in [0, 1), got 1.5."),
        ("pseudo.decay=1.0", "`decay` must be in [0, 1), got 1.0."),
        ("pseudo.weight=-1", "`weight` must be 0 or more, got -1.0."),
        ("pseudo.weight=.nan", "`weight` must be 0 or more, got nan."),
        ("training.steps=0", "training: `steps` must be above 0, got 0."),
        ("detection.backbone=vgg", "`backbone` must be one of tiny, resnet18, "),
        (
            "init_checkpoint=x",
            "`init_checkpoint` is `init: {kind: teacher, checkpoint: ",
        ),
        ("detection.fpn_filters=8", "detection: `fpn_filters` is `neck_filters` now."),
        ("detection.neck=pan", "`neck` must be one of fpn, nas_fpn, none, got 'pan'."),
        ("detection.activation=mesh", "`activation` must be one of relu, relu6, swish"),
        ("detection.drop_connect=1.0", "`drop_connect` must be in [0, 1), got 1.0."),
        ("init.kind=jft", "init: `kind` must be one of random, imagenet, "),
        ("init.kind=teacher", "`checkpoint` must be a file or a workdir with"),
        ("init.checkpoint=x", "`checkpoint` must be empty with `kind: random`, got"),
        (
            "init={kind: imagenet++, checkpoint: x}",
            "`detection.backbone` must be efficientnet... with `init.kind: imagenet++`",
        ),
        (
            "detection.image_size_px=[128,200]",
            "`image_size_px` must be multiples of 128 (2^max_level), got [128, 200].",
        ),
        ("detection.min_level=6", "`min_level` must be from 2 to 5, got 6."),
        ("detection.max_level=2", "`max_level` must be at least `min_level` (3), got"),
        ("detection.negative_iou=.6", "at most `positive_iou` (0.5), got 0.6."),
        ("detection.aspect_ratios=[]", "`aspect_ratios` must be numbers above 0, got"),
        ("detection.aspect_ratios=[1,0]", "`aspect_ratios` must be numbers above 0"),
        ("detection.label_of_class_0=2", "`label_of_class_0` must be 0 or 1, got 2."),
        (
            "detection.augment={scale_min: 0.8, scale_max: 0.5}",
            "detection: augment: `scale_max` must be at least `scale_min` (0.8), got",
        ),
        ("detection.augment.policy=S9", "`policy` must be one of S1, S2, S3, S4, "),
        ("detection.augment.operations=v0", "`operations` must be one of none, auto"),
        ("detection.augment.magnitude=11", "`magnitude` must be from 0 to 10, got 11"),
        ("detection.augment.layers=0", "`layers` must be from 1 to 8, got 0."),
        ("detection.augment.where=tpu", "`where` must be one of host, device, got"),
        ("detection.augment.color_strength=1.0", "must be in [0, 1), got 1.0."),
        ("detection.postprocess.nms_iou=1.1", "`nms_iou` must be in [0, 1], got 1.1."),
        ("optimization.step_boundaries=[5]", "given with `schedule: step` and only"),
        ("optimization.schedule=step", "given with `schedule: step` and only there"),
        ("optimization.momentum=1.0", "`momentum` must be in [0, 1), got 1.0."),
        ("runtime.strategy=gpu", "`strategy` must be one of one_device, mirrored, "),
        ("runtime.tpu=local", "`tpu` must be empty unless `strategy` is tpu, got 'lo"),
        ("human.records=''", "`records` must be a glob of TFRecords, got ''."),
        ("evaluation.ids=a.txt", "evaluation: `ids` must be empty without `records`,"),
        (
            "self_training={unlabeled_records: u, test_ids: t.txt}",
            "self_training: `test_ids` must be empty without `test_records`, the pic",
        ),
        ("human.images_per_step=-4", "`images_per_step` must be above 0, got -4."),
        ("expect.tolerance=0", "`tolerance` must be above 0, got 0.0."),
    ],
)
def test_a_value_out_of_range_is_named_with_its_range(write, change, message):
    text = (
        TEACHER + "pseudo: {images_per_step: 3}\n"
        "expect: {metric: AP, value: 40, tolerance: 0.3}\n"
    )
    assert message in _error(write(text), change)


@pytest.mark.parametrize(
    "target, found",
    [
        ("precision=0.7", ("precision", 0.7)),
        ("precision=.5", ("precision", 0.5)),
        ("precision=1", ("precision", 1.0)),
        ("max_f1", ("max_f1", 0.0)),
        ("match_counts", ("match_counts", 0.0)),
    ],
)
def test_a_calibration_has_a_target_and_pictures(target, found):
    assert config.parse_target(target) == found
    calibration = config.CalibrationConfig(target=target, ids="slice.txt")
    assert calibration.min_support == 20


@pytest.mark.parametrize(
    "change, message",
    [
        ("target=f1", "`target` must be precision=P with P in (0, 1], max_f1 or"),
        ("target=precision", "match_counts, got 'precision'."),
        ("target=precision=0", "match_counts, got 'precision=0'."),
        ("target=precision=1.01", "match_counts, got 'precision=1.01'."),
        ("target=max_f1=0.5", "match_counts, got 'max_f1=0.5'."),
        ("ids=''", "`ids` must be a file of image ids, got ''."),
        ("min_support=0", "`min_support` must be above 0, got 0."),
    ],
)
def test_a_calibration_that_cannot_be_made_is_refused(teacher, change, message):
    part = "self_training.calibration"
    changes = ["pseudo.images_per_step=2", "self_training.unlabeled_records=u/*"]
    changes += [f"{part}.target=max_f1", f"{part}.ids=slice.txt"]
    config.load(teacher, changes)
    assert message in _error(teacher, *changes, f"{part}.{change}")


def test_a_student_cannot_ask_for_boxes_that_are_never_written(teacher):
    changes = ["pseudo.images_per_step=2", "pseudo.min_score=0.04"]
    changes.append("self_training.unlabeled_records=u/*")
    with pytest.raises(
        config.ConfigError,
        match=r"`self_training.score_floor` must be at most `pseudo.min_score`",
    ):
        config.load(teacher, changes)
    config.load(teacher, [*changes, "self_training.score_floor=0.04"])


def test_a_student_of_pixels_may_ask_for_all_of_them():
    # A label map has every pixel, whatever its score.
    path = pathlib.Path(__file__).parents[2] / "configs/segmentation/camvid_cpu.yaml"
    found = config.load(str(path), ["pseudo.min_score=0.0"])
    assert found.pseudo.min_score == 0.0 < found.self_training.score_floor


def test_step_boundaries_must_rise(teacher):
    change = ["optimization.schedule=step", "optimization.step_boundaries=[9, 5]"]
    assert "`step_boundaries` must be rising steps, got (9, 5)." in _error(
        teacher, *change
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must hold `name: value` lines, got None."),
        ("- 1\n- 2", "must hold `name: value` lines, got [1, 2]."),
        ("training: {steps: 3", "run.yaml: not YAML: "),
        ("seed: 1\nhuman: {}\nseed: 2", "run.yaml: not YAML: `seed` is there twice"),
        ("training: {steps: 3, steps: 4}", "not YAML: `steps` is there twice"),
        ("human: {ids: 2020-13-45}", "run.yaml: not YAML: month must be in 1..12"),
        ("[a, b]: 3", "not YAML: a name must be a word"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(write, text, message):
    assert message in _error(write(text))


def test_the_home_folder_is_filled_in(write, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    path = write(TEACHER + "init: {kind: teacher, checkpoint: ~/runs/t}\n")
    assert config.load(path).init.checkpoint == "/home/me/runs/t"


def test_a_missing_file_is_named(tmp_path):
    assert "run.yaml: no such file." in _error(str(tmp_path / "none.yaml")).replace(
        "none", "run"
    )


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_bytes(b"seed: \xff\xfe")
    assert "run.yaml: cannot be read: " in _error(str(path))


@pytest.fixture
def student(teacher):
    overrides = [
        *("pseudo.images_per_step=4", "pseudo.max_ratio=.inf", "seed=3"),
        *("optimization.learning_rate=1e-5", "detection.aspect_ratios=[0.3, 1, 2]"),
    ]
    return config.load(teacher, overrides)


def test_what_is_saved_loads_as_the_same_config(student, tmp_path):
    path = str(tmp_path / "saved.yaml")
    config.save(student, path)
    assert config.load(path) == student
    assert config.load(path).pseudo.max_ratio == math.inf
    assert [p.name for p in tmp_path.glob("saved*")] == ["saved.yaml"]


def test_dictionaries_hold_the_whole_config_in_plain_types(student):
    settings = config.to_dict(student)
    assert settings["detection"]["aspect_ratios"] == [0.3, 1.0, 2.0]
    assert settings["detection"]["head"]["num_filters"] == 256
    assert settings["self_training"] is None
    assert config.from_dict(settings) == student
