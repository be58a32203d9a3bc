"""Runs the doctor's checks in turn; a new check is a function in the list."""

import tensorflow as tf

from st_keras.config import Config
from st_keras.experiments.doctor import cost, labels, records, settings, trial
from st_keras.experiments.doctor.case import (
    PROBLEM,
    Case,
    Finding,
    from_error,
    problem,
    warning,
)

_GROWN = 2.0  # The loss of the last steps against that of the first.


def check_trial(case: Case) -> list[Finding]:
    """Takes real steps; skipped where they are known to be impossible."""
    config, opened = case.config, case.opened
    needed = {"human"}
    if config.pseudo and config.pseudo.records and not config.self_training:
        needed.add("pseudo")
    if config.joint:
        needed.add("joint")
    if not case.steps or case.task is None or not needed <= opened.keys():
        return []
    is_online = config.pseudo and config.pseudo.online  # There is no labelling stage.
    pictures = None
    if "unlabeled" in opened and not is_online:
        pictures = opened["unlabeled"].source
    try:
        case.trial = trial.try_steps(config, case.steps, pictures)
    except tf.errors.ResourceExhaustedError as error:
        return [
            problem(
                f"A step of {config.images_per_step} pictures does not fit "
                f"into the device's memory: {error.message.splitlines()[0]}.",
                "Lower `images_per_step` or `image_size_px`, or set "
                "`runtime.precision` to mixed_bfloat16.",
            )
        ]
    except (ValueError, OSError, ArithmeticError, tf.errors.OpError) as error:
        return [from_error(error, "See the message.", "The trial stopped")]
    first, last = case.trial.loss_first, case.trial.loss_last
    if last <= _GROWN * first:
        return []
    return [
        warning(
            f"The loss grew from {first:.3g} to {last:.3g} in {case.steps} steps.",
            "Lower `optimization.learning_rate` or its `warmup_learning_rate`, or set "
            "`optimization.clip_norm`.",
        )
    ]


CHECKS = (
    records.check_parts,
    records.check_files,
    records.check_classes,
    records.check_overlap,
    records.check_conversion,
    labels.check_labels,
    settings.check_schedule,
    settings.check_warmup,
    settings.check_batch,
    settings.check_learning_rate,
    settings.check_pseudo,
    settings.check_batch_norm,
    settings.check_precision,
    settings.check_image_size,
    records.check_refusals,  # After those whose findings it repeats.
    cost.check_memory,  # Before the trial takes some.
    check_trial,
    cost.check_disk,
)


def examine(
    config: Config, *, workdir: str = ".", steps: int = 20
) -> tuple[Case, list[Finding]]:
    """Runs every check and returns the case and the findings, problems first.

    Args:
      config: Of any run.
      workdir: Where it will write; need not exist.
      steps: Of real training; 0: none.

    Raises:
      ValueError: `steps` is 1 or negative.
    """
    if steps < 0 or steps == 1:
        raise ValueError(
            f"`steps` must be 0 or 2 and more, as the first is not timed, got {steps}."
        )
    case = Case(config=config, workdir=workdir, steps=steps)
    found: list[Finding] = []
    for check in CHECKS:
        try:
            new = check(case)
            said = "\n".join(finding.what for finding in found)
            found += [finding for finding in new if finding.what not in said]
        except Exception as error:  # A page with a gap is better than none.
            kind = type(error).__name__
            name = check.__name__.replace("_", " ")
            found.append(
                from_error(error, "Report it with this page.", f"{name}: {kind}")
            )
    return case, sorted(found, key=lambda finding: finding.kind != PROBLEM)
