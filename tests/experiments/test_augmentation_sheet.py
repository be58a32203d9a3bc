"""What the sheet of a policy's draws shows."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from st_keras import config
from st_keras.data.augment import policies
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
            augmentation.draw(
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
