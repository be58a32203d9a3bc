"""Checks of files: are all records there, whole, disjoint, and of the same classes?"""

import itertools
import os

from st_keras.config import Config
from st_keras.data import dataset_info, pipeline, splits
from st_keras.data.records import count_records
from st_keras.data.skipping import KEPT, Reason
from st_keras.experiments import data_checks
from st_keras.experiments.doctor.case import (
    Case,
    Finding,
    Opened,
    from_error,
    problem,
    warning,
)
from st_keras.runtime import preflight
from st_keras.self_training import selection
from st_keras.tasks import build_joint_task, build_task, with_class_names
from st_keras.training.loop import check_pictures

_REMAKE = "Make the records again with tools/make_records.py."
# Sets that may share pictures: pseudo labels are of the unlabelled pictures, and joint
# training may learn the class of a picture beside its boxes.
_SAME_PICTURES = (
    {"unlabeled", "pseudo"},
    *({"joint", other} for other in ("human", "unlabeled", "pseudo")),
)
_MOST_SKIPPED, _MOST_CLIPPED = 0.01, 0.1  # Shares above which it is no accident.


def picture_sets(config: Config) -> dict[str, tuple[str, str]]:
    """Returns glob and file of ids of every set that a config names.

    In the order of training's own checks, whose words for two sets are then the same.
    """
    sets = {"human": (config.human.records, config.human.ids)}
    if config.pseudo:
        sets["pseudo"] = (config.pseudo.records, config.pseudo.ids)
    if config.self_training:
        sets |= data_checks.picture_sets(config)
    sets["evaluation"] = (config.evaluation.records, config.evaluation.ids)
    if config.joint:
        sets["joint"] = (config.joint.records, config.joint.ids)
    return {name: files for name, files in sets.items() if files[0]}


def check_files(case: Case) -> list[Finding]:
    """Opens every set; ids must exist, and files must be whole."""
    errors: dict[str, tuple[Exception, list[str]]] = {}
    for name, (records, ids_file) in picture_sets(case.config).items():
        try:
            case.opened[name] = _open(records, _ids(case.config, name, ids_file))
        except (ValueError, OSError) as error:
            # Two sets of the same files fail with the same error: one problem.
            errors.setdefault(str(error), (error, []))[1].append(name)
    return [
        from_error(error, _REMAKE, ", ".join(names)) for error, names in errors.values()
    ]


def check_parts(case: Case) -> list[Finding]:
    """A student needs a teacher's labels, and a report needs a set to report on."""
    config, found = case.config, []
    if config.pseudo and not (config.pseudo.records or config.self_training):
        found.append(
            problem(
                "`pseudo.records` is not set, and there is no `self_training` part to "
                "make them.",
                "Label pictures with tools/pseudo_label.py and name its output, or add "
                "`self_training.unlabeled_records`.",
            )
        )
    settings = config.self_training
    if settings and not config.pseudo:
        found.append(
            problem(
                "There is a `self_training` part, but no `pseudo` part for its "
                "students.",
                "Add `pseudo.images_per_step`, or leave `self_training` out.",
            )
        )
    if settings and not (settings.test_records or config.evaluation.records):
        found.append(
            problem(
                "`self_training.test_records` and `evaluation.records` are not set: "
                "there is nothing to report on.",
                "Set one of them to records with human labels.",
            )
        )
    return found


def check_classes(case: Case) -> list[Finding]:
    """All labels must have the same classes as the human ones."""
    if "human" not in case.opened:
        return []
    try:
        config = with_class_names(case.config, case.opened["human"].info)
        case.task = build_task(config)
    except ValueError as error:
        return [from_error(error, "Leave `class_names` empty: the records have them.")]
    if not case.task.names_field:
        return []  # A task without labels asks for none.
    case.labelled.append("human")
    found = _joint_classes(case)
    for name in case.opened:
        if name in ("human", "joint"):
            continue
        try:
            preflight.check_classes(case.task, case.opened[name].records)
        except ValueError as error:
            found += _other_classes(case, name, error)
        else:
            case.labelled += [name] if name in ("evaluation", "test") else []
    return found


def check_overlap(case: Case) -> list[Finding]:
    """No picture may be in two sets, even under different ids."""
    found = []
    # Classes of pictures first, as training has them.
    names = sorted(case.opened, key=lambda name: name != "joint")
    for pair in itertools.combinations(names, 2):
        if set(pair) in _SAME_PICTURES:
            continue
        digests = {name: case.opened[name].digests for name in pair}
        id_of = {d: image_id for ids in digests.values() for image_id, d in ids.items()}
        try:
            splits.check_disjoint({n: d.values() for n, d in digests.items()}, id_of)
        except ValueError as error:
            found.append(from_error(error, "Choose other ids or records."))
    return found


def check_refusals(case: Case) -> list[Finding]:
    """All else that training refuses in data must be found here, too."""
    config = case.config
    if picture_sets(config).keys() != case.opened.keys():
        return []  # It would stop at the sets that cannot be read.
    try:
        if config.self_training and config.pseudo and not config.pseudo.records:
            data_checks.check_before(config)
        else:  # Labels that are there belong to one run of tools/train.py.
            check_pictures(config)
    except (ValueError, OSError) as error:
        return [from_error(error, "Choose other ids or records.")]
    return []


def check_conversion(case: Case) -> list[Finding]:
    """What a conversion left out must be an accident, not a rule."""
    folders = {}  # Several sets may come from one folder.
    for opened in case.opened.values():
        folders.setdefault(os.path.dirname(opened.source.paths[0]), opened.info)
    kept, found = {reason.value for reason in KEPT}, []
    for folder, info in folders.items():
        lost = {reason: n for reason, n in info.skipped.items() if reason not in kept}
        total = sum(lost.values())
        if total > _MOST_SKIPPED * (info.images + info.boxes):
            counts = ", ".join(f"{reason} {count:,}" for reason, count in lost.items())
            found.append(
                warning(
                    f"{folder}: {total:,} pictures or labels were left out beside "
                    f"{info.images:,} pictures with {info.boxes:,} boxes: {counts}.",
                    "Read skipped.txt there, repair the source and convert it again.",
                )
            )
        clipped = info.skipped.get(Reason.CLIPPED.value, 0)
        if clipped > _MOST_CLIPPED * info.boxes:
            found.append(
                warning(
                    f"{folder}: {clipped:,} of {info.boxes:,} boxes reached over the "
                    "edge of their picture and were cut.",
                    "Look at some with `tools/show.py records`: corners may have been "
                    "taken for sizes, or pixels for shares.",
                )
            )
    return found


def _ids(config: Config, name: str, ids_file: str) -> list[str] | None:
    """Returns the ids of a set, chosen as training chooses them; None: all."""
    if name == "pseudo":
        return selection.image_ids(config.pseudo)
    if name == "unlabeled" and config.pseudo and config.pseudo.exclude:
        records = config.self_training.unlabeled_records
        if not config.pseudo.records:  # Otherwise the list is of these.
            selection.check_excluded(config.pseudo.exclude, records, ids_file)
        return selection.without_excluded(config.pseudo.exclude, records, ids_file)
    return splits.chosen(ids_file)


def _open(records: str, ids: list[str] | None) -> Opened:
    info = dataset_info.load(records)
    source = pipeline.open_source(records, ids, 0)
    folder = os.path.dirname(source.paths[0])
    count = sum(count_records(path) for path in source.paths)
    if count != info.images:
        raise ValueError(
            f"{folder}: the shards hold {count:,} records, dataset.json says "
            f"{info.images:,}. {_REMAKE}"
        )
    digests = dataset_info.picture_digests(records)
    if len(digests) != info.images:
        raise ValueError(
            f"{folder}: images.tsv lists {len(digests):,} pictures, dataset.json says "
            f"{info.images:,}. {_REMAKE}"
        )
    size_bytes = sum(os.path.getsize(path) for path in source.paths)
    return Opened(
        records=records,
        info=info,
        source=source,
        digests=digests if ids is None else {i: digests[i] for i in ids},
        size_bytes=round(size_bytes * source.count / info.images),
    )


def _joint_classes(case: Case) -> list[Finding]:
    if "joint" not in case.opened:
        return []
    try:
        build_joint_task(case.config, case.opened["joint"].info)
    except ValueError as error:
        return [from_error(error, _REMAKE, "joint")]
    return []


def _other_classes(case: Case, name: str, error: ValueError) -> list[Finding]:
    is_online = case.config.pseudo and case.config.pseudo.online
    if name != "unlabeled" and not (name == "pseudo" and is_online):
        return [from_error(error, _REMAKE, name)]
    if not getattr(case.opened[name].info, case.task.names_field):
        return []  # Pictures without human labels, as expected.
    return [
        warning(
            f"{name}: {str(error).partition('; ')[0]}. Its labels are not read, so the "
            "report cannot say how right the pseudo labels are.",
            "Convert both with the same list of classes, if you want to know.",
        )
    ]
