"""What is checked before a run costs anything."""

import difflib
import json
import pathlib
from collections.abc import Mapping, Sequence

import yaml
from absl import logging

from st_keras import config as config_lib
from st_keras.config import Config
from st_keras.data import dataset_info, splits
from st_keras.runtime.run_log import write_json
from st_keras.tasks import Task

CONFIG_FILE = "config.yaml"
DATA_FILE = "data.json"


# A glob of records (empty: no set at all), and a file of ids or the ids (`None` or an
# empty name: all of them; an empty list: none).
PictureSet = tuple[str, str | Sequence[str] | None]


def check_disjoint(sets: Mapping[str, PictureSet]) -> dict[str, dict]:
    """Refuses a picture that is in two sets, and says what the sets are.

    Pictures are told by their bytes, whatever they are called.

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
    """Refuses pictures of joint training that a model is judged by.

    What is learned from may be the same: the paper's pseudo labels are of the pictures
    whose classes it learns beside them.

    Args:
      config: Of a run.
      sets: As for `check_disjoint`.
      judged: Those of them that no model may learn from.

    Returns:
      As `check_disjoint`, of the pictures of joint training; nothing without them.

    Raises:
      ValueError: As `check_disjoint`.
    """
    if config.joint is None:
        return {}
    joint = {"joint": (config.joint.records, config.joint.ids)}
    found = check_disjoint(joint | {name: sets[name] for name in judged})
    return {"joint": found["joint"]}


def check_classes(task: Task, records: str) -> None:
    """Refuses records whose labels mean other classes than a task's.

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


def save_config(
    config: Config, workdir: str, sets: Mapping[str, PictureSet] | None = None
) -> None:
    """Marks the folder as this run's, once every check is passed.

    Args:
      config: Of the run.
      workdir: Its folder.
      sets: What it learns from and is judged on, for `check_data`.
    """
    folder = pathlib.Path(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    if sets is not None:
        write_json(folder / DATA_FILE, _digests(sets))
    config_lib.save(config, str(folder / CONFIG_FILE))


def check_data(workdir: str, sets: Mapping[str, PictureSet]) -> None:
    """Refuses to go on with records or ids that have changed since a run began.

    Records that are not there are not held against it: a finished run needs none.

    Args:
      workdir: Folder of the run.
      sets: Of its config.

    Raises:
      ValueError: Names what has changed.
    """
    path = pathlib.Path(workdir) / DATA_FILE
    if not path.exists():
        return
    there, now = json.loads(path.read_text(encoding="utf-8")), _digests(sets)
    changed = [name for name in now if there.get(name) not in (None, now[name])]
    if changed:
        names = " and ".join(f"`{name}` ({sets[name][0]})" for name in changed)
        raise ValueError(
            f"{workdir}: the records or ids of {names} have changed since its run "
            "began; choose another workdir, or delete this one."
        )


def _digests(sets: Mapping[str, PictureSet]) -> dict[str, dict[str, str]]:
    """Returns what tells the data of the sets whose records are there."""
    found = {}
    for name, (records, chosen) in sets.items():
        try:
            content = dataset_info.load(records).content_sha256 if records else ""
        except ValueError:
            continue
        ids = _read(chosen)
        of_ids = "" if ids is None else splits.ids_digest(ids)
        found[name] = {"records_sha256": content, "ids_sha256": of_ids}
    return found


def _read(chosen: str | Sequence[str] | None) -> Sequence[str] | None:
    """Returns the ids that the second half of a `PictureSet` means; None: all."""
    if isinstance(chosen, str):
        return splits.read_ids(chosen) if chosen else None
    return chosen


def check_workdir(config: Config, workdir: str) -> None:
    """Refuses a folder that belongs to a run with other settings.

    A folder of runs may have been moved, or be called by another path: what a setting
    names inside of it, such as the labels of a student, is the same then.

    Raises:
      ValueError: Shows the settings that differ.
    """
    path = pathlib.Path(workdir) / CONFIG_FILE
    if not path.exists():
        return
    text = yaml.safe_dump(config_lib.to_dict(config), sort_keys=False)
    there = path.read_text(encoding="utf-8")
    if not _is_same(yaml.safe_load(there), yaml.safe_load(text), path.parents[1]):
        changes = difflib.unified_diff(
            there.splitlines(), text.splitlines(), lineterm="", n=0
        )
        shown = [c.strip() for c in changes if c[:1] in "+-" and c[1:2] not in "+-"]
        raise ValueError(
            f"{workdir}: holds a run with other settings ({'; '.join(shown[:6])}); "
            "choose another workdir, or delete this one."
        )


def _is_same(there: object, now: object, runs: pathlib.Path) -> bool:
    """Whether settings are the same, but for where the folder of the runs lies."""
    if isinstance(there, dict) and isinstance(now, dict):
        return there.keys() == now.keys() and all(
            _is_same(there[name], now[name], runs) for name in now
        )
    if isinstance(there, str) and isinstance(now, str):
        inside = now.removeprefix(str(runs))
        if inside.startswith("/") and inside != now:
            return there.endswith(inside)
    return there == now
