"""The operations policies are made of, by their published names, and their strength.

Source: the authors' `autoaugment_utils.py` (detection) and, for RandAugment, the
`autoaugment.py` of their EfficientNet.
"""

import dataclasses
from typing import NamedTuple

MAX_MAGNITUDE = 10.0
IN_BOXES = "_Only_BBoxes"  # Changes the pixels of single boxes; boxes stay.
_WITH_BOXES = "_BBox"  # Moves boxes along, as every geometry here does.

NOTHING = "Nothing"
MOVES = ("Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY")
CUTS = ("Cutout", "BBox_Cutout")
PIXELS = (
    *("AutoContrast", "Equalize", "Invert", "Posterize", "Solarize", "SolarizeAdd"),
    *("Color", "Contrast", "Brightness", "Sharpness"),
)
BOX_CONTENTS = tuple(
    f"{name}{IN_BOXES}"
    for name in (
        *("Cutout", "Equalize", "Flip", "Rotate", "ShearX", "ShearY"),
        *("Solarize", "TranslateX", "TranslateY"),
    )
)
NAMES = (NOTHING, *MOVES, *CUTS, *PIXELS, *BOX_CONTENTS)


class Step(NamedTuple):
    """One operation of a policy, as it is published."""

    operation: str  # One of `NAMES`; a move may end in `_BBox`.
    probability: float
    magnitude: float  # From 0 to 10.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Menu:
    """What a policy draws its operations from.

    A row is drawn at random, `draws` times, and its steps are applied in order.
    """

    rows: tuple[tuple[Step, ...], ...] = ()
    draws: int = 1
    # Lengths at magnitude 10, in pixels of a picture whose longer side is 640 px.
    translate_px: float = 250.0
    translate_in_box_px: float = 120.0
    cutout_px: float = 100.0  # Half a side of the square.
    cutout_in_box_px: float = 50.0

    @property
    def slots(self) -> int:
        """Operations that one picture can get."""
        return self.draws * max((len(row) for row in self.rows), default=0)

    @property
    def operations(self) -> frozenset[str]:
        """Names of all operations that can be drawn."""
        return frozenset(
            plain_name(step.operation) for row in self.rows for step in row
        )


def plain_name(published: str) -> str:
    """Returns the name in `NAMES` of a published name.

    Raises:
      ValueError: There is no such operation.
    """
    name = published
    if name.endswith(_WITH_BOXES):
        name = name.removesuffix(_WITH_BOXES)
    if name not in NAMES:
        known = ", ".join(NAMES[1:])
        raise ValueError(f"`operation` must be one of {known}; got {published!r}.")
    return name


def argument(step: Step, menu: Menu, *, authors_quirks: bool) -> float:
    """Returns the argument of an operation.

    Degrees for a rotation, pixels per pixel for a shear, pixels for a translation and
    for half a side of a Cutout, the share of a box's sides for BBox_Cutout, the kept
    bits for Posterize, a threshold, a summand or a factor for the other operations on
    pixels, 0 for those without an argument.

    Args:
      step: Its magnitude is from 0 to 10.
      menu: Has the lengths.
      authors_quirks: As the authors' code computes it, mistakes included.

    Raises:
      ValueError: The operation is unknown or the magnitude out of range.
    """
    name, magnitude = plain_name(step.operation), step.magnitude
    if not 0.0 <= magnitude <= MAX_MAGNITUDE:
        raise ValueError(
            f"`magnitude` must be from 0 to {MAX_MAGNITUDE:g}; got {magnitude}."
        )
    share = magnitude / MAX_MAGNITUDE
    in_box = name.endswith(IN_BOXES)
    name = name.removesuffix(IN_BOXES)
    if name == "Rotate":
        return 30.0 * share
    if name in ("ShearX", "ShearY"):
        return 0.3 * share
    if name in ("TranslateX", "TranslateY"):
        return share * (menu.translate_in_box_px if in_box else menu.translate_px)
    if name == "Cutout":
        return float(int(share * (menu.cutout_in_box_px if in_box else menu.cutout_px)))
    if name == "BBox_Cutout":
        return 0.75 * share
    if name == "Posterize":
        # Magnitude 2 asks for no bits at all; TensorFlow's shift keeps one even then.
        return float(max(int(4 * share), 1))
    if name == "Solarize":
        threshold = int(256 * share)
        # No byte reaches 256. In the authors' code it wraps to 0: all is inverted.
        return float(threshold % 256 if authors_quirks else threshold)
    if name == "SolarizeAdd":
        return float(int(110 * share))
    if name in ("Color", "Contrast", "Brightness", "Sharpness"):
        return 1.8 * share + 0.1
    return 0.0
