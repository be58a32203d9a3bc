"""What the scenes of digits promise."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from st_keras.data import splits
from st_keras.data.sources import digits
from st_keras.data.sources.digits import DigitSource


@pytest.fixture(scope="module")
def source():
    return DigitSource()


@pytest.fixture(scope="module")
def scenes(source):
    return [item.read() for item in source.items("train")[:120]]


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_there_are_2000_200_and_200(source):
    counts = {split: len(source.items(split)) for split in source.splits}
    assert counts == {"train": 2000, "val": 200, "test": 200}
    assert source.items("train")[12].image_id == "train_000012"


def test_no_drawing_is_in_two_splits():
    ranges = [set(drawings) for drawings in digits._DRAWINGS.values()]
    assert [len(drawings) for drawings in ranges] == [1000, 200, 597]
    assert len(set.union(*ranges)) == len(datasets.load_digits().images) == 1797


def test_a_scene_has_2_to_4_digits_of_16_to_28_pixels(scenes):
    counts = [len(scene.boxes) for scene in scenes]
    assert set(counts) == {2, 3, 4}
    heights = [box.box_yxyx[2] - box.box_yxyx[0] for s in scenes for box in s.boxes]
    # A row of faint ink more or less.
    assert 14 <= min(heights) < 18
    assert 26 < max(heights) <= 29


def test_boxes_lie_inside_and_hardly_overlap(scenes):
    for scene in scenes:
        boxes = np.array([box.box_yxyx for box in scene.boxes])
        assert boxes.min() >= 0
        assert boxes.max() <= 64
        for i, one in enumerate(boxes):
            for other in boxes[:i]:
                start = np.maximum(one[:2], other[:2])
                end = np.minimum(one[2:], other[2:])
                common = np.prod(np.maximum(end - start, 0))
                both = np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])
                assert common / (both - common) < 0.1


def test_the_label_map_is_the_digit_plus_1_tight_in_its_box(scenes):
    for scene in scenes:
        label_map = scene.label_map
        assert label_map.shape == (64, 64)
        labels = {box.label for box in scene.boxes}
        assert set(np.unique(label_map)) == {0, *labels}
        # The last digit is drawn over the others, so all of its ink is seen.
        last = scene.boxes[-1]
        y0, x0, y1, x1 = map(int, last.box_yxyx)
        window = label_map[y0:y1, x0:x1] == last.label
        assert window[0].any() and window[-1].any()
        assert window[:, 0].any() and window[:, -1].any()


def test_digits_are_brighter_than_the_ground(scenes):
    for scene in scenes:
        brightness = pixels(scene.picture).max(axis=-1)
        ink = scene.label_map > 0
        assert brightness[ink].mean() > 2 * brightness[~ink].mean()


def test_a_scene_depends_on_seed_split_and_number_only(source):
    again = DigitSource(seed=0).items("val")[3].read()
    assert source.items("val")[3].read().picture == again.picture
    others = [
        DigitSource(seed=1).items("val")[3].read(),
        source.items("test")[3].read(),
        source.items("val")[4].read(),
    ]
    assert again.picture not in [other.picture for other in others]


def test_scenes_of_one_number_have_nothing_in_common(source):
    one, other = (source.items(split)[3].read() for split in ("val", "test"))
    same = (pixels(one.picture) == pixels(other.picture)).all(axis=-1)
    assert same.mean() < 0.1


def test_larger_scenes_have_larger_digits():
    scene = DigitSource(image_size_px=128).items("train")[0].read()
    assert pixels(scene.picture).shape == (128, 128, 3)
    heights = [box.box_yxyx[2] - box.box_yxyx[0] for box in scene.boxes]
    assert min(heights) >= 28


@pytest.mark.parametrize(
    "options, message",
    [
        ({"image_size_px": 31}, "`image_size_px` must be 32 or more, got 31"),
        ({"seed": -1}, "`seed` must be 0 or more, got -1"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        DigitSource(**options)


def test_a_hundred_training_pictures_are_listed_as_labeled(folder, monkeypatch):
    scenes = {"train": 300, "val": 5, "test": 5}
    monkeypatch.setattr(DigitSource, "counts", scenes)
    infos = folder.convert(DigitSource())
    assert {split: info.images for split, info in infos.items()} == scenes
    assert infos["train"].label_map_names[:2] == ("background", "0")
    labeled = splits.read_ids(folder.output / "train" / "labeled_100.txt")
    unlabeled = splits.read_ids(folder.output / "train" / "unlabeled_200.txt")
    records = folder.records()
    assert sorted(labeled + unlabeled) == sorted(records)
    # The hidden truth of the unlabelled ones is there for reports.
    assert all(records[image_id]["boxes"] for image_id in unlabeled)
    shown = {label for image_id in labeled for label in records[image_id]["labels"]}
    assert shown == set(range(1, 11))
    assert not list((folder.output / "val").glob("*labeled*"))
