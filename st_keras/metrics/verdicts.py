"""The verdict on each pseudo label of a picture, for drawing."""

from typing import Any, NamedTuple

# In the order of the legend. Without truth, a label is kept or dropped.
KINDS = ("matched", "false", "missed", "kept", "dropped")
MATCHED, FALSE, MISSED, KEPT, DROPPED = range(len(KINDS))
NOTHING = 255  # Pixels without a verdict.


class BoxVerdicts(NamedTuple):
    """Pseudo boxes and, after them, the true ones that no kept box has found."""

    boxes_yxyx: Any  # [N, 4] float32, pixels of the picture.
    class_ids: Any  # [N] int32.
    scores: Any  # [N] float32; 1 where a human drew the box.
    kinds: Any  # [N] int, index into `KINDS`.

    def counts(self) -> dict[str, int]:
        """Returns how many boxes there are of each kind that occurs."""
        return _counts(self.kinds)

    def caption(self) -> str:
        """Returns the same in words."""
        return ", ".join(f"{n} {name}" for name, n in self.counts().items()) or "empty"


class ClassVerdicts(NamedTuple):
    """The pseudo class of a picture and, after it, the true one if it is missed."""

    class_ids: Any  # [N] int.
    scores: Any  # [N] float; 1 where a human labelled it.
    kinds: Any  # [N] int, index into `KINDS`.

    def counts(self) -> dict[str, int]:
        """Returns how many classes there are of each kind that occurs."""
        return _counts(self.kinds)

    def caption(self) -> str:
        """Returns the same in words."""
        return ", ".join(self.counts()) or "empty"


class PixelVerdicts(NamedTuple):
    """A pseudo label map, and the verdict on each of its pixels."""

    class_ids: Any  # [H, W] uint8.
    kinds: Any  # [H, W] uint8, index into `KINDS`; `NOTHING` where there is none.

    def counts(self) -> dict[str, int]:
        """Returns how many pixels there are of each kind that occurs."""
        return _counts(self.kinds)

    def caption(self) -> str:
        """Returns the same in words, as shares of the picture."""
        size = max(self.kinds.size, 1)
        found = self.counts().items()
        return ", ".join(f"{n / size:.0%} {name}" for name, n in found) or "empty"


Verdicts = BoxVerdicts | ClassVerdicts | PixelVerdicts


def _counts(kinds) -> dict[str, int]:
    return {
        name: count
        for kind, name in enumerate(KINDS)
        if (count := int((kinds == kind).sum()))
    }
