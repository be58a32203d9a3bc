"""Pictures of three patterns in two random colours, each a class of its own."""

import io

import numpy as np
from PIL import Image

from st_keras.data import records
from tests.record_files import write_records

NAMES = ("stripes", "rows", "checks")
COUNTS = {"train": 36, "val": 9, "test": 12}


def write(folder, split):
    """Writes the records of a split into a folder of its own; returns their ids."""
    written = [record(split, number) for number in range(COUNTS[split])]
    write_records(folder / split, written, image_class_names=NAMES)
    return [one.image_id for one in written]


def picture(random, label):
    """A pattern in two random colours, 50 x 70."""
    y, x = np.meshgrid(np.arange(50), np.arange(70), indexing="ij")
    wave = [x // 6, y // 6, x // 6 + y // 6][label - 1] % 2
    dark, light = random.integers([[0] * 3, [120] * 3], [[100] * 3, [256] * 3])
    noise = random.integers(-9, 10, [50, 70, 3])
    pixels = np.where(wave[..., None] == 1, light, dark) + noise
    encoded = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(encoded, "png")
    return encoded.getvalue()


def record(split, number):
    random = np.random.default_rng([len(split), number])
    label = number % 3 + 1
    return records.Record(
        image_id=f"{split}_{number:02d}",
        encoded=picture(random, label),
        format="png",
        filename=f"{number}.png",
        height_px=50,
        width_px=70,
        class_label=label,
    )
