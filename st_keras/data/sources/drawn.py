"""What sources that draw their own pictures have in common."""

import abc
import functools
from collections.abc import Mapping

import numpy as np
from PIL import Image

from st_keras.data.sources import source
from st_keras.data.sources.source import Item, Scene


class DrawnSource(source.Source):
    """Pictures that depend only on the seed, the split and their number."""

    counts: Mapping[str, int]  # Pictures by split.
    smallest_px: int  # Side under which nothing can be recognised.

    def __init__(self, image_size_px: int, seed: int):
        """Raises ValueError if the side of the pictures or the seed is too small."""
        wanted = {"image_size_px": (self.smallest_px, image_size_px), "seed": (0, seed)}
        for name, (least, got) in wanted.items():
            if got < least:
                raise ValueError(f"`{name}` must be {least} or more, got {got}.")
        self.seed = seed
        self._size = image_size_px

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(self.counts)

    def items(self, split: str) -> list[Item]:
        source.check_split(split, self.splits)
        split_number = list(self.counts).index(split)
        return [
            Item(
                f"{split}_{number:06d}",
                functools.partial(self._draw, [self.seed, split_number, number], split),
            )
            for number in range(self.counts[split])
        ]

    @abc.abstractmethod
    def draw(self, random: np.random.Generator, split: str, number: int) -> Scene:
        """Draws picture number `number` of a split."""

    def _draw(self, seeds: list[int], split: str) -> Scene:
        return self.draw(np.random.default_rng(seeds), split, seeds[-1])


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
