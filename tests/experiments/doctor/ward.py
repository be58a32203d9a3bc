"""A config that nothing is wrong with, to be broken in one place at a time."""

import pathlib

import numpy as np
import yaml

from st_keras import config as config_lib
from st_keras.data import images, records, splits
from st_keras.experiments.doctor import checkup
from st_keras.experiments.doctor.trial import Trial
from tests.record_files import write_records

CLASSES = ("ball", "cup", "kite")
TRIAL = Trial(
    steps=20,
    images_per_step=6,
    steps_per_second=4.0,
    seconds_before=30.0,
    loss_first=2.0,
    loss_last=1.0,
    parameters=1000,
    checkpoint_bytes=12_000,
    peak_memory_bytes=10**9,
    pictures_per_second=0.5,
)
_PICTURES = {"train": 12, "val": 4, "test": 3}
_HUMAN = 8


class Ward:
    """A folder of small records, and the config of a student on them."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        for number, (name, count) in enumerate(_PICTURES.items()):
            self.write(name, [picture(f"{name}_{i}", number, i) for i in range(count)])
        ids = [f"train_{i}" for i in range(_PICTURES["train"])]
        splits.write_ids(root / "human.txt", ids[:_HUMAN])
        splits.write_ids(root / "rest.txt", ids[_HUMAN:])

    def write(self, name, written, **names):
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        names = names or {"class_names": CLASSES}
        write_records(folder, written, num_shards=2, **names)

    def glob(self, name: str) -> str:
        return f"{self.root}/{name}/*.tfrecord"

    def config(self, *overrides: str, **parts: dict | None) -> config_lib.Config:
        """Returns the config; parts replace whole parts, None removes one."""
        settings = {
            "detection": {
                **{"image_size_px": [64, 64], "backbone": "tiny", "max_level": 5},
                **{"neck_filters": 16, "head": {"num_convs": 1, "num_filters": 16}},
                **{"anchor_size": 1.5, "aspect_ratios": [1.0]},
                "batch_norm_momentum": 0.9,
            },
            "human": {
                **{"records": self.glob("train"), "images_per_step": 4},
                "ids": f"{self.root}/human.txt",
            },
            "pseudo": {"images_per_step": 2, "decay": 0.9},
            "optimization": {
                **{"optimizer": "adamw", "learning_rate": 0.003},
                "warmup_learning_rate": 0.0,
            },
            "training": {"steps": 2000},
            "evaluation": {"records": self.glob("val"), "images_per_step": 4},
            "self_training": {
                "unlabeled_records": self.glob("train"),
                "unlabeled_ids": f"{self.root}/rest.txt",
                "test_records": self.glob("test"),
            },
        }
        settings |= parts
        path = self.root / "config.yaml"
        path.write_text(yaml.safe_dump(settings))
        return config_lib.load(str(path), overrides)

    def found(self, *overrides: str, **parts) -> list[str]:
        """Returns `kind: what` of each finding, without taking a step."""
        _, found = checkup.examine(self.config(*overrides, **parts), steps=0)
        assert all(f.fix.endswith(".") or f.fix.endswith("`.") for f in found), found
        text = [f"{f.kind}: {f.what}".replace(str(self.root), "ROOT") for f in found]
        return text


def picture(image_id: str, *seed: int, labels=(1, 2, 3), **changes) -> records.Record:
    """Returns a picture of 80 x 100 px with a box of 16 x 20 px for each label."""
    pixels = np.random.default_rng(seed).integers(0, 255, [80, 100, 3]).astype(np.uint8)
    corners = np.array([[10 + 5 * i, 4 + 22 * i] for i in range(len(labels))])
    boxes = np.concatenate([corners, corners + [16, 20]], 1) if labels else []
    fields = {
        "image_id": image_id,
        "encoded": images.encode_png(pixels),
        "format": "png",
        "filename": f"{image_id}.png",
        "height_px": 80,
        "width_px": 100,
        "boxes_yxyx": np.reshape(boxes, [-1, 4]).astype(np.float32),
        "labels": np.array(labels, np.int64),
    }
    return records.Record(**fields | changes)
