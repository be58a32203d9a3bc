"""Pictures, folders in the usual layouts, and a look into what comes out."""

import io
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from st_keras.data import conversion

# Every corner of the 60 x 100 picture has another colour, so that no turn, flip or
# swapped axis goes unseen.
HEIGHT_PX, WIDTH_PX = 60, 100
CORNERS = {
    "top_left": (200, 40, 40),
    "top_right": (40, 200, 40),
    "bottom_left": (40, 40, 200),
    "bottom_right": (200, 200, 40),
}


def four_corners(height: int = HEIGHT_PX, width: int = WIDTH_PX) -> np.ndarray:
    pixels = np.zeros([height, width, 3], np.uint8)
    pixels[: height // 2, : width // 2] = CORNERS["top_left"]
    pixels[: height // 2, width // 2 :] = CORNERS["top_right"]
    pixels[height // 2 :, : width // 2] = CORNERS["bottom_left"]
    pixels[height // 2 :, width // 2 :] = CORNERS["bottom_right"]
    return pixels


def encode(image, file_format: str, **options) -> bytes:
    buffer = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


class Folder:
    """A folder under test that is filled and then converted."""

    def __init__(self, root: pathlib.Path):
        self.root = root / "source"
        self.output = root / "records"

    def write(self, name: str, content) -> pathlib.Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict | list):
            content = json.dumps(content)
        if isinstance(content, str):
            content = content.encode()
        path.write_bytes(content)
        return path

    def picture(self, name: str, height: int = HEIGHT_PX, width: int = WIDTH_PX):
        return self.write(name, encode(four_corners(height, width), "PNG"))

    def convert(self, source, **options):
        return conversion.convert(source, str(self.output), **options)

    def records(self, split: str = "train") -> dict[str, dict]:
        """Returns what the shards of a split hold, by image id."""
        found = {}
        for path in sorted((self.output / split).glob("*.tfrecord")):
            for serialized in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
                record = _parse(serialized)
                assert record["image_id"] not in found
                found[record["image_id"]] = record
        return found

    def skipped(self, split: str = "train") -> list[tuple[str, str, str]]:
        """Returns (image, annotation, reason) of every line of skipped.txt."""
        lines = (self.output / split / "skipped.txt").read_text().splitlines()
        assert lines[0] == "image\tannotation\treason\tvalues"
        return [tuple(line.split("\t")[:3]) for line in lines[1:]]


def _parse(serialized: bytes) -> dict:
    features = tf.train.Example.FromString(serialized).features.feature
    height = features["image/height"].int64_list.value[0]
    width = features["image/width"].int64_list.value[0]
    shares = [
        features[f"image/object/bbox/{side}"].float_list.value
        for side in ("ymin", "xmin", "ymax", "xmax")
    ]
    encoded = features["image/encoded"].bytes_list.value[0]
    return {
        "image_id": features["image/source_id"].bytes_list.value[0].decode(),
        "filename": features["image/filename"].bytes_list.value[0].decode(),
        "format": features["image/format"].bytes_list.value[0].decode(),
        "encoded": encoded,
        # As training sees them.
        "pixels": tf.io.decode_image(encoded, channels=3).numpy(),
        "size": (height, width),
        "boxes": np.round(np.stack(shares, -1) * ([height, width] * 2), 2).tolist(),
        "labels": list(features["image/object/class/label"].int64_list.value),
        "texts": [
            text.decode()
            for text in features["image/object/class/text"].bytes_list.value
        ],
        "is_crowd": list(features["image/object/is_crowd"].int64_list.value),
        "label_map": features["image/segmentation/class/encoded"].bytes_list.value,
        "class_label": list(features["image/class/label"].int64_list.value),
    }


@pytest.fixture
def folder(tmp_path) -> Folder:
    return Folder(tmp_path)
