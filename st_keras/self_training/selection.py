"""The pseudo labels a student learns from: of which pictures, from which score."""

import json
import math
import pathlib

from st_keras.config import PseudoConfig
from st_keras.data import dataset_info, splits
from st_keras.self_training import shards
from st_keras.tasks import Task

_SHOWN = 3  # Examples in an error message.


def image_ids(pseudo: PseudoConfig) -> list[str] | None:
    """Returns the chosen ids of the records without the excluded ones; None: all.

    Raises:
      ValueError: There are no such records, or they have no picture of an excluded id.
    """
    if not pseudo.exclude:
        return splits.chosen(pseudo.ids)
    return without_excluded(pseudo.exclude, pseudo.records, pseudo.ids)


def without_excluded(exclude: str, records: str, chosen: str) -> list[str]:
    """Returns the ids of records without those of a file.

    Args:
      exclude: The file.
      records: Glob of the records.
      chosen: File of the ids of those that count; empty: all.

    Raises:
      ValueError: Names ids to exclude that the records lack.
    """
    excluded = check_excluded(exclude, records)
    ids = splits.chosen(chosen)
    if ids is None:
        ids = list(dataset_info.picture_digests(records))
    return [image_id for image_id in ids if image_id not in excluded]


def teacher(pseudo: PseudoConfig) -> str:
    """Returns the checkpoint that wrote the records; empty if they do not say."""
    return _manifest(pseudo.records).get("teacher", "")


def check_excluded(ids_file: str, records: str, chosen: str = "") -> set[str]:
    """Returns the ids of a file, having checked that the records have them all.

    Args:
      ids_file: Of the pictures to leave out.
      records: Glob of the records.
      chosen: File of the ids of those that count; empty: all.

    Raises:
      ValueError: Names ids that the records lack.
    """
    excluded = splits.read_ids(ids_file)
    there = set(dataset_info.picture_digests(records))
    if chosen:
        there &= set(splits.read_ids(chosen))
    unknown = [image_id for image_id in excluded if image_id not in there]
    if unknown:
        more = ", ..." if len(unknown) > _SHOWN else ""
        raise ValueError(
            f"{ids_file}: {len(unknown)} of {len(excluded)} ids to exclude are not in "
            f"`{chosen or records}`: {', '.join(unknown[:_SHOWN])}{more}. Name a list "
            "that was saved for these pictures."
        )
    return set(excluded)


def min_scores(pseudo: PseudoConfig, task: Task) -> tuple[float, ...]:
    """Returns for each class id the score from which its labels are learned.

    Args:
      pseudo: Names the records and, if calibrated, the thresholds.
      task: Of the student.

    Returns:
      One number per class; infinity where nothing is learned.

    Raises:
      ValueError: The thresholds are for other classes or another teacher's labels, or
        one is lower than the score floor of the records.
    """
    if not pseudo.thresholds:
        if not pseudo.online:
            _check_min_score(pseudo)
        return (pseudo.min_score,) * len(task.class_names)
    path, found = pseudo.thresholds, read_thresholds(pseudo.thresholds)
    if list(task.names_in_records) != found["class_names"]:
        raise ValueError(
            f"{path}: has classes {', '.join(found['class_names'])}, but the model has "
            f"{', '.join(task.names_in_records)}; calibrate with labels of the same "
            "classes."
        )
    author = f"teacher {found['teacher_sha256']}"
    source = dataset_info.load(pseudo.records).source
    if source != author:
        raise ValueError(
            f"{path}: is about the scores of {author}, but `{pseudo.records}` is by "
            f"{source}; let the same checkpoint label a slice of the labelled "
            "pictures, and calibrate with that."
        )
    scores = {
        name: math.inf if row["threshold"] is None else row["threshold"]
        for name, row in found["per_class"].items()
    }
    _check_floor(path, scores, pseudo.records)
    # The default is for classes no record can have, as some detectors' background.
    return tuple(scores.get(name, pseudo.min_score) for name in task.class_names)


def read_thresholds(path: str) -> dict:
    """Returns what `calibration.calibrate` has written.

    Raises:
      ValueError: There is no such file, or it is something else.
    """
    try:
        found = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{path}: no such file of thresholds; tools/calibrate.py writes it."
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON: {error}.") from None
    needed = {"teacher_sha256", "class_names", "per_class"}
    if not isinstance(found, dict) or needed - found.keys():
        raise ValueError(
            f"{path}: holds no thresholds; tools/calibrate.py writes them."
        )
    return found


def score_floor(pseudo: PseudoConfig) -> float:
    """Returns the score from which labels were stored; 0 if the records do not say."""
    return floor_of(_manifest(pseudo.records))


def _check_min_score(pseudo: PseudoConfig) -> None:
    floor = score_floor(pseudo)
    if pseudo.min_score < floor:
        what = f"`pseudo.min_score` is {pseudo.min_score:g},"
        raise _never_written(what, floor, pseudo.records)


def _folder(records: str) -> pathlib.Path:
    return pathlib.Path(dataset_info.shard_paths(records)[0]).parent


def _manifest(records: str) -> dict:
    """Returns what a labelling says of itself; empty for records of other tools."""
    folder = _folder(records)
    is_there = (folder / shards.MANIFEST_FILE).exists()
    return shards.read_manifest(folder) if is_there else {}


def floor_of(manifest: dict) -> float:
    """Returns the score from which a labelling kept boxes."""
    # Only set if inference leaves something out; a label map has every pixel.
    return manifest.get("protocol", {}).get("min_score", 0.0)


def _check_floor(path: str, scores: dict[str, float], records: str) -> None:
    floor = floor_of(shards.read_manifest(_folder(records)))
    under = {name: score for name, score in scores.items() if score < floor}
    if under:
        name, score = min(under.items(), key=lambda item: item[1])
        example = f", such as {score:g} of {name}"
        raise _never_written(
            f"{path}: {len(under)} thresholds are", floor, records, example
        )


def _never_written(
    what: str, floor: float, records: str, example: str = ""
) -> ValueError:
    return ValueError(
        f"{what} under {floor:g}, the score floor of `{records}`{example}; what is "
        "between was never written. Label with a lower floor."
    )
