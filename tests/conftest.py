"""A data set of a few digit scenes, and a run small enough to be killed in a test."""

import pathlib

import pytest

from st_keras import config as config_lib
from st_keras.data import conversion, splits
from st_keras.data.sources.digits import DigitSource

_SCENES = {"train": 24, "val": 5, "test": 6}
_HUMAN = 9  # Not a multiple of the batch: epochs end within a step.


class FewDigits(DigitSource):
    """The first scenes of each split."""

    def items(self, split):
        return super().items(split)[: _SCENES[split]]

    def num_labeled(self, split):
        return None


@pytest.fixture(scope="session")
def digit_records(tmp_path_factory) -> pathlib.Path:
    """Folder with `train` (24 scenes), `val` (5), `test` (6), and id files."""
    folder = tmp_path_factory.mktemp("digits")
    conversion.convert(FewDigits(), str(folder))
    ids = [f"train_{number:06d}" for number in range(_SCENES["train"])]
    splits.write_ids(folder / "human.txt", ids[:_HUMAN], "labelled by humans")
    splits.write_ids(folder / "rest.txt", ids[_HUMAN:], "the rest")
    return folder


@pytest.fixture(scope="session")
def student_yaml(digit_records) -> str:
    """File with a student's config that trains for 12 steps in a second or two."""
    text = f"""
detection:
  image_size_px: [64, 64]
  backbone: tiny
  max_level: 5
  fpn_filters: 16
  head: {{num_convs: 1, num_filters: 16}}
  anchor_size: 1.5
  aspect_ratios: [1.0]
  batch_norm_momentum: 0.9
  augment: {{color_strength: 0.2}}
human:
  records: {digit_records}/train/*.tfrecord
  ids: {digit_records}/human.txt
  images_per_step: 4
pseudo: {{images_per_step: 2, min_score: 0.0, decay: 0.9}}
optimization:
  optimizer: adamw
  learning_rate: 0.003
  warmup_steps: 2
  warmup_learning_rate: 0.0
  ema_decay: 0.9
training: {{steps: 12, steps_per_loop: 2, checkpoint_every_steps: 4}}
evaluation: {{records: "{digit_records}/val/*.tfrecord", images_per_step: 4}}
self_training:
  unlabeled_records: {digit_records}/train/*.tfrecord
  unlabeled_ids: {digit_records}/rest.txt
  test_records: {digit_records}/test/*.tfrecord
  score_floor: 0.005
"""
    path = digit_records / "student.yaml"
    path.write_text(text)
    return str(path)


@pytest.fixture
def student_config(student_yaml) -> config_lib.Config:
    return config_lib.load(student_yaml)


@pytest.fixture
def teacher_config(student_yaml) -> config_lib.Config:
    return config_lib.load(
        student_yaml, ["pseudo=null", "self_training=null", "human.images_per_step=6"]
    )
