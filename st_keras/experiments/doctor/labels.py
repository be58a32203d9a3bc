"""Checks of labels, by a pass over the human, evaluation and test records."""

import collections

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from st_keras.data import pipeline, records
from st_keras.data.untuned import PARALLEL_CALLS
from st_keras.experiments.doctor.case import (
    Case,
    Finding,
    Survey,
    problem,
    warning,
)

SMALL_PX = 8
_MOST_SMALL = 0.1  # Share of objects; above it, small ones matter.
_MOST_EMPTY = 0.5  # Share of pictures.
_LEAST_KNOWN = 0.5  # Share of pixels.
_SHOWN = 8  # Classes named in a line.
_SIZE = {
    records.HEIGHT: tf.io.FixedLenFeature([], tf.int64),
    records.WIDTH: tf.io.FixedLenFeature([], tf.int64),
}


def check_labels(case: Case) -> list[Finding]:
    """Reads the labels of the human, evaluation and test sets."""
    found = []
    for name in case.labelled:
        try:
            case.surveys[name] = _survey(case, name)
        except tf.errors.OpError as error:
            found.append(
                problem(
                    f"{name}: `{case.opened[name].records}`: a record cannot be read: "
                    f"{' '.join(error.message.split())}.",
                    "Make the records again with tools/make_records.py.",
                )
            )
    for name, survey in case.surveys.items():
        found += _check_values(case, name, survey)
        found += _check_density(case, name, survey)
    return found + _check_classes(case) + _check_sizes(case)


def _survey(case: Case, name: str) -> Survey:
    task, source = case.task, case.opened[name].source
    rows = pipeline.serialized_records(source).map(
        lambda record: (*task.read_labels(record), _size_px(record)), PARALLEL_CALLS
    )
    survey, per_class = Survey(), collections.Counter()
    quality = task.new_quality()
    network_px = np.asarray(case.config.section.image_size_px)
    bar = tqdm(rows.as_numpy_iterator(), f"Labels of {name}", source.count, unit="img")
    for labels, _, size_px in bar:
        class_ids, sides_px = task.objects(labels)
        survey.pictures += 1
        survey.empty += not len(class_ids)
        survey.most_per_picture = max(survey.most_per_picture, len(class_ids))
        per_class.update(class_ids.tolist())
        scale = np.min(network_px / size_px)
        survey.small += int(np.sum(sides_px.min(axis=-1) * scale < SMALL_PX))
        quality.add_human(labels)
    survey.per_class = dict(per_class)
    survey.human = quality.result(0.5)["human"]
    return survey


def _check_values(case: Case, name: str, survey: Survey) -> list[Finding]:
    unknown = sorted(c for c in survey.per_class if not _is_known(case, c))
    if not unknown:
        return []
    labels = ", ".join(str(case.task.label_of(c)) for c in unknown[:_SHOWN])
    return [
        problem(
            f"{name}: `{case.opened[name].records}` has labels without a name in "
            f"dataset.json: {labels}; there are "
            f"{len(case.task.names_in_records)} names.",
            "Convert the data again with the whole list of classes, or with the value "
            "of unlabelled pixels set to 255.",
        )
    ]


def _check_density(case: Case, name: str, survey: Survey) -> list[Finding]:
    found = []
    if survey.empty == survey.pictures:
        return [
            problem(
                f"{name}: none of {survey.pictures:,} pictures has a label.",
                "Choose pictures with labels: other ids, or other records.",
            )
        ]
    if survey.empty > _MOST_EMPTY * survey.pictures:
        found.append(
            warning(
                f"{name}: {survey.empty:,} of {survey.pictures:,} pictures have no "
                "label.",
                "If these pictures were never labelled, leave them out by "
                f"`{_section(name)}ids`: they teach that nothing is there.",
            )
        )
    known = (survey.human or {}).get("coverage", 1.0)
    if known < _LEAST_KNOWN:
        found.append(
            warning(
                f"{name}: only {known:.0%} of the pixels have a class, the rest is "
                "ignored.",
                "Look at `tools/show.py records`: a class may be stored as 255.",
            )
        )
    most = case.task.protocol.get("max_detections")
    if most is not None and survey.most_per_picture > most:
        found.append(
            warning(
                f"{name}: a picture has {survey.most_per_picture} objects, but "
                f"`postprocess.max_detections` keeps {most}.",
                f"Set it to {survey.most_per_picture} or more, if all of them matter.",
            )
        )
    return found


def _check_classes(case: Case) -> list[Finding]:
    """A class must be in the human set to be learned, in the others to be measured."""
    if "human" not in case.surveys or not case.surveys["human"].objects:
        return []
    names = case.task.class_names
    first = len(names) - len(case.task.names_in_records)  # 1 where 0 is background.
    classes = range(first, len(names))
    judged = {n: s for n, s in case.surveys.items() if n != "human" and s.objects}
    untaught = [c for c in classes if not case.surveys["human"].per_class.get(c)]
    asked = [c for c in untaught if any(c in s.per_class for s in judged.values())]
    found = []
    if asked:
        found.append(
            problem(
                f"human: no picture shows {_listed(asked, names)}, but "
                f"{' and '.join(judged)} ask for it.",
                "Draw the labelled pictures with `tools/make_split.py "
                "--ensure_classes`, or label some of that class.",
            )
        )
    if rest := [c for c in untaught if c not in asked]:
        found.append(
            warning(
                f"human: no picture shows {_listed(rest, names)}.",
                "Take the class out of the list, or label some pictures of it.",
            )
        )
    for name, survey in judged.items():
        absent = [c for c in classes if c not in survey.per_class and c not in untaught]
        if absent:
            found.append(
                warning(
                    f"{name}: no picture shows {_listed(absent, names)}, so nothing is "
                    "measured of it.",
                    "Choose pictures for it that show every class.",
                )
            )
    return found


def _check_sizes(case: Case) -> list[Finding]:
    survey = case.surveys.get("human")
    if not survey or survey.small <= _MOST_SMALL * survey.objects:
        return []
    height, width = case.config.section.image_size_px
    return [
        warning(
            f"human: {survey.small / survey.objects:.0%} of {survey.objects:,} labels "
            f"have a side under {SMALL_PX} px in the network's input of {height} x "
            f"{width} px.",
            f"Raise `{case.config.task_name}.image_size_px`, or cut the pictures into "
            "parts before the conversion.",
        )
    ]


def _size_px(record: tf.Tensor) -> tf.Tensor:
    fields = tf.io.parse_single_example(record, _SIZE)
    return tf.stack([fields[records.HEIGHT], fields[records.WIDTH]])


def _is_known(case: Case, class_id: int) -> bool:
    names = case.task.class_names
    return len(names) - len(case.task.names_in_records) <= class_id < len(names)


def _section(name: str) -> str:
    return "self_training.test_" if name == "test" else f"{name}."


def _listed(classes: list[int], names: tuple[str, ...]) -> str:
    shown = ", ".join(names[c] for c in classes[:_SHOWN])
    more = len(classes) - _SHOWN
    return f"{shown} and {more} more classes" if more > 0 else shown
