"""Draws letters to classify, so that pre-training of the demo needs no download."""

import string

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from st_keras.data import images
from st_keras.data.sources import drawn
from st_keras.data.sources.source import Scene

_LETTERS = string.ascii_uppercase
_PICTURES = {"train": 5200, "val": 520}
# Files of matplotlib's fonts. No letter is drawn from a font of the other split.
_FONTS = {
    "train": (
        *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique"),
        *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic"),
        *("STIXGeneral", "STIXGeneralBolIta"),
    ),
    "val": ("DejaVuSansMono", "DejaVuSansMono-Oblique", "STIXGeneralBol"),
}
_HEIGHTS = (0.5, 0.875)  # Of the picture: 16 to 28 of 32 pixels, as in digit scenes.
_MOST_TURN_DEGREES = 15.0
_SMALLEST_PICTURE_PX = 16
_DRAWN_PX = 96  # Height of a letter before it is shrunk to its place.


class LetterSource(drawn.DrawnSource):
    """Pictures of one bright capital letter each, on the ground of the digit scenes.

    For pre-training: other classes than the scenes have, and as many labels as one
    likes. A picture depends only on the seed, the split and its number.
    """

    name = "letters"
    counts = _PICTURES
    smallest_px = _SMALLEST_PICTURE_PX
    image_class_names = tuple(_LETTERS)

    def __init__(self, image_size_px: int = 32, seed: int = 0):
        """Loads the fonts.

        Args:
          image_size_px: Height and width of a picture.
          seed: Not negative.

        Raises:
          ValueError: A number is too small.
        """
        super().__init__(image_size_px, seed)
        self._fonts = {split: _load(names) for split, names in _FONTS.items()}

    @property
    def class_names(self) -> tuple[str, ...]:
        return ()

    def draw(self, random: np.random.Generator, split: str, number: int) -> Scene:
        letter = number % len(_LETTERS)  # Equally many pictures of each.
        fonts = self._fonts[split]
        opacity = self._opacity(random, fonts[random.integers(len(fonts))], letter)
        room = np.subtract(self._size, opacity.shape)
        top, left = random.integers(0, room + 1)
        pixels = drawn.ground(random, self._size)
        window = np.s_[top : top + opacity.shape[0], left : left + opacity.shape[1]]
        tint = drawn.bright_color(random)
        pixels[window] += opacity[..., None] * (tint - pixels[window])
        png = images.encode_png((pixels * 255).round().astype(np.uint8))
        return Scene(png, image_class=letter + 1)

    def _opacity(self, random: np.random.Generator, font, letter: int) -> np.ndarray:
        """Returns a turned letter [H, W] in [0, 1], cut to its ink."""
        canvas = Image.new("L", [3 * _DRAWN_PX, 3 * _DRAWN_PX])
        middle = [side / 2 for side in canvas.size]
        ImageDraw.Draw(canvas).text(middle, _LETTERS[letter], 255, font, anchor="mm")
        turn = random.uniform(-_MOST_TURN_DEGREES, _MOST_TURN_DEGREES)
        turned = canvas.rotate(turn, Image.Resampling.BICUBIC)
        cut = turned.crop(turned.getbbox())
        height = self._size * random.uniform(*_HEIGHTS)
        # A W is wider than high and must fit as well.
        scale = min(height / cut.height, self._size / cut.width)
        size = [max(1, int(side * scale)) for side in cut.size]
        return np.asarray(cut.resize(size, Image.Resampling.BOX)) / 255


def _load(names: tuple[str, ...]) -> list[ImageFont.FreeTypeFont]:
    # Imported here, since other sources do not need it.
    import matplotlib

    folder = f"{matplotlib.get_data_path()}/fonts/ttf"
    return [ImageFont.truetype(f"{folder}/{name}.ttf", _DRAWN_PX) for name in names]
