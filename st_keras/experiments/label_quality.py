"""Measures how right the pseudo labels are that a student has learned from."""

import itertools
from collections.abc import Iterator

import numpy as np

from st_keras.config import Config
from st_keras.data import dataset_info, pipeline, splits
from st_keras.runtime.stored_labels import paired, read_labels, says_something
from st_keras.self_training import selection
from st_keras.tasks import Task, build_task, with_class_names
from st_keras.types import Labels

# For labels that are made in each step and not stored.
NOT_STORED = {
    "sentence": "Pseudo labels: made at every step by the average of the student, and "
    "not stored.",
    "human": None,
    "thresholds": [],
    "charts": [],
}
_SAMPLE = 2000  # Pictures from which the density of labels is estimated.


def label_quality(student: Config, unlabeled: str) -> dict:
    """Compares a student's pseudo labels with the truth, where it is known.

    Args:
      student: Its config, with the records of the pseudo labels.
      unlabeled: Glob of the records of the same pictures, perhaps with the truth.

    Returns:
      The task's quality numbers at the student's `min_score` or thresholds.
    """
    human = dataset_info.load(student.human.records)
    task = build_task(with_class_names(student, human))
    min_scores = selection.min_scores(student.pseudo, task)
    quality, learned = task.new_quality(), task.new_quality()
    for labels in _human_labels(student, task):
        quality.add_human(labels)
    for pseudo, truth in _with_truth(student, task, unlabeled):
        quality.add(pseudo, truth)
        if student.pseudo.thresholds:
            used = task.pseudo_label(pseudo, min_score=min_scores)
            used = used._make(np.asarray(field) for field in used)
            learned.add(task.without_padding(used), truth)
    found = quality.result(student.pseudo.min_score)
    found = from_floor(found, selection.score_floor(student.pseudo))
    if not student.pseudo.thresholds:
        return found
    return _at_thresholds(found, learned.result(0.0))


def from_floor(found: dict, score_floor: float) -> dict:
    """Returns numbers without the thresholds below which nothing was stored."""
    rows = [row for row in found["thresholds"] if row["min_score"] >= score_floor]
    return found | {"thresholds": rows}


def sample_quality(student: Config):
    """Returns the task's quality measure, of some human and some pseudo labels.

    Args:
      student: Its config, with the records of the pseudo labels.
    """
    human = dataset_info.load(student.human.records)
    task = build_task(with_class_names(student, human))
    quality = task.new_quality()
    for labels in itertools.islice(_human_labels(student, task), _SAMPLE):
        quality.add_human(labels)
    ids = selection.image_ids(student.pseudo)
    source = pipeline.open_source(student.pseudo.records, ids, 0)
    for _, labels in itertools.islice(read_labels(task, source), _SAMPLE):
        quality.add(labels, None)
    return quality


def _with_truth(
    student: Config, task: Task, unlabeled: str
) -> Iterator[tuple[Labels, Labels | None]]:
    """Yields the pseudo labels a student is given, and the truth where it is known."""
    records, ids = student.pseudo.records, selection.image_ids(student.pseudo)
    pseudo = read_labels(task, pipeline.open_source(records, ids, 0))
    names = getattr(dataset_info.load(unlabeled), task.names_field)
    if names != task.names_in_records:
        yield from ((labels, None) for _, labels in pseudo)
        return
    if ids is None:
        ids = list(dataset_info.picture_digests(records))
    source = pipeline.open_source(unlabeled, ids, 0)
    if not any(says_something(labels) for _, labels in read_labels(task, source)):
        # Nobody labelled these pictures: calling every box wrong would be a mistake.
        yield from ((labels, None) for _, labels in pseudo)
        return
    truth = read_labels(task, source)
    yield from (both for _, *both in paired(pseudo, truth))


def _at_thresholds(found: dict, learned: dict) -> dict:
    """Returns `found` with the numbers of what is kept at calibrated thresholds."""
    columns = [name for chart in found["charts"] for name in chart["columns"]]
    numbers = {name: learned[name] for name in columns}
    words = [
        f"{name.replace('_', ' ')} {number:.3g}"
        for name, number in numbers.items()
        if number is not None
    ]
    sentence = f"Pseudo labels at the calibrated thresholds: {', '.join(words)}."
    return found | numbers | {"min_score": None, "sentence": sentence}


def _human_labels(config: Config, task: Task) -> Iterator[Labels]:
    ids = splits.chosen(config.human.ids)
    source = pipeline.open_source(config.human.records, ids, 0)
    return (labels for _, labels in read_labels(task, source))
