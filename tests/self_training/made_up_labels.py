"""A folder as a teacher would have labelled it, of labels that a test makes up."""

import pathlib
from collections.abc import Iterable

from st_keras.data import dataset_info
from st_keras.data.records import Record
from st_keras.runtime.run_log import write_json
from tests.record_files import write_records


def write_labels(
    folder: pathlib.Path,
    labelled: Iterable[Record],
    *,
    teacher: str,
    teacher_sha256: str,
    score_floor: float = 0.05,
    **names: tuple[str, ...],
) -> str:
    """Writes records with dataset.json and a manifest, and returns the folder."""
    write_records(folder, labelled, **names)
    info = dataset_info.load(f"{folder}/*.tfrecord")
    fields = vars(info) | {"source": f"teacher {teacher_sha256}"}
    dataset_info.save(dataset_info.DatasetInfo(**fields), folder)
    manifest = {
        "teacher": teacher,
        "teacher_sha256": teacher_sha256,
        "score_floor": score_floor,
        "protocol": {"min_score": score_floor} if "class_names" in names else {},
    }
    write_json(folder / "manifest.json", manifest)
    return str(folder)
