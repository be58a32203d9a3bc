"""What the stages of an experiment cost, before they run and after."""

import dataclasses
import math
import os
import pathlib

from st_keras import writing
from st_keras.config import Config
from st_keras.runtime.run_log import read_json, write_json

LEDGER_FILE = "ledger.json"

# A step computes outputs, gradients of activations and gradients of weights, each with
# about as many multiply-adds as the first. The optimizer's work is left out.
_PASSES_OF_A_STEP = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
    """What one stage or several together take."""

    images: int = 0  # Shown to a network, counted as often as they were shown.
    steps: int = 0  # Of an optimizer.
    multiply_adds: int = 0
    device_seconds: float = 0.0  # Summed over the devices that were busy.

    def __add__(self, other: "Cost") -> "Cost":
        mine, others = dataclasses.astuple(self), dataclasses.astuple(other)
        names = [field.name for field in dataclasses.fields(self)]
        sums = [a + b for a, b in zip(mine, others, strict=True)]
        return Cost(**dict(zip(names, sums, strict=True)))


def training(config: Config, forward: int, joint_forward: int = 0) -> Cost:
    """Returns the cost of a run of a config, without its time.

    Args:
      config: Of the run.
      forward: Multiply-adds of the model for one image.
      joint_forward: Of the classifier of joint training, for one image of its size.
    """
    learned, seen = config.human.images_per_step, 0
    joint, joint_seen = config.joint.images_per_step if config.joint else 0, 0
    if config.pseudo:
        learned += config.pseudo.images_per_step
        # An online teacher looks at them too.
        seen = config.pseudo.images_per_step if config.pseudo.online else 0
        # With slices, an extra pass finds the losses before the one that is learned
        # from.
        if config.training.accumulation_steps > 1:
            seen += learned
            joint_seen = joint
    # Rematerialisation runs the backbone, nearly all of a model, once more.
    passes = _PASSES_OF_A_STEP + config.training.rematerialize
    of_model = (passes * learned + seen) * forward
    of_classifier = (passes * joint + joint_seen) * joint_forward
    return Cost(
        images=(learned + seen + joint + joint_seen) * config.training.steps,
        steps=config.training.steps,
        multiply_adds=(of_model + of_classifier) * config.training.steps,
    )


def inference(views: int, forward: int) -> Cost:
    """Returns the cost of inference, without its time.

    Args:
      views: Pictures, each counted as often as the model looks at it.
      forward: Multiply-adds of the model for one view.
    """
    return Cost(images=views, multiply_adds=forward * views)


def steps_worth(
    cost: Cost, config: Config, forward: int, joint_forward: int = 0
) -> int:
    """Returns how many steps of a config cost as much, rounded up.

    Args:
      cost: The cost to match, in multiply-adds.
      config: Of the run that is to cost as much.
      forward: Multiply-adds of its model for one image.
      joint_forward: As for `training`.
    """
    run = training(config, forward, joint_forward)
    return math.ceil(cost.multiply_adds * run.steps / run.multiply_adds)


class Ledger:
    """The costs of the stages of one experiment, in a file of its folder."""

    def __init__(self, workdir: str | os.PathLike):
        self._path = pathlib.Path(workdir, LEDGER_FILE)

    def note(self, stage: str, cost: Cost) -> None:
        """Records what a stage has cost, replacing an earlier entry of that stage."""
        with writing.alone(self._path.with_name(f".{LEDGER_FILE}.lock")):
            rows = self.rows() | {stage: cost}
            content = {name: dataclasses.asdict(row) for name, row in rows.items()}
            for row in content.values():
                row["device_seconds"] = round(row["device_seconds"], 1)
            write_json(self._path, content)

    def rows(self) -> dict[str, Cost]:
        """Returns the costs by stage, in the order they were first noted."""
        if not self._path.exists():
            return {}
        content = read_json(self._path)
        return {name: Cost(**row) for name, row in content.items()}
