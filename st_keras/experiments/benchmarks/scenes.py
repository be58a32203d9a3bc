"""Makes JPEGs that are as costly to decode as photographs, with boxes and maps."""

import io
import pathlib

import numpy as np
from PIL import Image

from st_keras.data import dataset_info, images, records

SIZE_PX = (480, 640)  # Height and width, the most common in COCO.
_DIGITS = tuple("0123456789")
_MOST_BOXES = 15
_HEIGHTS_PX = (24, 240)
_INK = 0.3  # Opacity from which a pixel belongs to the digit.
_QUALITY = 90
# Photographs have about the same contrast at every scale; this much gives 100 KB.
_TEXTURE = 0.055
_FINEST_CELLS = 2  # Pixels.


def write_scenes(folder: str, count: int, seed: int = 0, shards: int = 1) -> str:
    """Writes records of scenes with enlarged digits and returns their glob.

    A scene depends only on the seed and its number. Boxes are tight around the ink; in
    label maps, 0 is the background and digit d is d + 1, as in the boxes' labels.

    Args:
      folder: Made if needed.
      count: Scenes.
      seed: Not negative.
      shards: Files.
    """
    from sklearn import datasets  # Takes a second.

    digits = datasets.load_digits()
    tally = dataset_info.Tally()
    with records.ShardWriter(folder, shards, "scenes") as writer:
        for number in range(count):
            random = np.random.default_rng([seed, number])
            record = _scene(random, digits, f"{number + 1:012d}")
            writer.write(record)
            tally.add(record)
    info = tally.info(
        source="made",
        class_names=_DIGITS,
        label_map_names=("background", *_DIGITS),
        skipped={},
        content_sha256=writer.content_sha256,
        shards=writer.shards,
    )
    dataset_info.save(info, folder)
    return str(pathlib.Path(folder) / "scenes-*.tfrecord")


def _scene(random: np.random.Generator, digits, image_id: str) -> records.Record:
    pixels = _background(random)
    label_map = np.zeros(SIZE_PX, np.uint8)
    boxes, labels = [], []
    for _ in range(random.integers(1, _MOST_BOXES + 1)):
        drawing = random.integers(len(digits.images))
        opacity = _enlarge(digits.images[drawing] / 16, random)
        height, width = opacity.shape
        top, left = random.integers(0, np.subtract(SIZE_PX, opacity.shape) + 1)
        window = np.s_[top : top + height, left : left + width]
        tint = random.uniform(0.2, 1.0, 3)
        pixels[window] += 0.8 * opacity[..., None] * (tint - pixels[window])
        labels.append(digits.target[drawing] + 1)
        label_map[window][opacity >= _INK] = labels[-1]
        boxes.append((top, left, top + height, left + width))
    return records.Record(
        image_id=image_id,
        encoded=_encode(pixels),
        format="jpeg",
        filename=f"{image_id}.jpg",
        height_px=SIZE_PX[0],
        width_px=SIZE_PX[1],
        boxes_yxyx=np.array(boxes, np.float32),
        labels=np.array(labels, np.int64),
        label_map_png=images.encode_png(label_map),
    )


def _background(random: np.random.Generator) -> np.ndarray:
    """Returns slowly changing colours with texture of every scale, in [0, 1]."""
    pixels = _noise(random, 160, 3) * 0.15 + 0.45
    cell = 80
    while cell >= _FINEST_CELLS:
        pixels += _noise(random, cell, 1) * _TEXTURE
        cell //= 2
    return np.clip(pixels, 0.0, 1.0)


def _noise(random: np.random.Generator, cell_px: int, channels: int) -> np.ndarray:
    """Returns [H, W, channels] smooth noise, one draw per cell."""
    coarse = [side // cell_px + 2 for side in SIZE_PX]
    layers = []
    for _ in range(channels):
        drawn = Image.fromarray(random.normal(size=coarse).astype(np.float32))
        smooth = drawn.resize(SIZE_PX[::-1], Image.Resampling.BICUBIC)
        layers.append(np.asarray(smooth))
    return np.stack(layers, axis=-1)


def _enlarge(drawing: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns the opacity [H, W] of a drawing at a random size, cut to its ink."""
    # Small ones are as frequent as large ones, as in photographs of many things.
    height = round(float(np.exp(random.uniform(*np.log(_HEIGHTS_PX)))))
    enlarged = Image.fromarray(drawing.astype(np.float32)).resize(
        [height, height], Image.Resampling.BICUBIC
    )
    opacity = np.clip((np.asarray(enlarged) - 0.3) / 0.4, 0.0, 1.0)
    rows = np.flatnonzero((opacity >= _INK).any(axis=1))
    columns = np.flatnonzero((opacity >= _INK).any(axis=0))
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _encode(pixels: np.ndarray) -> bytes:
    levels = (np.clip(pixels, 0.0, 1.0) * 255).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()
