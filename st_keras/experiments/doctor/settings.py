"""Checks of settings: values that are each allowed but make no sense together."""

import tensorflow as tf

from st_keras.config import Config
from st_keras.experiments.doctor.case import (
    Case,
    Finding,
    from_error,
    problem,
    warning,
)
from st_keras.experiments.roles import teacher_config
from st_keras.runtime import strategy as strategies
from st_keras.runtime import warnings_of_run
from st_keras.self_training.batches import check_replicas

# The authors', for 256 images: detectors have 0.28 to 0.32, segmenters 0.08, and
# classifiers 1.6 for 4096.
_SGD_RATES = {"detection": 0.32, "segmentation": 0.08}
_SGD_RATE = 0.1
_RATE_FACTOR = 4.0
_LONGEST_MEMORY = 1 / 3  # Of the loss means, as a share of the run.
_ENLARGED = 2.0
_MOST_LEFT = 0.05  # Of the first values of BatchNorm's averages.
_FEW_STEPS = 0.05  # Share of all steps that a warm-up usually takes.
_LAST_FALL = 0.97  # And after which the authors' rates of detectors fall last.


def check_schedule(case: Case) -> list[Finding]:
    """Warm-up, falls, checkpoints and evaluations must happen within the run."""
    training, found = case.config.training, []
    steps, warmup = training.steps, case.config.optimization.warmup_steps
    lengths = {"training.steps": steps}
    settings = case.config.self_training
    if settings and settings.teacher_steps:
        lengths["self_training.teacher_steps"] = settings.teacher_steps
    name, fewest = min(lengths.items(), key=lambda item: item[1])
    if warmup >= fewest:
        found.append(
            problem(
                f"`optimization.warmup_steps` is {warmup:,}, but `{name}` is "
                f"{fewest:,}: the learning rate is never reached.",
                f"Set the warm-up to about {max(1, round(_FEW_STEPS * fewest)):,}.",
            )
        )
    boundaries = case.config.optimization.step_boundaries
    if late := [step for step in boundaries if step >= steps]:
        scale = _LAST_FALL * steps / boundaries[-1]
        earlier = sorted({max(1, round(step * scale)) for step in boundaries})
        found.append(
            warning(
                f"`optimization.step_boundaries` has {late[0]:,}, but `training.steps` "
                f"is {steps:,}: the learning rate does not fall there.",
                f"Set it to {earlier}, or train for longer.",
            )
        )
    every = training.checkpoint_every_steps
    if every > steps:
        found.append(
            warning(
                f"`training.checkpoint_every_steps` is {every:,}, but "
                f"`training.steps` is {steps:,}: a run that is killed begins anew.",
                f"Set it to {max(1, steps // 5):,}.",
            )
        )
    every = case.config.evaluation.every_steps
    if every > steps:
        found.append(
            warning(
                f"`evaluation.every_steps` is {every:,}, but `training.steps` is "
                f"{steps:,}: there is one evaluation, at the end.",
                "Set it to 0, if that is meant, or to a fraction of the steps.",
            )
        )
    return found


def check_warmup(case: Case) -> list[Finding]:
    """A warm-up begins below the learning rate."""
    optimization = case.config.scaled_optimization
    first, rate = optimization.warmup_learning_rate, optimization.learning_rate
    if not optimization.warmup_steps or first <= rate:
        return []
    return [
        warning(
            f"`optimization.warmup_learning_rate` is {first:g}, above the "
            f"`learning_rate` of {rate:g}: the warm-up begins with steps that are too "
            "long.",
            "Set it to 0.0.",
        )
    ]


def check_batch(case: Case) -> list[Finding]:
    """A step can be shared and takes no picture twice; BatchNorm sees enough."""
    found, config = [], case.config
    per_step = {"human": config.human.images_per_step}
    together = [config.images_per_step]
    if config.pseudo:
        name = "unlabeled" if config.self_training else "pseudo"
        per_step[name] = config.pseudo.images_per_step
    if config.pseudo and config.self_training:
        of_teacher = teacher_config(config).human.images_per_step
        per_step["human"] = max(of_teacher, config.human.images_per_step)
        together.append(of_teacher)
    if config.joint:
        per_step["joint"] = config.joint.images_per_step
    for name, images in per_step.items():
        pictures = case.opened[name].source.count if name in case.opened else images
        if images > pictures:
            found.append(
                problem(
                    f"{name}: a step takes {images} pictures, but there are "
                    f"{pictures}; it would see some of them twice.",
                    f"Lower {_which_batch(config, name)}.",
                )
            )
    replicas = strategies.known_replicas(config.runtime)
    try:
        check_replicas(config, replicas)
    except ValueError as error:
        found.append(from_error(error, ""))
    # Joint training sends its pictures through the backbone in a batch of their own.
    beside = [config.joint.images_per_step] if config.joint else []
    text = warnings_of_run.batch_norm_warning(
        min([*together, *beside]),
        replicas,
        is_synchronized=config.runtime.sync_batch_norm,
        slices=config.training.accumulation_steps,
    )
    return found + ([_from_text(text)] if text else [])


def _which_batch(config: Config, name: str) -> str:
    """Returns the setting that makes a step of these pictures too large."""
    part = "pseudo" if name == "unlabeled" else name
    settings = config.self_training if config.pseudo else None
    if name != "human" or not settings:
        return f"`{part}.images_per_step`"
    if settings.teacher_images_per_step > config.human.images_per_step:
        return "`self_training.teacher_images_per_step`"
    if not settings.teacher_images_per_step:
        return (
            "`human.images_per_step` or `pseudo.images_per_step`, which the teacher "
            "takes together, or set `self_training.teacher_images_per_step`"
        )
    return "`human.images_per_step`"


def check_learning_rate(case: Case) -> list[Finding]:
    """SGD's learning rate must scale with the batch."""
    optimization = case.config.scaled_optimization
    if optimization.optimizer != "sgd":
        return []  # AdamW has no such rule.
    images = case.config.images_per_step
    rate = _SGD_RATES.get(case.config.task_name, _SGD_RATE)
    usual = rate * images / 256
    factor = optimization.learning_rate / usual
    if 1 / _RATE_FACTOR <= factor * (1 + 1e-6) and factor <= _RATE_FACTOR * (1 + 1e-6):
        return []
    return [
        warning(
            f"`optimization.learning_rate` is {optimization.learning_rate:g}, "
            f"{_times(factor)} what the authors' rule of {rate:g} per 256 images "
            f"gives for {images} images a step.",
            f"Try {usual:.2g}, or change the batch.",
        )
    ]


def check_pseudo(case: Case) -> list[Finding]:
    """The running means of the losses must forget the first steps within the run."""
    pseudo, steps = case.config.pseudo, case.config.training.steps
    if not pseudo or not pseudo.normalize:
        return []
    memory = 1.0 / (1.0 - pseudo.decay)
    if memory <= _LONGEST_MEMORY * steps:
        return []
    return [
        warning(
            f"`pseudo.decay` of {pseudo.decay:g} remembers the losses of {memory:,.0f} "
            f"steps, but `training.steps` is {steps:,}: the ratio of the losses is "
            "that of the beginning.",
            f"Set it to {max(0.5, 1.0 - 10.0 / steps):.4g}.",
        )
    ]


def check_batch_norm(case: Case) -> list[Finding]:
    """The averages of BatchNorm must forget their first values within the run."""
    config = case.config
    if config.init.kind == "teacher":
        return []  # They begin with what the teacher's have learned.
    steps = config.training.steps
    if config.self_training and config.self_training.teacher_steps:
        steps = min(steps, config.self_training.teacher_steps)
    updates = steps * config.training.accumulation_steps
    momentum = config.section.batch_norm_momentum
    left = momentum**updates
    if left <= _MOST_LEFT:
        return []
    return [
        warning(
            f"`{config.task_name}.batch_norm_momentum` is {momentum:g}: after "
            f"{updates:,} updates the averages of BatchNorm, by which a model is "
            f"judged and labels, still hold {left:.0%} of what they began with.",
            f"Set it to {max(0.5, 1.0 - 10.0 / updates):.3g}.",
        )
    ]


def check_precision(case: Case) -> list[Finding]:
    """Short floats are for devices that add up in long ones."""
    runtime = case.config.runtime
    on_cpu = runtime.strategy == "one_device" and not tf.config.list_physical_devices(
        "GPU"
    )
    if runtime.precision == "float32" or runtime.compiles_steps or not on_cpu:
        return []
    return [
        warning(
            f"`runtime.precision` is {runtime.precision} on a CPU, where TensorFlow "
            "adds up gradients of biases in bfloat16: of 65,536 ones it makes 256.",
            "Set it to float32, or set `runtime.jit_compile`.",
        )
    ]


def check_image_size(case: Case) -> list[Finding]:
    """The network's input must not be much larger than the pictures."""
    if "human" not in case.opened:
        return []
    info = case.opened["human"].info
    network = case.config.section.image_size_px
    picture = info.height_px["p50"], info.width_px["p50"]
    scale = min(n / max(p, 1.0) for n, p in zip(network, picture, strict=True))
    if scale <= _ENLARGED:
        return []
    return [
        warning(
            f"`{case.config.task_name}.image_size_px` is {network[0]} x {network[1]}, "
            f"but the median picture has {picture[0]:.0f} x {picture[1]:.0f} px: it is "
            f"enlarged {scale:.1f} times, which costs time and shows nothing new.",
            "Lower it, or convert the pictures without `--max_side_px`.",
        )
    ]


def _from_text(text: str) -> Finding:
    what, _, fix = text.partition(". ")
    return warning(f"{what}.", fix)


def _times(factor: float) -> str:
    return f"{factor:.2g} times" if factor > 1 else f"1/{1 / factor:.2g} of"
