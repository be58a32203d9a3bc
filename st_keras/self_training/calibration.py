"""The score from which a teacher's labels can be trusted, class by class.

It comes from a held-out slice of the labelled training pictures: the teacher labels the
slice, and its labels are compared with those of people.
"""

import os
from collections.abc import Mapping

from st_keras.config import Config, parse_target
from st_keras.data import dataset_info, pipeline, splits
from st_keras.metrics.judged_labels import JudgedLabels
from st_keras.runtime import preflight
from st_keras.runtime.restored import config_of
from st_keras.runtime.run_log import write_json
from st_keras.runtime.stored_labels import paired, read_labels
from st_keras.self_training import lineage, selection, shards, thresholds
from st_keras.tasks import Task, build_task

_SHOWN = 3  # Examples in an error message.


def calibrate(
    pseudo: str,
    truth: str,
    target: str,
    output: str,
    *,
    min_support: int = 20,
    fallback: float = 0.5,
    teacher: str = "",
) -> dict:
    """Writes a file with a threshold for each class, for `pseudo.thresholds`.

    Args:
      pseudo: Folder of a teacher's labels for a slice of the labelled pictures.
      truth: Glob of TFRecords with people's labels for them; may hold more pictures.
      target: `precision=P`, `max_f1` or `match_counts`, see `thresholds.choose`.
      output: JSON file to write; the same input gives the same bytes.
      min_support: See `thresholds.choose`.
      fallback: See `thresholds.choose`.
      teacher: Workdir or checkpoint prefix; empty: where it was when it labelled.

    Returns:
      The content of the file.

    Raises:
      ValueError: The slice has pictures that the teacher has learned from or was judged
        on, or that the truth lacks; classes differ; or nothing reaches the target.
    """
    parse_target(target)
    manifest = shards.read_manifest(pseudo)
    config = config_of(shards.find_teacher(manifest, teacher, flag="--teacher"))
    task = build_task(config)
    records = dataset_info.shards_of(pseudo)
    preflight.check_classes(task, records)
    preflight.check_classes(task, truth)
    check_unseen((records, ""), config)
    ids = _common_ids(records, truth)
    judged = _judge(task, records, truth, ids)
    found = {
        "teacher_sha256": manifest["teacher_sha256"],
        "class_names": list(task.names_in_records),
        "pictures": len(ids),
        "ids_sha256": splits.ids_digest(ids),
        "score_floor": manifest["score_floor"],
    } | thresholds.choose(
        judged,
        {
            name: class_id
            for class_id, name in enumerate(task.class_names)
            if name in task.names_in_records
        },
        target,
        min_support=min_support,
        fallback=fallback,
    )
    write_json(output, found)
    return found


def is_of(path: str, pseudo: str, choice: Mapping[str, object]) -> bool:
    """Returns whether a file has the thresholds of a slice's present labels.

    Args:
      path: Of the file; it may not be there.
      pseudo: Folder of a teacher's labels for the slice.
      choice: `target`, `min_support` and `fallback`, as for `calibrate`.
    """
    if not os.path.exists(path):
        return False
    manifest = shards.read_manifest(pseudo)
    ids = dataset_info.picture_digests(dataset_info.shards_of(pseudo))
    now = {name: manifest[name] for name in ("teacher_sha256", "score_floor")}
    now |= {"ids_sha256": splits.ids_digest(ids), **choice}
    found = selection.read_thresholds(path)
    return all(found.get(name) == value for name, value in now.items())


def check_unseen(pictures: preflight.PictureSet, config: Config) -> None:
    """Refuses a slice with pictures that a teacher has learned from or was judged on.

    Args:
      pictures: The slice.
      config: The teacher's.

    Raises:
      ValueError: Names the other set and some of the pictures.
    """
    slice_of_it = {"calibration": pictures}
    seen = lineage.learned_from(config)
    seen["evaluation"] = (config.evaluation.records, config.evaluation.ids)
    # One by one, as two of them may have pictures in common.
    for name, others in seen.items():
        preflight.check_disjoint(slice_of_it | {name: others})
    lineage.check_runs_before(slice_of_it, config)


def _common_ids(records: str, truth: str) -> list[str]:
    ours, theirs = map(dataset_info.picture_digests, (records, truth))
    missing = [image_id for image_id in ours if theirs.get(image_id) != ours[image_id]]
    if missing:
        raise ValueError(
            f"`{truth}` does not have {len(missing)} of the {len(ours)} pictures of "
            f"`{records}`, such as {', '.join(missing[:_SHOWN])}; name the records "
            "that the teacher labelled."
        )
    return list(ours)


def _judge(task: Task, records: str, truth: str, ids: list[str]) -> JudgedLabels:
    judged = task.new_calibration()
    pseudo_labels = read_labels(task, pipeline.open_source(records, None, 0))
    true_labels = read_labels(task, pipeline.open_source(truth, ids, 0))
    for image_id, pseudo, real in paired(pseudo_labels, true_labels):
        judged.add(image_id, real, pseudo)
    return judged
