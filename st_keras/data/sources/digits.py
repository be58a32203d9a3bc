"""Composes scenes of handwritten digits, so that a demo needs no download."""

import numpy as np
from PIL import Image

from st_keras.data import images
from st_keras.data.sources import drawn
from st_keras.data.sources.source import Scene, SourceBox

_CLASS_NAMES = tuple("0123456789")
_SCENES = {"train": 2000, "val": 200, "test": 200}
_LABELED_TRAIN_SCENES = 100
# No drawing of a digit is in two splits. The order numbers them for the seed.
_DRAWINGS = {
    "train": range(0, 1000),
    "val": range(1000, 1200),
    "test": range(1200, 1797),
}
_DIGITS_PER_SCENE = (2, 4)
_HEIGHTS = (0.25, 0.4375)  # Of the scene: 16 to 28 of 64 pixels.
_SMALLEST_SCENE_PX = 32  # Under it, a digit has fewer pixels than its drawing.
_MOST_OVERLAP = 0.05  # Intersection over union.
_TRIES = 60
_INK = 0.3  # Opacity from which a pixel belongs to the digit.


class DigitSource(drawn.DrawnSource):
    """Scenes of 2 to 4 bright digits, with boxes and label maps.

    The drawings are those of scikit-learn's `load_digits`. A scene depends only on the
    seed, the split and its number. Boxes are tight around the ink. In label maps, 0 is
    the background and digit d is d + 1, as in records.
    """

    name = "digits"
    counts = _SCENES
    smallest_px = _SMALLEST_SCENE_PX
    label_map_names = ("background", *_CLASS_NAMES)

    def __init__(self, image_size_px: int = 64, seed: int = 0):
        """Loads the drawings.

        Args:
          image_size_px: Height and width of a scene.
          seed: Not negative.

        Raises:
          ValueError: A number is too small.
        """
        super().__init__(image_size_px, seed)
        from sklearn import datasets  # Takes a second; other sources go without.

        digits = datasets.load_digits()
        self._drawings = [_crop(drawing / 16) for drawing in digits.images]
        self._digits = digits.target

    @property
    def class_names(self) -> tuple[str, ...]:
        return _CLASS_NAMES

    def num_labeled(self, split: str) -> int | None:
        return _LABELED_TRAIN_SCENES if split == "train" else None

    def draw(self, random: np.random.Generator, split: str, number: int) -> Scene:
        del number  # It is already in the seed of `random`.
        pixels = drawn.ground(random, self._size)
        label_map = np.zeros([self._size, self._size], np.uint8)
        boxes = []
        for digit, opacity, (top, left) in self._placed(random, _DRAWINGS[split]):
            height, width = opacity.shape
            window = np.s_[top : top + height, left : left + width]
            tint = drawn.bright_color(random)
            pixels[window] += opacity[..., None] * (tint - pixels[window])
            label_map[window][opacity >= _INK] = digit + 1
            box = (float(top), float(left), float(top + height), float(left + width))
            boxes.append(SourceBox(f"digit {digit} {box}", box, label=digit + 1))
        return Scene(
            images.encode_png((pixels * 255).round().astype(np.uint8)),
            boxes,
            label_map=label_map,
        )

    def _placed(self, random: np.random.Generator, drawings: range) -> list:
        """Draws digits, their opacities and top left corners that hardly overlap."""
        fewest, most = _DIGITS_PER_SCENE
        count = random.integers(fewest, most + 1)
        placed = []
        for _ in range(_TRIES):
            drawing = random.integers(drawings.start, drawings.stop)
            height = round(self._size * random.uniform(*_HEIGHTS))
            opacity = _scale(self._drawings[drawing], height)
            room = np.subtract(self._size, opacity.shape)
            corner = random.integers(0, room + 1)
            if all(
                _overlap(corner, opacity.shape, other, pixels.shape) <= _MOST_OVERLAP
                for _, pixels, other in placed
            ):
                placed.append((int(self._digits[drawing]), opacity, corner))
            if len(placed) == count:
                break
        return placed


def _crop(drawing: np.ndarray) -> np.ndarray:
    """Returns the part of a drawing with ink and a margin of one pixel."""
    rows = np.flatnonzero((drawing > _INK).any(axis=1))
    columns = np.flatnonzero((drawing > _INK).any(axis=0))
    padded = np.pad(drawing, 1)
    return padded[rows[0] : rows[-1] + 3, columns[0] : columns[-1] + 3]


def _scale(drawing: np.ndarray, height: int) -> np.ndarray:
    """Returns the opacity [H, W] of a smoothly enlarged drawing, cut to its ink."""
    pixels_per_pixel = height / (drawing.shape[0] - 2)
    size = [round(side * pixels_per_pixel) for side in reversed(drawing.shape)]
    enlarged = Image.fromarray(drawing.astype(np.float32)).resize(
        size, Image.Resampling.BICUBIC
    )
    # Steeper than the blurred edge of an 8 x 8 drawing, still antialiased.
    opacity = np.clip((np.asarray(enlarged) - 0.3) / 0.4, 0, 1)
    rows = np.flatnonzero((opacity >= _INK).any(axis=1))
    columns = np.flatnonzero((opacity >= _INK).any(axis=0))
    return opacity[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _overlap(corner, shape, other_corner, other_shape) -> float:
    """Returns the intersection over union of two windows."""
    start = np.maximum(corner, other_corner)
    end = np.minimum(np.add(corner, shape), np.add(other_corner, other_shape))
    common = np.prod(np.maximum(end - start, 0))
    return common / (np.prod(shape) + np.prod(other_shape) - common)
