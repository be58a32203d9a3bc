"""Turns a COCO annotation's polygons or run lengths into pixels."""

import math
from typing import Any

import numpy as np

from st_keras.data.skipping import Reason
from st_keras.data.sources import source

_FEWEST_NUMBERS = 6  # x and y of three corners.
_DIGIT_BITS, _DIGIT, _MORE = 5, 0x1F, 0x20
_FIRST_CHARACTER = 48
_SIGN = 0x10
_LONGEST_NUMBER = 7  # Characters; 35 bits count more pixels than a picture has.


def rasterize(segmentation: Any, size_px: tuple[int, int]) -> np.ndarray | Reason:
    """Returns [H, W] bool, or why there is none.

    Args:
      segmentation: A list of polygons, `[[x, y, x, y, ...], ...]`, or an object with
        `size` and `counts`: lengths of runs down the columns, in a list or in COCO's
        compressed string.
      size_px: Height and width of the picture.
    """
    if isinstance(segmentation, dict):
        drawn = _from_runs(segmentation, size_px)
    elif isinstance(segmentation, list) and segmentation:
        drawn = _from_polygons(segmentation, size_px)
    else:
        return Reason.MALFORMED
    if isinstance(drawn, np.ndarray) and not drawn.any():
        return Reason.DEGENERATE
    return drawn


def around(bbox: Any, size_px: tuple[int, int]) -> np.ndarray:
    """Returns [H, W] bool: the pixels that a box touches; none if it cannot be read.

    Args:
      bbox: COCO's left, top, width and height.
      size_px: Height and width of the picture.
    """
    inside = np.zeros(size_px, bool)
    if isinstance(bbox, list) and len(bbox) == 4:
        left, top, width, height = (source.number(value) for value in bbox)
        edges = (top, left, top + height, left + width)
        if all(math.isfinite(edge) for edge in edges):
            y0, x0 = (max(math.floor(edge), 0) for edge in edges[:2])
            y1, x1 = (max(math.ceil(edge), 0) for edge in edges[2:])
            inside[y0:y1, x0:x1] = True
    return inside


class Canvas:
    """A label map on which shapes are drawn, smaller ones over larger ones.

    Of two equally large ones the later is on top. Where nothing is drawn, it is 0.
    """

    def __init__(self, size_px: tuple[int, int]):
        self.label_map = np.zeros(size_px, np.uint8)
        self._areas_px = np.full(size_px, np.iinfo(np.int64).max)  # Of what is on top.

    def draw(self, inside: np.ndarray, class_id: int) -> None:
        """Draws a shape of [H, W] bool."""
        area_px = np.count_nonzero(inside)
        visible = inside & (area_px <= self._areas_px)
        self.label_map[visible] = class_id
        self._areas_px[visible] = area_px


def _from_polygons(polygons: list, size_px: tuple[int, int]) -> np.ndarray | Reason:
    from pycocotools import mask  # Other sources go without.

    corners = []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) % 2:
            return Reason.MALFORMED
        if len(polygon) < _FEWEST_NUMBERS:
            continue  # A leftover point or line has no pixel; other parts may.
        corners.append(np.array([source.number(v) for v in polygon]).reshape([-1, 2]))
    if not corners:
        return Reason.DEGENERATE
    points_xy = np.concatenate(corners)
    if not np.isfinite(points_xy).all():
        return Reason.NOT_A_NUMBER
    # pycocotools walks along every edge, and would not finish one to a far-away point.
    width_and_height = np.array(size_px[::-1])
    reach = max(size_px)
    if (points_xy < -reach).any() or (points_xy > width_and_height + reach).any():
        return Reason.OUTSIDE_IMAGE
    runs = mask.frPyObjects([points.ravel().tolist() for points in corners], *size_px)
    return mask.decode(mask.merge(runs)).astype(bool)


def _from_runs(runs: dict, size_px: tuple[int, int]) -> np.ndarray | Reason:
    # Not by pycocotools, which writes without checking bounds.
    counts = runs.get("counts")
    if isinstance(counts, str):
        counts = _decompressed(counts)
    if not isinstance(counts, list) or not all(type(c) is int for c in counts):
        return Reason.MALFORMED
    if runs.get("size") != list(size_px):
        return Reason.SIZE_MISMATCH
    if min(counts, default=0) < 0 or sum(counts) != np.prod(size_px):
        return Reason.MALFORMED
    inside = np.arange(len(counts)) % 2 == 1  # The first run is outside.
    return np.repeat(inside, counts).reshape(size_px[::-1]).T


def _decompressed(text: str) -> list[int] | None:
    """Returns the run lengths of COCO's string; None if it is invalid.

    A number is written in digits of 5 bits, the lowest first, with a sixth bit that
    says whether more follow; from the fourth on it is the difference to the number two
    before.
    """
    counts: list[int] = []
    value = digits = 0
    for character in text:
        code = ord(character) - _FIRST_CHARACTER
        if not 0 <= code < 2 * _MORE or digits == _LONGEST_NUMBER:
            return None
        value |= (code & _DIGIT) << (_DIGIT_BITS * digits)
        digits += 1
        if code & _MORE:
            continue
        if code & _SIGN:
            value -= 1 << (_DIGIT_BITS * digits)
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = digits = 0
    return None if digits else counts
