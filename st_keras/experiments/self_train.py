"""The whole procedure: teacher, labels, student, and the control beside them."""

import dataclasses
import itertools
import json
import pathlib
import time
from collections.abc import Iterator

import tensorflow as tf
from absl import logging

from st_keras import config as config_lib
from st_keras.config import Config, InitConfig
from st_keras.data import dataset_info, pipeline, splits
from st_keras.runtime import preflight, warnings_of_run
from st_keras.runtime.restored import restore_run
from st_keras.runtime.run_log import write_json
from st_keras.self_training import labeling
from st_keras.tasks import Task, build_task, with_class_names
from st_keras.training import evaluate
from st_keras.training.loop import SUMMARY_FILE, train
from st_keras.types import Labels

REPORT_FILE = "report.json"
_MIN_SHARD_IMAGES = 500
_SAMPLE = 2000  # Pictures that tell how dense labels are.


def self_train(config: Config, workdir: str, *, iterations: int = 1) -> dict:
    """Runs every stage that is not finished yet and returns the report.

    Stages, each a folder of `workdir`: `teacher`; then, per iteration i, `labels_<i>`
    by the model before and `student_<i>`; then `control`, which sees human labels only
    for as many steps as teacher and students together. All are evaluated on the test
    records with their last checkpoint; report.json holds the numbers.

    Args:
      config: The student's, with a `self_training` part.
      workdir: Folder of the experiment.
      iterations: Students, each taught by the one before.

    Returns:
      The report; see `report.json`.

    Raises:
      ValueError: The config has no `self_training` or `pseudo` part, or a stage
        cannot run.
    """
    if not (config.self_training and config.pseudo):
        raise ValueError(
            "Self-training needs the `self_training` and the `pseudo` part of a "
            "config, such as configs/demo/digits_student.yaml has them."
        )
    if iterations < 1:
        raise ValueError(f"`iterations` must be 1 or more, got {iterations}.")
    _test_set(config)
    preflight.check_workdir(config, workdir)
    preflight.check_disjoint(_picture_sets(config))
    _check_classes(config)
    teacher = teacher_config(config)
    total_steps = teacher.training.steps + iterations * config.training.steps
    stages = _Stages(workdir)
    stages.check_control(total_steps)
    preflight.save_config(config, workdir)
    stages.train("teacher", teacher)
    model_before = "teacher"
    for number in range(1, iterations + 1):
        labels = stages.label(f"labels_{number}", model_before, config)
        student = student_config(config, labels, stages.path(model_before))
        if not stages.is_trained(f"student_{number}"):
            _warn_of_density(student)
        stages.train(f"student_{number}", student)
        model_before = f"student_{number}"
    if config.self_training.control:
        stages.train("control", with_steps(teacher, total_steps))
    report = _report(config, stages, iterations)
    write_json(stages.path(REPORT_FILE), report)
    return report


def teacher_config(config: Config) -> Config:
    """Returns the teacher of a student's config: human labels only.

    Its batch is as large as the student's human and pseudo parts together, so that a
    step costs the same in every run.
    """
    images = config.human.images_per_step + config.pseudo.images_per_step
    human = dataclasses.replace(config.human, images_per_step=images)
    steps = config.self_training.teacher_steps or config.training.steps
    alone = dataclasses.replace(
        config, human=human, pseudo=None, self_training=None, expect=None
    )
    return with_steps(alone, steps)


def student_config(config: Config, labels: str, teacher: str) -> Config:
    """Returns the student's config with its pseudo labels and first weights set.

    Args:
      config: The student's.
      labels: Folder of the pseudo labels.
      teacher: Workdir of the model that drew them.
    """
    pseudo = dataclasses.replace(config.pseudo, records=f"{labels}/*.tfrecord")
    init = config.init
    if config.self_training.student_init == "teacher":
        init = InitConfig(kind="teacher", checkpoint=teacher)
    return dataclasses.replace(config, pseudo=pseudo, self_training=None, init=init)


def with_steps(config: Config, steps: int) -> Config:
    """Returns the config for another number of steps; its schedule stretches along."""
    factor = steps / config.training.steps
    boundaries = tuple(
        round(step * factor) for step in config.optimization.step_boundaries
    )
    return dataclasses.replace(
        config,
        training=dataclasses.replace(config.training, steps=steps),
        optimization=dataclasses.replace(
            config.optimization, step_boundaries=boundaries
        ),
    )


class _Stages:
    """The folders of an experiment, and what each stage has cost."""

    def __init__(self, workdir: str):
        self._workdir = pathlib.Path(workdir)
        self._workdir.mkdir(parents=True, exist_ok=True)

    def path(self, name: str) -> str:
        return str(self._workdir / name)

    def train(self, name: str, config: Config) -> None:
        tf.keras.backend.clear_session()
        summary = train(config, self.path(name), title=name.replace("_", " ").title())
        self._note(name, summary["seconds"])

    def is_trained(self, name: str) -> bool:
        return pathlib.Path(self.path(name), SUMMARY_FILE).exists()

    def label(self, name: str, model: str, config: Config) -> str:
        output = self.path(name)
        settings = config.self_training
        images = dataset_info.load(settings.unlabeled_records).images
        manifest = labeling.label_pictures(
            self.path(model),
            output,
            records=settings.unlabeled_records,
            ids_file=settings.unlabeled_ids,
            score_floor=settings.score_floor,
            num_shards=max(1, images // _MIN_SHARD_IMAGES),
        )
        self._note(name, manifest["seconds"])
        return output

    def check_control(self, total_steps: int) -> None:
        """Refuses to go on beside a control of another length."""
        path = self._workdir / "control" / "config.yaml"
        if path.exists():
            steps = config_lib.load(str(path)).training.steps
            if steps != total_steps:
                raise ValueError(
                    f"{path.parent}: trained for {steps} steps, but these iterations "
                    f"need {total_steps}; delete the folder or choose another workdir."
                )

    def evaluate(self, name: str, records: str, ids_file: str) -> dict:
        """Evaluates once; the test set is not looked at again by a resumed run."""
        path = pathlib.Path(self.path(name), "test.json")
        if not path.exists():
            tf.keras.backend.clear_session()
            started = time.time()
            run = restore_run(self.path(name))
            result = evaluate.evaluate_run(
                run, records, ids_file, progress=f"Evaluate {name}"
            )
            write_json(path, result)
            self._note(f"evaluate_{name}", time.time() - started)
        return json.loads(path.read_text())

    def summary(self, name: str) -> dict:
        return json.loads(pathlib.Path(self.path(name), "summary.json").read_text())

    def seconds(self) -> dict[str, float]:
        path = self._workdir / "seconds.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def _note(self, name: str, seconds: float) -> None:
        write_json(
            self._workdir / "seconds.json", self.seconds() | {name: round(seconds, 1)}
        )


def _picture_sets(config: Config) -> dict[str, tuple[str, str]]:
    settings = config.self_training
    return {
        "human": (config.human.records, config.human.ids),
        "unlabeled": (settings.unlabeled_records, settings.unlabeled_ids),
        "evaluation": (config.evaluation.records, config.evaluation.ids),
        "test": (settings.test_records, settings.test_ids),
    }


def _test_set(config: Config) -> tuple[str, str]:
    """Returns the records and the file of ids that a report is about."""
    settings = config.self_training
    if settings.test_records:
        return settings.test_records, settings.test_ids
    if not config.evaluation.records:
        raise ValueError(
            "`self_training.test_records` is not set: there is nothing to report on."
        )
    return config.evaluation.records, config.evaluation.ids


def _check_classes(config: Config) -> None:
    """Refuses a test set whose labels mean other classes than the human ones."""
    info = dataset_info.load(config.human.records)
    task = build_task(with_class_names(config, info))
    for records in (_test_set(config)[0], config.evaluation.records):
        if records:
            preflight.check_classes(task, records)


def _report(config: Config, stages: _Stages, iterations: int) -> dict:
    settings = config.self_training
    records, ids_file = _test_set(config)
    names = {"teacher": "teacher", "student": f"student_{iterations}"}
    if settings.control:
        names["control"] = "control"
    report: dict = {}
    for role, name in names.items():
        result = stages.evaluate(name, records, ids_file)
        summary = stages.summary(name)
        report[role] = result["metrics"] | {
            "steps": summary["steps"],
            "images_seen": summary["images_seen"],
            "parameters": summary["parameters"],
            "protocol": result["protocol"],
        }
    headline = result["headline"]
    report["headline"] = headline
    students = [f"student_{number}" for number in range(1, iterations + 1)]
    report["students"] = [
        stages.evaluate(name, records, ids_file)["metrics"][headline]
        for name in students
    ]
    report["pseudo_labels"] = _pseudo_quality(config, stages, iterations)
    report["seconds"] = stages.seconds()
    report["seed"] = config.seed
    report["iterations"] = iterations
    report["config"] = config_lib.digest(config)
    report["verdict"] = verdict(report)
    return report


def verdict(report: dict) -> list[str]:
    """Returns sentences that say who won, by how much, and what that does not show."""
    headline, lines = report["headline"], []
    for role, what in (
        ("teacher", "its teacher"),
        ("control", "the supervised control of the same total number of steps"),
    ):
        if role in report:
            gain = report["student"][headline] - report[role][headline]
            word = "beats" if gain > 0 else "does not beat"
            lines.append(f"The student {word} {what}: {gain:+.1f} {headline}.")
    lines.append("One seed; differences of a point or two need several.")
    return lines


def _pseudo_quality(config: Config, stages: _Stages, iterations: int) -> dict:
    """Holds the last student's pseudo labels against the truth, where it is known."""
    records = f"{stages.path(f'labels_{iterations}')}/*.tfrecord"
    human = dataset_info.load(config.human.records)
    task = build_task(with_class_names(config, human))
    quality = task.new_quality()
    for labels in _human_labels(config, task):
        quality.add_human(labels)
    source = pipeline.open_source(records, None, 0)
    pseudo = evaluate.read_labels(task, source)
    unlabeled = config.self_training.unlabeled_records
    names = getattr(dataset_info.load(unlabeled), task.names_field)
    if names == task.names_in_records:
        ids = list(dataset_info.picture_digests(records))
        truth = evaluate.read_labels(task, pipeline.open_source(unlabeled, ids, 0))
        for labels, true_labels in _paired(pseudo, truth):
            quality.add(labels, true_labels)
    else:
        for _, labels in pseudo:
            quality.add(labels, None)
    return quality.result(config.pseudo.min_score)


def _warn_of_density(student: Config) -> None:
    """Says before the student is trained if it will hardly have labels, or too many."""
    human = dataset_info.load(student.human.records)
    task = build_task(with_class_names(student, human))
    quality = task.new_quality()
    for labels in itertools.islice(_human_labels(student, task), _SAMPLE):
        quality.add_human(labels)
    source = pipeline.open_source(student.pseudo.records, None, 0)
    for _, labels in itertools.islice(evaluate.read_labels(task, source), _SAMPLE):
        quality.add(labels, None)
    if text := warnings_of_run.pseudo_density(quality, student.pseudo.min_score):
        logging.warning(text)


def _human_labels(config: Config, task: Task) -> Iterator[Labels]:
    ids = splits.read_ids(config.human.ids) if config.human.ids else None
    source = pipeline.open_source(config.human.records, ids, 0)
    return (labels for _, labels in evaluate.read_labels(task, source))


def _paired(first: Iterator, second: Iterator) -> Iterator[tuple[Labels, Labels]]:
    """Yields what two streams say of the same pictures, in whatever order they come.

    Only pictures whose other half is still to come are held.
    """
    waiting: tuple[dict, dict] = ({}, {})
    for both in zip(first, second, strict=True):
        for side, (image_id, labels) in enumerate(both):
            waiting[side][image_id] = labels
        for image_id in {image_id for image_id, _ in both}:
            if all(image_id in half for half in waiting):
                yield tuple(half.pop(image_id) for half in waiting)
