"""Optimizers and learning rates, as tf-models-official builds them."""

import tensorflow as tf

from st_keras.config import OptimizationConfig

_KERNEL = "kernel"  # Of convolutions, depthwise and pointwise; no bias, no BatchNorm.


def build_optimizer(
    config: OptimizationConfig, total_steps: int
) -> tf.keras.optimizers.legacy.Optimizer:
    """Returns the optimizer with its learning-rate schedule inside.

    It expects gradients already summed over the replicas, decayed and clipped, and does
    none of this itself, except AdamW's own decay.

    Args:
      config: The settings.
      total_steps: Where a cosine or a polynomial ends.
    """
    from official.modeling import optimization

    factory = optimization.OptimizerFactory(
        optimization.OptimizationConfig(
            {
                "optimizer": _optimizer(config),
                "learning_rate": _learning_rate(config, total_steps),
                "warmup": _warmup(config),
            }
        )
    )
    return factory.build_optimizer(factory.build_learning_rate())


def is_kernel(variable: tf.Variable) -> bool:
    """Whether weight decay applies to the variable."""
    return _KERNEL in variable.name.split("/")[-1]


def create_slots(optimizer, variables: list[tf.Variable]) -> None:
    """Makes the optimizer's variables now, so that a checkpoint can be checked."""
    optimizer._create_all_weights(variables)


def current_learning_rate(optimizer) -> tf.Tensor:
    """Returns the [] float32 learning rate of the coming step."""
    rate = optimizer.learning_rate
    return tf.cast(rate(optimizer.iterations) if callable(rate) else rate, tf.float32)


def _optimizer(config: OptimizationConfig) -> dict:
    if config.optimizer == "sgd":
        return {"type": "sgd", "sgd": {"momentum": config.momentum}}
    return {
        "type": "adamw",
        "adamw": {
            "beta_2": config.beta_2,
            "weight_decay_rate": config.weight_decay,
            # A variable's copy on another device is named `kernel/replica_1:0`.
            "include_in_weight_decay": [rf"{_KERNEL}(:|/replica_\d+:|$)"],
            "exclude_from_weight_decay": [".*"],
            "gradient_clip_norm": 0.0,
        },
    }


def _learning_rate(config: OptimizationConfig, total_steps: int) -> dict:
    rate = config.learning_rate
    if config.schedule in ("cosine", "polynomial"):
        # As in the paper's code, both start at the end of the warm-up.
        falling = {
            "initial_learning_rate": rate,
            "decay_steps": max(total_steps - config.warmup_steps, 1),
            "offset": config.warmup_steps,
        }
        if config.schedule == "polynomial":
            falling |= {"end_learning_rate": 0.0, "power": config.power}
        return {"type": config.schedule, config.schedule: falling}
    if config.schedule == "step":
        count = len(config.step_boundaries)
        steps = {
            "boundaries": list(config.step_boundaries),
            "values": [rate * config.step_factor**i for i in range(count + 1)],
        }
        return {"type": "stepwise", "stepwise": steps}
    return {"type": "constant", "constant": {"learning_rate": rate}}


def _warmup(config: OptimizationConfig) -> dict:
    if not config.warmup_steps:
        return {"type": None}
    linear = {
        "warmup_steps": config.warmup_steps,
        "warmup_learning_rate": config.warmup_learning_rate,
    }
    return {"type": "linear", "linear": linear}
