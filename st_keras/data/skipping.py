"""Why a picture or an annotation is left out, and the list of all that were."""

import collections
import enum
import os

from st_keras import writing


class Reason(str, enum.Enum):
    """The fixed list: what a skipped.txt and a dataset.json may say."""

    # The whole picture is left out.
    MISSING_FILE = "missing_file"
    EMPTY_FILE = "empty_file"
    UNREADABLE_FILE = "unreadable_file"  # No picture, damaged or cut off.
    UNSUPPORTED_PIXELS = "unsupported_pixels"  # Such as floats of unknown range.
    TOO_MANY_PIXELS = "too_many_pixels"  # Pillow takes it for a decompression bomb.
    UNKNOWN_EXTENSION = "unknown_extension"
    DUPLICATE_IMAGE_ID = "duplicate_image_id"
    DUPLICATE_FILE = "duplicate_file"  # The same file under another id.
    BAD_ANNOTATION_FILE = "bad_annotation_file"
    SIZE_MISMATCH = "size_mismatch"  # The annotations are of another picture.
    UNKNOWN_LABEL_VALUE = "unknown_label_value"  # A pixel of no class in the list.
    # One annotation is left out.
    MALFORMED = "malformed"  # Fields or columns are missing or too many.
    NOT_A_NUMBER = "not_a_number"
    DEGENERATE = "degenerate"  # No height or no width.
    OUTSIDE_IMAGE = "outside_image"
    UNKNOWN_CLASS = "unknown_class"
    UNKNOWN_IMAGE = "unknown_image"
    DUPLICATE_ANNOTATION = "duplicate_annotation"
    # Nothing is left out, but a reader should know.
    CLIPPED = "clipped (kept)"
    CROWD = "crowd (kept, never trained on)"
    NOTHING_LABELED = "nothing_labeled (kept)"  # Every pixel is ignored.


KEPT = (Reason.CLIPPED, Reason.CROWD, Reason.NOTHING_LABELED)


class SkipPicture(Exception):
    """Says that one picture cannot be used; the run goes on without it."""

    def __init__(self, reason: Reason, detail: str):
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


class SkipLog:
    """Collects what is left out.

    With `strict`, the first thing left out is a ValueError.
    """

    def __init__(self, strict: bool = False):
        self.first = ""  # The first thing left out, for an error message.
        self._strict = strict
        self._lines: list[str] = []
        self._counts: collections.Counter[Reason] = collections.Counter()

    def add(
        self, image: str, reason: Reason, values: str, index: int | None = None
    ) -> None:
        """Counts and lists one picture, or its annotation number `index` from 0.

        Raises:
          ValueError: The log is strict and the reason is not one of `KEPT`.
        """
        where = image if index is None else f"{image}, annotation {index}"
        message = f"{where}: {reason.value}: {values}"
        if self._strict and reason not in KEPT:
            raise ValueError(
                f"{message}. Repair it, or run without --strict to skip and list it."
            )
        self.first = self.first or message
        shown_index = "-" if index is None else str(index)
        fields = (image, shown_index, reason.value, values)
        self._lines.append("\t".join(_one_line(field) for field in fields))
        self._counts[reason] += 1

    @property
    def lines(self) -> list[str]:
        """What skipped.txt will say, without its header."""
        return list(self._lines)

    def add_line(self, line: str) -> None:
        """Adds a line of another log."""
        image, index, reason, values = line.split("\t")
        number = None if index == "-" else int(index)
        self.add(image, Reason(reason), values, number)

    @property
    def counts(self) -> dict[str, int]:
        """Reason to count, in the order of `Reason`."""
        return {r.value: self._counts[r] for r in Reason if self._counts[r]}

    def write(self, path: str | os.PathLike) -> None:
        """Writes skipped.txt: tab-separated, a header first, then one thing a line.

        The lines are sorted by picture; those of one are in the order they were added.
        """
        by_image = sorted(self._lines, key=lambda line: line.partition("\t")[0])
        lines = ["image\tannotation\treason\tvalues", *by_image]
        text = "\n".join(lines) + "\n"
        writing.write_text(path, text, errors="backslashreplace")


def _one_line(text: str) -> str:
    return text.translate({ord("\t"): " ", ord("\n"): " ", ord("\r"): " "})
