"""Measures how good pseudo labels are, before a student learns from them."""

import functools
import heapq
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from st_keras.data import dataset_info, drawing_verdicts, pipeline, splits
from st_keras.experiments import label_quality, page, pictures, sheets
from st_keras.experiments.pseudo_reports import agreement as agreement_lib
from st_keras.experiments.pseudo_reports import conditions as conditions_lib
from st_keras.experiments.pseudo_reports.conditions import Condition
from st_keras.runtime import preflight
from st_keras.runtime.run_log import write_json
from st_keras.runtime.stored_labels import paired, read_labels
from st_keras.self_training import selection, shards
from st_keras.tasks import Task, task_of_records
from st_keras.types import Labels

REPORT_FILE = "report.json"
_FROM_MANIFEST = ("teacher", "teacher_sha256", "teacher_role", "score_floor", "source")


class Settings(NamedTuple):
    """What a report is made from, and how."""

    pseudo: str  # Folder of the pseudo labels.
    truth: str = ""  # Folder or glob of records with the truth of some of the pictures.
    human: str = ""  # Folder or glob of records that people labelled.
    human_ids: str = ""  # File of ids of those; empty: all.
    min_score: float = 0.5  # Score from which a student would learn them.
    checkpoint: str = ""  # Where the teacher is now; empty: where it labelled.
    agreement_pictures: int = 50  # That the teacher looks at again; 0: none.
    checkpoints: int = 3  # Others of the teacher's run that look at them too.
    pictures: int = 200  # On the page at most.
    strategy: str = "one_device"  # Where the teacher looks, as `runtime.strategy`.
    tpu: str = ""


class Shown(NamedTuple):
    """One picture of the page."""

    image_id: str
    disagreement: float  # In [0, 1].
    caption: str
    jpeg: str  # As a data URI.


def report_pseudo(
    settings: Settings, fail_if: Sequence[Condition] = ()
) -> tuple[dict, list[Shown]]:
    """Measures pseudo labels and draws those that disagree most.

    Disagreement is with the truth where that is known. Otherwise the teacher looks at
    some pictures again; where there is no teacher either, unsure labels come first.

    Args:
      settings: What to measure.
      fail_if: Conditions that must not hold.

    Returns:
      The content of report.json; the pictures of the page, most disagreement first.

    Raises:
      ValueError: Records are missing or of other classes or pictures, a condition names
        no number, or the checkpoint is not the teacher.
    """
    if not 0.0 <= settings.min_score < 1.0:
        raise ValueError(f"`min_score` must be in [0, 1), got {settings.min_score}.")
    manifest = shards.read_manifest(settings.pseudo)
    case = _Case(settings, manifest)
    case.check(fail_if)
    floor = selection.floor_of(manifest)
    conditions_lib.check_floor(fail_if, settings.min_score, floor)
    case.read_human()
    ranked = case.read_pseudo()
    agreement, ranked = case.look_again(ranked)
    shown, verdicts = case.draw(ranked)

    @functools.cache
    def numbers_at(score):
        return case.quality.numbers(score) | case.agreement_numbers(agreement)

    report = {
        "labels": {name: manifest.get(name) for name in _FROM_MANIFEST},
        "settings": settings._asdict(),
        **label_quality.from_floor(case.quality.details(settings.min_score), floor),
        "agreement": agreement,
        "pictures": verdicts,
        "failed": conditions_lib.failures(
            fail_if, numbers_at, settings.min_score, case.threshold_free
        ),
    }
    return report, shown


def write_report(report: dict, output: str) -> str:
    """Writes report.json into a folder and returns its path."""
    path = pathlib.Path(output, REPORT_FILE)
    write_json(path, report)
    return os.fspath(path)


class _Case:
    """Pseudo labels and all evidence for or against them."""

    def __init__(self, settings: Settings, manifest: dict):
        self._settings = settings
        self._manifest = manifest
        self._records = dataset_info.shards_of(settings.pseudo)
        self._truth = _glob(settings.truth)
        self._human = _glob(settings.human)
        self.task: Task = task_of_records(dataset_info.load(self._records))
        self.quality = self.task.new_quality()
        self._common = self._common_ids() if self._truth else []
        self._teacher, self._no_teacher = None, "not asked for"
        if settings.agreement_pictures:
            self._teacher, self._no_teacher = agreement_lib.find_teacher(
                manifest, settings.checkpoint
            )

    def check(self, fail_if: Sequence[Condition]) -> None:
        for records in filter(None, (self._truth, self._human)):
            preflight.check_classes(self.task, records)
        names = self.quality.numbers(0.5) | self.agreement_numbers({})
        conditions_lib.check_names(fail_if, names, self.threshold_free)

    @property
    def threshold_free(self) -> tuple[str, ...]:
        return (*self.quality.threshold_free, *agreement_lib.NAMES)

    def agreement_numbers(self, agreement: dict) -> dict[str, float | None]:
        return {name: agreement.get(name) for name in agreement_lib.NAMES}

    def read_human(self) -> None:
        if self._human:
            file = self._settings.human_ids
            ids = splits.chosen(file)
            for _, labels in self._labels(self._human, ids):
                self.quality.add_human(labels)

    def read_pseudo(self) -> list[tuple[str, float]]:
        """Measures all labels; returns ids and disagreements, the highest first."""
        worst = _Worst(self._settings.pictures)
        for image_id, pseudo, truth in self._with_truth():
            self.quality.add(pseudo, truth)
            worst.add(image_id, 1.0 - self._agreement(pseudo, truth))
        for image_id, pseudo in self._without_truth():
            self.quality.add(pseudo, None)
            if not self._truth:
                doubt = self.quality.doubt(pseudo, min_score=self._settings.min_score)
                worst.add(image_id, doubt)
        return worst.ranked()

    def look_again(
        self, ranked: list[tuple[str, float]]
    ) -> tuple[dict, list[tuple[str, float]]]:
        """Returns the teacher's agreement, and the ranking of the pictures to draw."""
        if self._truth or not self._teacher:
            reason = "the truth is known" if self._truth else self._no_teacher
            return {"not_measured": reason}, ranked
        settings = self._settings
        found = agreement_lib.measure(
            self._teacher,
            self._records,
            agreement_lib.spread_ids(self._records, settings.agreement_pictures),
            score_floor=self._manifest["score_floor"],
            min_score=settings.min_score,
            checkpoints=settings.checkpoints,
            strategy=settings.strategy,
            tpu=settings.tpu,
        )
        worst = _Worst(settings.pictures)
        for image_id, agreement in found.pop("by_picture").items():
            worst.add(image_id, 1.0 - agreement)
        return found, worst.ranked()

    def draw(self, ranked: list[tuple[str, float]]) -> tuple[list[Shown], list[dict]]:
        """Returns the pictures of the page, and a row of numbers for each."""
        if not ranked:
            return [], []
        order = {image_id: place for place, (image_id, _) in enumerate(ranked)}
        drawn = [None] * len(ranked)
        for image_id, example, truth in self._examples(list(order)):
            found = self.quality.verdicts(
                example.labels, truth, min_score=self._settings.min_score
            )
            pixels = drawing_verdicts.draw_verdicts(
                example.image, found, self.task.class_names, **sheets.SIDES_PX
            )
            place = order[image_id]
            shown = Shown(*ranked[place], found.caption(), page.jpeg(pixels))
            drawn[place] = shown, found.counts()
        rows = [
            {"id": shown.image_id, "disagreement": shown.disagreement, **counts}
            for shown, counts in drawn
        ]
        return [shown for shown, _ in drawn], rows

    def _examples(self, ids: list[str]) -> Iterator[tuple]:
        source = pipeline.open_source(self._records, ids, 0)
        found = pictures.read_pictures(self.task, pipeline.serialized_records(source))
        examples = ((example.image_id, example) for example in found)
        if not self._truth:
            yield from ((image_id, example, None) for image_id, example in examples)
            return
        yield from paired(examples, self._labels(self._truth, ids))

    def _with_truth(self) -> Iterator[tuple[str, Labels, Labels]]:
        if ids := self._common:
            yield from paired(
                self._labels(self._records, ids), self._labels(self._truth, ids)
            )

    def _without_truth(self) -> Iterator[tuple[str, Labels]]:
        common = set(self._common)
        rest = [i for i in pictures.all_ids(self._records) if i not in common]
        if rest:
            yield from self._labels(self._records, rest if common else None)

    def _labels(self, records: str, ids: list[str] | None):
        return read_labels(self.task, pipeline.open_source(records, ids, 0))

    def _agreement(self, pseudo: Labels, truth: Labels) -> float:
        return self.quality.agreement(pseudo, truth, min_score=self._settings.min_score)

    def _common_ids(self) -> list[str]:
        ours, theirs = map(dataset_info.picture_digests, (self._records, self._truth))
        common = [image_id for image_id in ours if image_id in theirs]
        differing = [i for i in common if ours[i] != theirs[i]]
        if differing or not common:
            what = (
                f"another picture by the name of {differing[0]}"
                if differing
                else f"none of its {len(ours)} pictures"
            )
            raise ValueError(
                f"`{self._truth}` is not the truth of `{self._records}`: it has {what}."
            )
        return common


class _Worst:
    """Keeps the pictures with the most disagreement of all that are added."""

    def __init__(self, count: int):
        self._count = count
        self._heap: list[tuple[float, int, str]] = []
        self._seen = 0

    def add(self, image_id: str, disagreement: float) -> None:
        # Of equal ones, those added first stay.
        self._seen += 1
        heapq.heappush(self._heap, (disagreement, -self._seen, image_id))
        if len(self._heap) > self._count:
            heapq.heappop(self._heap)

    def ranked(self) -> list[tuple[str, float]]:
        return [(image_id, value) for value, _, image_id in sorted(self._heap)[::-1]]


def _glob(where: str) -> str:
    """Returns the glob of a folder's records; a glob is returned as it is."""
    return dataset_info.shards_of(where) if os.path.isdir(where) else where
