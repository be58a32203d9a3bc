"""Decides whether a label map can be used, and brings it to its picture's size."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

from st_keras.data.images import Picture
from st_keras.data.skipping import Reason, SkipPicture
from st_keras.types import IGNORED

_SHOWN_VALUES = 5


class Checked(NamedTuple):
    """A label map as it is stored."""

    label_map: np.ndarray  # [H, W] uint8, of the size of `Picture.encoded`.
    labeled_pixels: int  # Those that are not ignored.


def check_label_map(
    label_map: np.ndarray, picture: Picture, num_classes: int
) -> Checked:
    """Returns a label map with valid values only, at the size of the stored picture.

    Where the picture was shrunk, each pixel takes the class of the nearest one.

    Args:
      label_map: [H, W] integers.
      picture: H and W must be its upright ones before shrinking.
      num_classes: Values from 0 to below it are allowed, and `IGNORED`.

    Raises:
      SkipPicture: The sizes differ, or there are other values.
    """
    if label_map.shape != picture.upright_size_px:
        height, width = picture.upright_size_px
        raise SkipPicture(
            Reason.SIZE_MISMATCH,
            f"the mask has {label_map.shape[0]} x {label_map.shape[1]} pixels (height "
            f"x width), the upright picture {height} x {width}",
        )
    known = relabel(label_map, {v: v for v in (*range(num_classes), IGNORED)})
    size_px = (picture.height_px, picture.width_px)
    if size_px != known.shape:
        resized = Image.fromarray(known).resize(size_px[::-1], Image.Resampling.NEAREST)
        known = np.asarray(resized)
    return Checked(known, int(np.count_nonzero(known != IGNORED)))


def turn_upright(label_map: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a map by a quarter, as `images.read_picture` turns the pixels under it.

    Args:
      label_map: [H, W], as the picture lies in its file.
      orientation: EXIF's 5 to 8, those that swap height and width.

    Returns:
      [W, H].
    """
    quarters = {5: 0, 6: 1, 7: 2, 8: 3}[orientation]
    return np.rot90(label_map.T if quarters % 2 == 0 else label_map, -quarters)


def told_value(value: int) -> str:
    """Returns a grey value or palette index as it stands in skipped.txt."""
    return f"value {value}"


def relabel(
    values: np.ndarray,
    class_ids: Mapping[int, int],
    told: Callable[[int], str] = told_value,
) -> np.ndarray:
    """Returns the class id of each pixel.

    Args:
      values: [H, W] integers.
      class_ids: Class id, or `IGNORED`, by value; at least one that a pixel may have.
      told: How a value is written in skipped.txt.

    Returns:
      [H, W] uint8.

    Raises:
      SkipPicture: A pixel has another value; the most frequent ones are named.
    """
    limits = np.iinfo(np.int64)
    # A number beyond is of no pixel.
    possible = [key for key in class_ids if limits.min <= key <= limits.max]
    keys = np.array(sorted(possible), np.int64)
    ids = np.array([class_ids[key] for key in keys.tolist()], np.uint8)
    places = np.searchsorted(keys, values).clip(max=len(keys) - 1)
    unknown = values[keys[places] != values]
    if unknown.size:
        raise SkipPicture(Reason.UNKNOWN_LABEL_VALUE, _listed(unknown, told))
    return ids[places]


def _listed(unknown: np.ndarray, told: Callable[[int], str]) -> str:
    values, counts = np.unique(unknown, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    shown = ", ".join(
        f"{told(int(values[i]))} in {counts[i]} pixels" for i in order[:_SHOWN_VALUES]
    )
    more = len(values) - _SHOWN_VALUES
    return shown + (f" and {more} more values" if more > 0 else "")
