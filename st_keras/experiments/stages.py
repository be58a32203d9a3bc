"""The stages that experiments are made of: each a folder, each run once."""

import contextlib
import functools
import pathlib
import time

import tensorflow as tf

from st_keras import config as config_lib
from st_keras import writing
from st_keras.config import Config, RuntimeConfig, SelfTrainingConfig
from st_keras.experiments import ledger, multiply_adds
from st_keras.experiments.ledger import Cost, Ledger
from st_keras.runtime import hosts as hosts_lib
from st_keras.runtime import preflight
from st_keras.runtime.preflight import CONFIG_FILE
from st_keras.runtime.restored import restore_run
from st_keras.runtime.run_log import read_json, write_json
from st_keras.self_training import calibration, labeling
from st_keras.self_training.shards import MANIFEST_FILE
from st_keras.training import evaluate
from st_keras.training.loop import SUMMARY_FILE, train

Pictures = tuple[str, str]  # Glob of records and file of ids; empty: all of them.


def _one_process_at_a_time(make):
    """Wraps a method that makes the stage named by its first argument."""

    @functools.wraps(make)
    def wrapped(self, name, *args, **kwargs):
        with self._alone(name):
            return make(self, name, *args, **kwargs)

    return wrapped


class Stages:
    """The folders of an experiment, and what each stage has cost.

    A stage that is finished is not run again; one that was killed resumes. The hosts of
    a job go through the stages together, and the chief writes. Other processes on the
    same machine may use the same folder: one makes a stage, the others wait for it.
    """

    def __init__(self, workdir: str, runtime: RuntimeConfig):
        self._runtime = runtime
        self._hosts = hosts_lib.join(runtime.strategy)
        self._workdir = pathlib.Path(workdir)
        self._workdir.mkdir(parents=True, exist_ok=True)
        self._ledger = Ledger(workdir)

    def path(self, name: str) -> str:
        return str(self._workdir / name)

    def thresholds_file(self, name: str) -> str:
        return self.path(f"{name}.json")

    @_one_process_at_a_time
    def train(self, name: str, config: Config) -> None:
        tf.keras.backend.clear_session()
        summary = train(config, self.path(name), title=name.replace("_", " ").title())
        # Earlier versions did not write it.
        seconds = summary.get("device_seconds", summary["seconds"] * summary["devices"])
        if self._is_to_note(name, seconds):
            forward, beside = self.forward_multiply_adds(name), self._beside(name)
            cost = ledger.training(config, forward, beside)
            self._ledger.note(name, cost + Cost(device_seconds=seconds))

    def is_trained(self, name: str) -> bool:
        return (self._workdir / name / SUMMARY_FILE).exists()

    def summary(self, name: str) -> dict:
        """Returns the summary that a training run wrote at its end."""
        return read_json(self._workdir / name / SUMMARY_FILE)

    @_one_process_at_a_time
    def label(
        self, name: str, model: str, settings: SelfTrainingConfig, pictures: Pictures
    ) -> str:
        """Lets the model of a stage label pictures and returns the folder."""
        records, ids_file = pictures
        output = self.path(name)
        labeling.label_pictures(
            self.path(model),
            output,
            records=records,
            ids_file=ids_file,
            score_floor=settings.score_floor,
            strategy=self._runtime.strategy,
            tpu=self._runtime.tpu,
        )
        manifest = read_json(pathlib.Path(output, MANIFEST_FILE))
        seconds = manifest["device_seconds"]
        if self._is_to_note(name, seconds):
            cost = ledger.inference(
                manifest["views"], self.forward_multiply_adds(model)
            )
            self._ledger.note(name, cost + Cost(device_seconds=seconds))
        return output

    @_one_process_at_a_time
    def calibrate(self, name: str, labels: str, model: str, config: Config) -> str:
        """Chooses thresholds from the labels of held-out pictures.

        Args:
          name: Of the stage.
          labels: Stage in which a model has labelled them.
          model: Stage of that model.
          config: The student's; its human records have the truth.

        Returns:
          The file of the thresholds.
        """
        output = self.thresholds_file(name)
        settings, started = config.self_training.calibration, time.time()
        choice = {
            "target": settings.target,
            "min_support": settings.min_support,
            "fallback": config.pseudo.min_score,
        }
        # A kill may have come before the cost was noted; the same file comes again.
        is_noted = name in self.costs()
        is_there = is_noted and calibration.is_of(output, self.path(labels), choice)
        if self._hosts.is_chief and not is_there:
            calibration.calibrate(
                self.path(labels),
                config.human.records,
                output=output,
                teacher=self.path(model),
                **choice,
            )
            cost = Cost(device_seconds=time.time() - started)
            self._ledger.note(name, cost)
        self._hosts.meet(f"{name} is calibrated")
        return output

    @_one_process_at_a_time
    def evaluate(
        self, name: str, records: str, ids_file: str, file_name: str = "test.json"
    ) -> dict:
        """Evaluates once; a resumed run does not look at the test set again.

        Args:
          name: Of the stage.
          records: To evaluate on.
          ids_file: Ids of these; empty: all.
          file_name: In the stage's folder; a different one for each test set.

        Raises:
          ValueError: The records or ids differ from those it was evaluated on.
        """
        path = self._workdir / name / file_name
        data = preflight.Data(sets={"test": (records, ids_file)})
        content = preflight.data_digests(data).get("test", {})
        if not path.exists():
            tf.keras.backend.clear_session()
            started = time.time()
            run = restore_run(
                self.path(name),
                strategy=self._runtime.strategy,
                tpu=self._runtime.tpu,
                deterministic=True,
            )
            result = evaluate.evaluate_run(
                run, records, ids_file, progress=f"Evaluate {name}"
            )
            if self._hosts.is_chief:
                # All models are evaluated alike: no part of the costs compared.
                spread = run.model.distribute_strategy.num_replicas_in_sync
                cost = Cost(device_seconds=spread * (time.time() - started))
                # First the cost: after a kill between the two, it is noted again.
                self._ledger.note(f"evaluate_{name}", cost)
                write_json(path, result | content)
            self._hosts.meet(f"{name} is evaluated")
        result = read_json(path)
        # Earlier versions did not write all of it.
        there = content | {name: result.get(name, content[name]) for name in content}
        preflight.check_same_data(str(path), {"test": there}, data)
        return result

    def _alone(self, name: str) -> contextlib.AbstractContextManager:
        if self._hosts.count > 1:  # They make it together.
            return contextlib.nullcontext()
        return writing.alone(self._workdir / f".{name}.lock")

    def costs(self) -> dict[str, Cost]:
        """Returns what the stages have cost so far, by name."""
        return self._ledger.rows()

    def _is_to_note(self, name: str, device_seconds: float) -> bool:
        """Whether a stage's cost is unknown, or that of a run deleted since."""
        row = self.costs().get(name, Cost())
        return self._hosts.is_chief and row.device_seconds != round(device_seconds, 1)

    def total(self, names: list[str]) -> Cost:
        """Returns what some stages have cost together."""
        costs = self.costs()
        return sum((costs[name] for name in names if name in costs), Cost())

    def forward_multiply_adds(self, name: str) -> int:
        """Returns the multiply-adds of a stage's model for one image."""
        return multiply_adds.of_config(self._config(name))

    def _beside(self, name: str) -> int:
        return multiply_adds.of_joint(self._config(name))

    def _config(self, name: str) -> Config:
        return config_lib.load(str(self._workdir / name / CONFIG_FILE))
