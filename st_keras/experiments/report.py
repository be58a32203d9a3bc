"""Shows the results of a finished `self_train` on one page."""

import json
import pathlib
import shlex

from st_keras import config as config_lib
from st_keras import writing
from st_keras.config import Config
from st_keras.data import dataset_info
from st_keras.experiments import figures, page, pictures, tables, threshold_table
from st_keras.experiments.figures import Chart, Line, Mark
from st_keras.experiments.outcome import PAGE_FILE, REPORT_FILE
from st_keras.metrics.percent import NONE
from st_keras.runtime.preflight import CONFIG_FILE
from st_keras.runtime.run_log import read_rows
from st_keras.self_training.shards import MANIFEST_FILE

# COCO's twelve numbers are too many for a page; these are in report.json.
_LEFT_OUT = ("AR1", "AR10", "ARs", "ARm", "ARl")
_TEST_SCORE = 0.3  # Weaker detections would hide the pictures.
_MANY_CLASSES = 20
_WHAT = {
    "teacher": "human labels only",
    "student": "human and pseudo labels",
    "control": "human labels only, for as many steps as teacher and student together",
}


def write_html(workdir: str) -> str:
    """Writes report.html into the folder of a finished `self_train`.

    Every number is read from the folder's files. Pictures are drawn anew from the
    checkpoints and records; where these are gone, the page says so.

    Args:
      workdir: Folder of the experiment.

    Returns:
      The path of the page.

    Raises:
      ValueError: There is no finished experiment.
    """
    story = _Story(workdir)
    body = [
        story.head(),
        story.results(),
        story.classes(),
        story.test_pictures(),
        story.curves(),
        story.pseudo_labels(),
        story.time(),
        story.protocol(),
        story.settings(),
    ]
    path = pathlib.Path(workdir, PAGE_FILE)
    title = f"Self-training: {story.name}"
    writing.write_text(path, page.document(title, body))
    return str(path)


class _Story:
    """The parts of the page, in the order they are told."""

    def __init__(self, workdir: str):
        self._folder = pathlib.Path(workdir)
        try:
            self._report = json.loads((self._folder / REPORT_FILE).read_text())
        except FileNotFoundError:
            raise ValueError(
                f"{self._folder / REPORT_FILE}: missing; tools/self_train.py writes it "
                "at the end of an experiment."
            ) from None
        self.name = self._folder.resolve().name
        self._headline = self._report["headline"]
        self._roles = tables.roles_of(self._report)
        students = [f"student_{i + 1}" for i in range(self._report["iterations"])]
        self._student = students[-1]
        control = ["control"] if "control" in self._roles else []
        self._runs = ["teacher", *students, *control]
        self._rows = {run: read_rows(self._folder / run) for run in self._runs}
        config = config_lib.load(str(self._folder / self._student / CONFIG_FILE))
        self._config = _with_pseudo_files(config, self._folder, len(students))

    def head(self) -> str:
        before = self._report["teacher"][self._headline]
        tiles = []
        for role in self._roles:
            value = self._report[role][self._headline]
            gain = f"{value - before:+.1f} against the teacher"
            remark = _WHAT["teacher"] if role == "teacher" else gain
            name = f"{role.capitalize()} {self._headline}"
            tiles.append(
                page.tile(name, tables.number(value), remark, figures.COLORS[role])
            )
        return page.header(
            "Self-training report", self.name, tiles, self._report["verdict"]
        )

    def results(self) -> str:
        names = [n for n in tables.metric_names(self._report) if n not in _LEFT_OUT]
        values = [[self._report[role][n] for n in names] for role in self._roles]
        rows = []
        for role, numbers in zip(self._roles, values, strict=True):
            steps = self._report[role]["steps"]
            total = self._report[role]["total"]
            texts = [tables.number(value) for value in numbers]
            counts = [f"{n:,}" for n in (steps, total["steps"], total["images"])]
            work = tables.billions(total["multiply_adds"])
            rows.append([role.capitalize(), *texts, *counts, work])
        totals = ["Total steps", "Total images", "Multiply-adds"]
        head = ["", *names, "Steps", *totals]
        colors = [figures.COLORS[role] for role in self._roles]
        best = {(row, column + 1) for row, column in _best(values)}
        notes = [(role.capitalize(), f"{_WHAT[role]}.") for role in self._roles]
        text = "with those of the teachers before it, and of their labelling."
        notes.append(("Totals", text))
        text = "three passes for each training image, one for each look at a picture."
        notes.append(("Multiply-adds", text))
        if any(value == NONE for numbers in values for value in numbers):
            dash = "the test pictures have no object this could be measured on."
            notes.append((tables.number(NONE), dash))
        parts = [page.table(head, rows, best=best, colors=colors), page.notes(notes)]
        if len(self._report["students"]) > 1:
            turns = ", ".join(tables.number(v) for v in self._report["students"])
            text = (
                f"{self._headline} of the students, one taught by the other: {turns}."
            )
            parts.append(page.paragraph(text))
        return page.section("Results on the test pictures", *parts)

    def classes(self) -> str:
        by_role = {
            role: self._report[role].get("per_class", {}) for role in self._roles
        }
        names = list(by_role["student"])
        if not names:
            return ""
        columns = list(by_role["student"][names[0]])
        head = [""] + [f"{c} {role}" for c in columns for role in self._roles]
        rows, best = [], set()
        for row, name in enumerate(names):
            values = [by_role[r][name][c] for c in columns for r in self._roles]
            rows.append([name, *(tables.number(value) for value in values)])
            width = len(self._roles)
            for start in range(0, len(values), width):
                group = [[value] for value in values[start : start + width]]
                best |= {(row, start + place + 1) for place, _ in _best(group)}
        content = page.table(head, rows, best=best)
        if len(names) > _MANY_CLASSES:
            content = page.details(f"{len(names)} classes", content)
        return page.section("Class by class", content)

    def test_pictures(self) -> str:
        runs = {"teacher": "teacher", "student": self._student, "control": "control"}
        folders = {role: str(self._folder / runs[role]) for role in self._roles}
        protocol = self._report["student"]["protocol"]
        ids_file = "" if protocol["ids"] == "all" else protocol["ids"]
        title = "What they see"
        try:
            rows = pictures.test_rows(
                folders, protocol["records"], ids_file, min_score=_TEST_SCORE
            )
        except (ValueError, OSError) as error:
            return page.section(title, _not_shown(error))
        text = (
            f"Test pictures, taken at even distances, not chosen. Detections with a "
            f"score above {_TEST_SCORE:g}."
        )
        heads = ["Truth", *(role.capitalize() for role in self._roles)]
        return page.section(
            title, page.paragraph(text), page.picture_grid(heads, rows, len(heads))
        )

    def curves(self) -> str:
        students = [run for run in self._runs if run.startswith("student")]
        drawn = [
            self._chart("Loss on human labels", "human/loss", self._runs, log=True),
            self._chart("Loss on pseudo labels", "pseudo/loss", students, log=True),
            self._chart("Ratio of the mean losses", "blend/ratio", students),
            self._means(),
            self._chart("Loss on classes, trained jointly", "joint/loss", self._runs),
            self._chart("Learning rate", "learning_rate", self._runs, dashed=students),
            self._chart(
                f"{self._headline} on the evaluation pictures",
                f"evaluation/{self._headline}",
                self._runs,
            ),
        ]
        text = (
            "The pseudo loss is multiplied by the ratio of the running means, human "
            "over pseudo, so that both parts weigh alike."
        )
        kept = [chart for chart in drawn if chart]
        return page.section("How they learned", page.paragraph(text), page.charts(kept))

    def pseudo_labels(self) -> str:
        pseudo = self._report["pseudo_labels"]
        parts = [page.paragraph(pseudo["sentence"])]
        for name, value in (pseudo["human"] or {}).items():
            text = f"{_words(name).capitalize()} of the human labels: {value:.3g}."
            parts.append(page.paragraph(text))
        if pseudo["thresholds"]:
            parts.append(page.charts(_threshold_charts(pseudo)))
        if thresholds := self._report.get("thresholds"):
            head, *rows = threshold_table.table(thresholds)
            content = page.table(head, rows)
            content += page.notes(threshold_table.remarks(thresholds))
            parts.append(page.details("Threshold of each class", content))
        if not self._config.pseudo.online:
            parts.append(self._pseudo_pictures())
        return page.section("Pseudo labels", *parts)

    def time(self) -> str:
        costs = self._report["ledger"].items()
        seconds = {stage: cost["device_seconds"] for stage, cost in costs}
        total = sum(seconds.values())
        longest = max(seconds.values(), default=1.0)
        rows = [
            (
                stage.replace("_", " "),
                tables.duration(value),
                value / longest,
                figures.run_color(stage.removeprefix("evaluate_")),
            )
            for stage, value in seconds.items()
        ]
        text = (
            f"{tables.duration(total)} in all, summed over the devices that were busy."
        )
        return page.section("Time", page.paragraph(text), page.bars(rows))

    def protocol(self) -> str:
        protocols = {role: self._report[role]["protocol"] for role in self._roles}
        rows = []
        for name in protocols["student"]:
            values = {role: protocols[role].get(name) for role in self._roles}
            texts = {role: _text(value) for role, value in values.items()}
            if len(set(texts.values())) == 1:
                rows.append([name, texts["student"]])
            else:
                lines = [f"{role}: {text}" for role, text in texts.items()]
                rows.append([name, "\n".join(lines)])
        parameters = f"{self._report['student']['parameters']:,}"
        rows.append(["parameters of the student", parameters])
        rows.append(["seed", str(self._report["seed"])])
        return page.section(
            "How it was measured", page.table(["", ""], rows, style="text")
        )

    def settings(self) -> str:
        path = self._folder / CONFIG_FILE
        workdir = shlex.quote(f"{self._folder}_again")
        command = f"--config {shlex.quote(str(path))} \\\n    --workdir {workdir}"
        if not path.exists():  # Made by an older version.
            path = self._folder / self._student / CONFIG_FILE
            command = f"--config CONFIG.yaml --workdir {workdir}"
        if self._report["iterations"] > 1:
            command += f" --iterations {self._report['iterations']}"
        return page.section(
            "Settings",
            page.details(
                f"All settings (digest {self._report['config']})",
                page.code(path.read_text(encoding="utf-8")),
            ),
            page.paragraph("To run it again:"),
            page.code(f"python tools/self_train.py {command}"),
        )

    def _chart(self, title, name, runs, *, log=False, dashed=()) -> Chart | None:
        earlier = [run for run in runs if "student" in run and run != self._student]
        lines = [
            Line(
                run.replace("_", " "),
                *_series(self._rows[run], name),
                figures.run_color(run),
                ":" if run in earlier else "--" if run in dashed else "-",
            )
            for run in runs
        ]
        lines = [line for line in lines if line.x]
        # One point per run is in the table already.
        if not any(len(line.x) > 1 for line in lines):
            return None
        return figures.chart(title, lines, x_label="step", log=log)

    def _means(self) -> Chart | None:
        rows = self._rows[self._student]
        lines = [
            Line(part, *_series(rows, f"blend/mean_{part}"), color, style)
            for part, color, style in (
                ("human", figures.COLORS["student"], "-"),
                ("pseudo", figures.COLORS["student"], "--"),
            )
        ]
        if not lines[0].x:
            return None
        title = "Running means of the student's losses"
        return figures.chart(title, lines, x_label="step", log=True)

    def _pseudo_pictures(self) -> str:
        number = self._report["iterations"]
        manifest = self._folder / f"labels_{number}" / MANIFEST_FILE
        try:
            unlabeled = json.loads(manifest.read_text())["source"]
            rows = pictures.pseudo_rows(self._config, unlabeled)
        except (ValueError, OSError) as error:
            return _not_shown(error)
        heads = ["Pseudo labels", "Truth"][: len(rows[0].drawn)]
        text = (
            "Pictures the teacher labelled, taken at even distances. Dashed or "
            "hatched: below the threshold, the student does not learn from it."
        )
        return page.paragraph(text) + page.picture_grid(heads, rows, 4)


def _with_pseudo_files(config: Config, folder: pathlib.Path, number: int) -> Config:
    """Returns the config with paths into the folder, which may have been moved."""
    settings = config_lib.to_dict(config)
    labels = folder / f"labels_{number}"
    settings["pseudo"]["records"] = dataset_info.shards_of(labels)
    if config.pseudo.thresholds:
        settings["pseudo"]["thresholds"] = f"{folder}/thresholds_{number}.json"
    return config_lib.from_dict(settings)


def _best(values: list[list[float]]) -> set[tuple[int, int]]:
    """Returns row and column of the highest number of each column, ties included."""
    found = set()
    for column, numbers in enumerate(zip(*values, strict=True)):
        highest = max(numbers)
        if len(numbers) > 1 and highest > NONE:
            shown = [tables.number(value) for value in numbers]
            best = tables.number(highest)
            found |= {(r, column) for r, text in enumerate(shown) if text == best}
    return found


def _series(rows: list[dict], name: str) -> tuple[list[float], list[float]]:
    found = [(row["step"], row[name]) for row in rows if name in row]
    return [step for step, _ in found], [value for _, value in found]


def _threshold_charts(pseudo: dict) -> list[Chart]:
    rows = pseudo["thresholds"]
    scores = [row["min_score"] for row in rows]
    chosen = []
    if (score := pseudo["min_score"]) is not None:  # None: each class has its own.
        chosen = [Mark(f"chosen: {score:g}", x=score)]
    styles = [
        (figures.COLORS["teacher"], "-"),
        (figures.COLORS["control"], "--"),
        (figures.COLORS["student"], ":"),
    ]
    charts = []
    for chart in pseudo["charts"]:
        lines = [
            Line(_words(name), scores, [row[name] for row in rows], *style)
            for name, style in zip(chart["columns"], styles, strict=False)
        ]
        human = {n: v for n, v in (pseudo["human"] or {}).items() if n in rows[0]}
        marks = [
            Mark(f"human labels: {human[name]:.3g}", y=human[name])
            for name in chart["columns"]
            if name in human
        ]
        charts.append(
            figures.chart(
                chart["title"],
                lines,
                x_label="score from which a label is kept",
                y_range=(0.0, 1.02) if chart["is_share"] else None,
                marks=[*chosen, *marks],
            )
        )
    return charts


def _words(name: str) -> str:
    return name.replace("_", " ")


def _not_shown(error: Exception) -> str:
    return page.paragraph(f"Pictures are not shown: {error}", is_note=True)


def _text(value: object) -> str:
    if isinstance(value, list):
        return " x ".join(str(part) for part in value)
    return str(value)
