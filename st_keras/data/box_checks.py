"""Decides which boxes of a source can be used, and where they lie in its picture."""

import math
from typing import NamedTuple

from st_keras.data.images import Picture, turn_upright
from st_keras.data.skipping import Reason, SkipPicture
from st_keras.data.sources.source import Scene, SourceBox

_SMALLEST_SIDE_PX = 0.01  # COCO's files are rounded to it.
_ROUNDING_PX = 0.5  # Clipping less than this is not worth a line in skipped.txt.
_FIRST_QUARTER_TURN = 5  # EXIF orientations from here on swap height and width.

Edges = tuple[float, float, float, float]


class Checked(NamedTuple):
    """A box in upright pixels before shrinking; None if it cannot be used."""

    box_yxyx: Edges | None
    reasons: tuple[Reason, ...]  # Why not, or what else should be known.


def check_box(box: SourceBox, scene: Scene, picture: Picture) -> Checked:
    """Checks one box of a scene and moves it to the upright picture."""
    height, width = picture.upright_size_px
    unit_yxyx = (height, width) * 2 if scene.boxes_are_shares else (1, 1, 1, 1)
    edges = tuple(s * u for s, u in zip(box.box_yxyx, unit_yxyx, strict=True))
    if box.problem:
        return Checked(None, (box.problem,))
    if not all(math.isfinite(side) for side in edges):
        return Checked(None, (Reason.NOT_A_NUMBER,))
    if _smallest_side(edges) < _SMALLEST_SIDE_PX:
        return Checked(None, (Reason.DEGENERATE,))
    if box.label is None:
        return Checked(None, (Reason.UNKNOWN_CLASS,))
    if needs_turn(scene, picture):
        edges = turn_upright(edges, picture.upright_size_px, picture.orientation)
    limits = (height, width) * 2
    clipped = tuple(min(max(s, 0.0), end) for s, end in zip(edges, limits, strict=True))
    if _smallest_side(clipped) < _SMALLEST_SIDE_PX:
        return Checked(None, (Reason.OUTSIDE_IMAGE,))
    moved = max(abs(s - c) for s, c in zip(edges, clipped, strict=True))
    notes = [Reason.CLIPPED] if moved > _ROUNDING_PX else []
    notes += [Reason.CROWD] if box.is_crowd else []
    return Checked(clipped, tuple(notes))


def needs_turn(scene: Scene, picture: Picture) -> bool:
    """Says whether boxes are in pixels of the file, although EXIF turns the picture.

    The size that the annotations state decides: if it is the upright one, so are the
    boxes. Where it decides nothing (a square, half a turn, no size), boxes are taken as
    upright, as the usual labelling tools show the picture.

    Raises:
      SkipPicture: The stated size is neither.
    """
    stated = scene.stated_size_px
    if stated is None or stated == picture.upright_size_px:
        return False
    height, width = picture.upright_size_px
    if picture.orientation >= _FIRST_QUARTER_TURN and stated == (width, height):
        return True
    raise SkipPicture(
        Reason.SIZE_MISMATCH,
        f"annotations are of {stated[0]} x {stated[1]} pixels (height x width), the "
        f"file has {height} x {width}",
    )


def _smallest_side(edges: Edges) -> float:
    return min(edges[2] - edges[0], edges[3] - edges[1])
