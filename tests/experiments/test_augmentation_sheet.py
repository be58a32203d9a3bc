"""What the sheet of a policy's draws shows."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from st_keras import config
from st_keras.data import decode, drawing, pipeline
from st_keras.data.augment import policies
from st_keras.data.class_colors import class_color
from st_keras.experiments import augmentation_sheet, sheets
from st_keras.experiments.augmentation_sheet import describe, show_augmentations
from st_keras.tasks.augmentation import build_augmentation

SIZE_PX = (96, 128)


def test_a_row_is_a_picture_and_five_draws(tiny_records, tmp_path):
    path = tmp_path / "sheet.png"
    augment = config.AugmentConfig(policy="S4")
    shown = show_augmentations(tiny_records.glob, augment, SIZE_PX, str(path), count=12)
    assert shown == f"5 draws of 2 records of {tiny_records.glob}: {path}"
    # 60 x 100 is shown as 240 x 400 and 84 x 52 as 252 x 156; draws as 288 x 384.
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == (2 * (288 + 20 + 6) + 6, 6 * (400 + 6) + 6, 3)


@pytest.mark.slow
def test_the_same_seed_draws_the_same_sheet_and_another_does_not(
    tiny_records, tmp_path
):
    sheets = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        path = tmp_path / f"{name}.png"
        show_augmentations(
            tiny_records.glob,
            config.AugmentConfig(policy="S2"),
            SIZE_PX,
            str(path),
            count=6,
            seed=seed,
        )
        sheets.append(np.asarray(Image.open(path)))
    np.testing.assert_array_equal(sheets[0], sheets[1])
    assert (sheets[0] != sheets[2]).any()


def test_label_maps_follow_the_draws_and_the_first_has_a_legend(
    street_records, tmp_path
):
    path = tmp_path / "sheet.png"
    show_augmentations(
        street_records.glob,
        config.AugmentConfig(policy="S1", scale_min=0.5, scale_max=0.5),
        (60, 100),
        str(path),
        policy_of=policies.SEGMENTATION,
        count=6,
    )
    sheet = np.asarray(Image.open(path))
    first = drawing.draw_labels(
        street_records.pixels["street_0"],
        street_records.labels["street_0"],
        street_records.class_names,
        **sheets.SIDES_PX,
    )
    height, width = first.shape[:2]
    np.testing.assert_array_equal(sheet[26 : 26 + height, 6 : 6 + width], first)
    # The draws end with the picture, at the 240 px it is enlarged to.
    assert height > 240
    assert (sheet[26 + 240 :, 6 + width + 6 :] == 255).all()
    # Half the picture has a quarter of the pixels; beside it is nothing but hatching.
    for draw in range(1, 6):
        x = 6 + draw * (width + 6)
        pixels = sheet[26 : 26 + 240, x : x + width].astype(int)
        is_grey = np.ptp(pixels, axis=-1) == 0
        assert 0.7 < is_grey.mean() < 0.85


def test_boxes_are_drawn_over_the_map_of_the_same_record(digit_records, tmp_path):
    records = f"{digit_records}/train/*.tfrecord"
    path = tmp_path / "sheet.png"
    show_augmentations(records, config.AugmentConfig(), (64, 64), str(path), count=6)
    sheet = np.asarray(Image.open(path))
    source = pipeline.open_source(records, None, 0)
    serialized = next(iter(pipeline.serialized_records(source)))
    labels, _ = decode.decode_labels(serialized)
    # 64 px are enlarged four times; at their right lower corners, boxes are bare.
    for box, class_id in zip(labels.boxes_yxyx, labels.class_ids, strict=True):
        y, x = (min(int(4 * side), 255) for side in box.numpy()[2:])
        assert tuple(sheet[26 + y, 6 + x]) == class_color(int(class_id))


@pytest.mark.parametrize("output, count", [("sheet.pdf", 6), ("sheet.png", 0)])
def test_what_cannot_be_drawn_is_refused(tiny_records, output, count):
    with pytest.raises(ValueError, match="`output` must be|`count` must be"):
        show_augmentations(
            tiny_records.glob, config.AugmentConfig(), SIZE_PX, output, count=count
        )


def test_a_title_names_scale_mirror_and_operations_with_their_numbers():
    augment = config.AugmentConfig(
        operations="randaugment", layers=1, magnitude=5.0, flip_probability=1.0
    )
    augment = dataclasses.replace(augment, scale_min=2.0, scale_max=2.0)
    augmentation = build_augmentation(augment, policies.DETECTION, SIZE_PX)
    titles = {
        describe(
            augmentation.sample(
                tf.constant([96, 128]), tf.zeros([0, 4]), tf.constant([0, number])
            )
        )
        for number in range(80)
    }
    assert {title for title in titles if "Solarize " in title} == {
        "x2.00 mirrored Solarize 128"
    }
    # A fifth of a 640 px wide picture has a fifth of the published 50 px.
    assert {title for title in titles if "TranslateX" in title} <= {
        "x2.00 mirrored TranslateX 10",
        "x2.00 mirrored TranslateX -10",
    }
    assert "x2.00 mirrored Equalize" in titles


@pytest.fixture
def drawn(monkeypatch):
    """Returns what a sheet would be drawn of, and the policies to choose from."""

    def drawn(records, **named):
        asked = []
        monkeypatch.setattr(
            augmentation_sheet,
            "show_augmentations",
            lambda *given, **more: asked.append((*given[1:3], more["policy_of"])),
        )
        augmentation_sheet.show_policy(records, "sheet.png", **named)
        return asked[0]

    return drawn


def test_a_policy_by_name_has_nothing_of_the_one_in_the_config(
    tiny_records, student_yaml, drawn
):
    own = "detection.augment={scale_min: 0.5, operations: none, flip_probability: 0}"
    settings = config.load(student_yaml, [own])
    augment, size_px, _ = drawn(tiny_records.glob, config=settings)
    assert (augment, size_px) == (settings.detection.augment, (64, 64))
    augment, _, policy_of = drawn(tiny_records.glob, config=settings, policy="S4")
    assert augment == config.AugmentConfig(policy="S4", flip_probability=0.0)
    assert policy_of == policies.DETECTION


def test_a_policy_that_a_task_does_not_have_is_refused_by_name(tiny_records, drawn):
    settings = config.load("configs/classification/simclr_cpu.yaml")
    with pytest.raises(ValueError, match="`policy` must be one of S1, S4, got S2"):
        drawn(tiny_records.glob, config=settings, policy="S2")
    with pytest.raises(ValueError, match="`policy` must be one of S1, .*, got S5"):
        drawn(tiny_records.glob, policy="S5")


def test_without_a_config_records_say_of_which_task_a_policy_is(
    tiny_records, street_records, digit_records, drawn
):
    both = f"{digit_records}/train/*.tfrecord"
    for records in (tiny_records.glob, both):
        assert drawn(records, policy="S4")[2] == policies.DETECTION
    assert drawn(street_records.glob, policy="S4")[2] == policies.SEGMENTATION


def test_a_policy_is_looked_up_among_those_of_the_task(tiny_records, tmp_path):
    twice = policies.Policy(scale_min=2.0, scale_max=2.0)
    plain = config.AugmentConfig(policy="S1")
    stated = config.AugmentConfig(policy="S1", scale_min=2.0, scale_max=2.0)
    changes = []
    for augment, more in ((plain, {"policy_of": {"S1": twice}}), (stated, {})):
        path = tmp_path / "sheet.png"
        show_augmentations(
            tiny_records.glob, augment, (96, 128), str(path), count=6, **more
        )
        changes.append(np.asarray(Image.open(path)))
    np.testing.assert_array_equal(*changes)
