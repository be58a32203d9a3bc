"""What all sheets of pictures share: how they are laid out and saved."""

import pathlib

import numpy as np
from PIL import Image

from st_keras.data import drawing

SIDES_PX = {"smallest_side_px": 240, "largest_side_px": 480}
_FORMATS = (".png", ".jpg", ".jpeg")


def check(output: str, count: int) -> None:
    """Refuses, before any work, what cannot be saved.

    Raises:
      ValueError: `output` is not a picture file, or `count` is below 1.
    """
    if pathlib.Path(output).suffix.lower() not in _FORMATS:
        raise ValueError(
            f"`output` must be a picture file such as sheet.png, got {output!r}."
        )
    if count < 1:
        raise ValueError(f"`count` must be 1 or more, got {count}.")


def save(
    drawn: list[np.ndarray], titles: list[str], output: str, *, columns: int = 6
) -> None:
    """Writes pictures of [H, W, 3] uint8 as one sheet."""
    sheet = drawing.contact_sheet(drawn, columns=columns, titles=titles)
    pathlib.Path(output).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(output)
