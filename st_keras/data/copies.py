"""Finds pictures of a split whose files are the same, and whose labels may not be."""

from st_keras.data.records import Record

_SHOWN = 3  # Pairs in the note.


class Copies:
    """Collects, while records are written, what a person should look at."""

    def __init__(self):
        self._first: dict[str, tuple[str, int]] = {}  # Digest to id and labels.
        self._count = 0
        self._contradictions: list[str] = []

    def add(self, record: Record, digest: str) -> None:
        """Notes one picture; `digest` is that of its file."""
        labels = _labels(record)
        if digest not in self._first:
            self._first[digest] = record.image_id, labels
            return
        first_id, first_labels = self._first[digest]
        self._count += 1
        if labels != first_labels:
            self._contradictions.append(f"{record.image_id} = {first_id}")

    def note(self) -> str:
        """Returns a line on how many copies there are; empty if there is none."""
        if not self._count:
            return ""
        note = f"{self._count} pictures are copies of others"
        if not self._contradictions:
            return note
        shown = ", ".join(self._contradictions[:_SHOWN])
        more = ", ..." if len(self._contradictions) > _SHOWN else ""
        return f"{note}, {len(self._contradictions)} with other labels: {shown}{more}"


def _labels(record: Record) -> int:
    """Returns a hash of what is said of a picture, whatever the order of its boxes."""
    count = len(record.labels)
    crowd = [False] * count if record.is_crowd is None else record.is_crowd.tolist()
    boxes = map(tuple, record.boxes_yxyx.tolist())
    rows = tuple(sorted(zip(record.labels.tolist(), boxes, crowd, strict=True)))
    return hash((rows, record.label_map_png, record.class_label))
