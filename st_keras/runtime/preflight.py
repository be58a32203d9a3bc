"""What is checked before a run costs anything."""

import dataclasses
import difflib
import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence

import yaml
from absl import logging

from st_keras import config as config_lib
from st_keras import tasks
from st_keras.config import Config
from st_keras.data import dataset_info, splits
from st_keras.runtime import checkpoints
from st_keras.runtime.run_log import read_json, write_json
from st_keras.tasks import Task

# Of `DatasetInfo`: how often each name of a field is in the labels.
_COUNTS = {
    "class_names": "boxes_per_class",
    "label_map_names": "pixels_per_class",
    "image_class_names": "images_per_class",
}

CONFIG_FILE = "config.yaml"
DATA_FILE = "data.json"

# A glob of records (empty: no set at all), and a file of ids or the ids (`None` or an
# empty name: all of them; an empty list: none).
PictureSet = tuple[str, str | Sequence[str] | None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """What a run reads and must find unchanged when it goes on."""

    sets: Mapping[str, PictureSet]
    # By setting: files, or runs and checkpoints, which count by their weights.
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)


def check_disjoint(sets: Mapping[str, PictureSet]) -> dict[str, dict]:
    """Refuses a picture that is in two sets; returns what each set holds.

    Pictures are identified by their bytes, whatever their ids.

    Args:
      sets: By name; see `PictureSet`.

    Returns:
      By name, the number of pictures and the digest of their ids.

    Raises:
      ValueError: Names the two sets and some of the pictures, or an id that no record
        has.
    """
    digests, names, found = {}, {}, {}
    for name, (records, chosen) in sets.items():
        if not records:
            continue
        by_id = dataset_info.picture_digests(records)
        ids = _read(chosen)
        ids = list(by_id) if ids is None else ids
        unknown = [i for i in ids if i not in by_id]
        if unknown:
            where = chosen if isinstance(chosen, str) else name
            raise ValueError(
                f"{where}: `{records}` has no picture {unknown[0]!r} "
                f"({len(unknown)} of {len(ids)} ids are unknown to it)."
            )
        digests[name] = [by_id[i] for i in ids]
        names |= {by_id[i]: i for i in ids}
        found[name] = {"pictures": len(ids), "ids_sha256": splits.ids_digest(ids)}
        logging.info("%s: %s", name, found[name])
    splits.check_disjoint(digests, names)
    return found


def check_joint(
    config: Config, sets: Mapping[str, PictureSet], judged: list[str]
) -> dict[str, dict]:
    """Refuses joint training on pictures that a model is judged by.

    Other training pictures may be the same: the paper's pseudo labels are of the
    pictures whose classes it learns jointly.

    Args:
      config: Of a run.
      sets: As for `check_disjoint`.
      judged: Names of the sets that no model may learn from.

    Returns:
      As `check_disjoint`, for the joint pictures; empty without joint training.

    Raises:
      ValueError: As `check_disjoint`.
    """
    if config.joint is None:
        return {}
    joint = {"joint": (config.joint.records, config.joint.ids)}
    found = check_disjoint(joint | {name: sets[name] for name in judged})
    return {"joint": found["joint"]}


def with_class_names(config: Config, workdir: str) -> Config:
    """Returns the config with the classes that its human records name.

    If these are gone, those that a run of the folder had: a finished one needs no more.

    Args:
      config: Of the run.
      workdir: Its folder.

    Raises:
      ValueError: There is neither, or as `tasks.with_class_names`.
    """
    try:
        info = dataset_info.load(config.human.records)
    except ValueError:
        path = pathlib.Path(workdir) / CONFIG_FILE
        if not path.exists():
            raise
        there = config_lib.load(str(path)).section
        names = config.section.class_names or there.class_names
        section = dataclasses.replace(config.section, class_names=names)
        return dataclasses.replace(config, **{config.task_name: section})
    return tasks.with_class_names(config, info)


def check_classes(task: Task, records: str) -> None:
    """Refuses records whose classes are not those of the task.

    Raises:
      ValueError: Shows both lists.
    """
    if not task.names_field:
        return
    names = getattr(dataset_info.load(records), task.names_field)
    if names != task.names_in_records:
        raise ValueError(
            f"`{records}` has classes {', '.join(names) or 'none'}, but the model has "
            f"{', '.join(task.names_in_records)}; convert both with the same list of "
            "classes."
        )


def check_labeled(task: Task, records: str) -> None:
    """Refuses records that people should have labelled, if no label is in them.

    Raises:
      ValueError: There is no label, or one of other classes than the task's.
    """
    check_classes(task, records)
    info = dataset_info.load(records)
    counts = getattr(info, _COUNTS.get(task.names_field, ""), {})
    if counts and not any(counts.values()):
        dropped = ", ".join(f"{count} {why}" for why, count in info.skipped.items())
        raise ValueError(
            f"`{records}`: none of its {info.images} pictures has a label of "
            f"{', '.join(counts)}; its conversion left out: {dropped or 'nothing'}. "
            "skipped.txt beside it lists that; repair the source and convert it again."
        )


def save_config(config: Config, workdir: str, data: Data | None = None) -> None:
    """Marks the folder as this run's; called once every check has passed.

    Args:
      config: Of the run.
      workdir: Its folder.
      data: What it learns from and is judged on, for `check_data`.
    """
    folder = pathlib.Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    if data is not None:
        write_json(folder / DATA_FILE, data_digests(data))
    config_lib.save(config, str(folder / CONFIG_FILE))


def check_data(workdir: str, data: Data) -> None:
    """Refuses records, ids, files or first weights that have changed since a run began.

    Missing ones are not an error: a finished run needs none.

    Args:
      workdir: Folder of the run.
      data: Of its config.

    Raises:
      ValueError: Names what has changed.
    """
    path = pathlib.Path(workdir) / DATA_FILE
    if path.exists():
        check_same_data(workdir, read_json(path), data)


def check_same_data(where: str, there: dict, data: Data) -> None:
    """Refuses data whose digests differ from the recorded ones.

    Skips what was not recorded, or no longer exists.

    Args:
      where: What holds the record, for the message.
      there: The recorded `data_digests`.
      data: The data as it is now.

    Raises:
      ValueError: Names what has changed.
    """
    now = data_digests(data)
    changed = [name for name in now if there.get(name) not in (None, now[name])]
    if changed:
        places = {name: records for name, (records, _) in data.sets.items()}
        places |= data.files
        names = " and ".join(f"`{name}` ({places[name]})" for name in changed)
        raise ValueError(
            f"{where}: the records, ids or weights of {names} have changed since "
            "its run began; choose another workdir, or delete this one."
        )


def data_digests(data: Data) -> dict[str, dict[str, str]]:
    """Returns digests of the files and sets that exist, by name."""
    found = {
        name: {"sha256": digest}
        for name, path in data.files.items()
        if (digest := _digest(path))
    }
    for name, (records, chosen) in data.sets.items():
        try:
            content = dataset_info.load(records).content_sha256 if records else ""
            ids = _read(chosen)
        except (ValueError, OSError):
            continue
        of_ids = "" if ids is None else splits.ids_digest(ids)
        found[name] = {"records_sha256": content, "ids_sha256": of_ids}
    return found


def _digest(path: str) -> str:
    """Returns the digest of a file, a run's weights or a checkpoint; "" of none."""
    if os.path.isfile(path):
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
    try:
        return checkpoints.find_model(path).digest if path else ""
    except (ValueError, OSError):
        return ""


def _read(chosen: str | Sequence[str] | None) -> Sequence[str] | None:
    """Returns the ids that the second half of a `PictureSet` means; None: all."""
    if isinstance(chosen, str):
        return splits.chosen(chosen)
    return chosen


def check_workdir(config: Config, workdir: str, but: Sequence[str] = ()) -> None:
    """Refuses a folder that belongs to a run with other settings.

    The folder of runs may have been moved, or be named by another path: settings that
    name something inside it, such as the labels of a student, then count as the same.
    What changes no number may differ (`config.MAY_CHANGE`), and settings that the run's
    version did not have count as their defaults.

    Args:
      config: Of the run.
      workdir: Its folder.
      but: Parts of the config that may differ, too.

    Raises:
      ValueError: Shows the settings that differ.
    """
    path = pathlib.Path(workdir) / CONFIG_FILE
    if not path.exists():
        return
    there, now = _settings(path), config_lib.to_dict(config)
    for part in ("expect", *but):
        there.pop(part, None)
        now.pop(part)
    if not _is_same(there, now, path.parent):
        texts = [yaml.safe_dump(s, sort_keys=False).splitlines() for s in (there, now)]
        changes = difflib.unified_diff(*texts, lineterm="", n=0)
        shown = [c.strip() for c in changes if c[:1] in "+-" and c[1:2] not in "+-"]
        raise ValueError(
            f"{workdir}: holds a run with other settings ({'; '.join(shown[:6])}); "
            "choose another workdir, or delete this one."
        )


def _settings(path: pathlib.Path) -> dict:
    """Returns all settings of a run's config.yaml, as this version knows them."""
    try:
        return config_lib.to_dict(config_lib.load(str(path)))
    except config_lib.ConfigError:  # A version with other names wrote it.
        return config_lib.load_file(str(path))


def _is_same(there: dict, now: dict, workdir: pathlib.Path) -> bool:
    """Whether settings are the same, except for the place of the folder of runs."""
    there, now = _flat(there), _flat(now)
    roots = {str(workdir.parent), str(workdir.absolute().parent)}
    moved_from = set()
    if there.keys() != now.keys():
        return False
    for name in now.keys() - config_lib.MAY_CHANGE:
        old, new = there[name], now[name]
        below = [r for r in roots if isinstance(new, str) and new.startswith(f"{r}/")]
        inside = new.removeprefix(below[0]) if below else ""
        if inside and isinstance(old, str) and old.endswith(inside):
            moved_from.add(os.path.abspath(old.removesuffix(inside)))
        elif old != new:
            return False
    return len(moved_from) <= 1  # One folder was moved, not one setting.


def _flat(settings: object, name: str = "") -> dict[str, object]:
    """Returns settings by their dotted names; lists stay whole."""
    if not isinstance(settings, dict):
        return {name: settings}
    found = {name: {}} if not settings else {}
    for key, value in settings.items():
        found |= _flat(value, f"{name}.{key}" if name else str(key))
    return found
