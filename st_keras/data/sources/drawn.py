"""What pictures that are drawn here have in common: their ground and their colours."""

import numpy as np
from PIL import Image


def check(smallest_px: int, *, image_size_px: int, seed: int) -> None:
    """Raises ValueError if the side of the pictures or the seed is too small."""
    wanted = {"image_size_px": (smallest_px, image_size_px), "seed": (0, seed)}
    for name, (least, got) in wanted.items():
        if got < least:
            raise ValueError(f"`{name}` must be {least} or more, got {got}.")


def ground(random: np.random.Generator, size_px: int) -> np.ndarray:
    """Returns a dark, slowly changing texture [size, size, 3] in [0, 1]."""
    coarse = random.integers(0, 108, [5, 5, 3], np.uint8)
    texture = Image.fromarray(coarse).resize(
        [size_px, size_px], Image.Resampling.BICUBIC
    )
    grain = random.normal(0, 0.012, [size_px, size_px, 1])
    return np.clip(np.asarray(texture) / 255 + grain, 0, 1)


def bright_color(random: np.random.Generator) -> np.ndarray:
    """Returns [3] in [0.4, 1] with one channel at 1."""
    color = random.uniform(0.4, 1, 3)
    return color / color.max()
