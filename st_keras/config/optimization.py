"""Settings of the optimizer and its learning rate."""

import dataclasses

from st_keras.config.checks import (
    check,
    check_above_zero,
    check_choice,
    check_not_negative,
    settings,
)


@settings
class OptimizationConfig:
    """Optimizer and learning rate, built by tf-models-official."""

    optimizer: str = "sgd"  # sgd: momentum, L2 on kernels. adamw: decoupled decay.
    learning_rate: float = 0.08  # At the end of the warm-up.
    # Images per step, human and pseudo, that both learning rates are for; they scale in
    # proportion to the actual number. 0: they are used as given.
    base_images_per_step: int = 0
    schedule: str = "cosine"  # cosine or polynomial (to 0), step, or constant.
    power: float = 0.9  # Of `polynomial`: 1 is a straight line.
    step_boundaries: tuple[int, ...] = ()  # Of `step`: steps at which...
    step_factor: float = 0.1  # ...the learning rate is multiplied by this.
    warmup_steps: int = 500
    warmup_learning_rate: float = 0.0067  # At step 0; rises linearly.
    momentum: float = 0.9  # sgd
    beta_2: float = 0.999  # adamw
    weight_decay: float = 1e-4  # On kernels only: no bias, no BatchNorm.
    clip_norm: float = 0.0  # Of the gradient over all replicas; 0 does not clip.
    # Of the averaged weights that are evaluated; 0: none. After s steps it is at most
    # (1 + s) / (10 + s), so that 0.995 is reached after 1790 steps.
    ema_decay: float = 0.0

    def __post_init__(self):
        check_choice(self, "optimizer", ("sgd", "adamw"))
        check_choice(self, "schedule", ("cosine", "polynomial", "step", "constant"))
        check_above_zero(self, "learning_rate", "step_factor", "power")
        check_not_negative(
            self,
            "base_images_per_step",
            "warmup_steps",
            "warmup_learning_rate",
            "weight_decay",
            "clip_norm",
        )
        for name in ("momentum", "beta_2", "ema_decay"):
            value = getattr(self, name)
            check(name, value, 0.0 <= value < 1.0, "in [0, 1)")
        rising = all(
            a < b
            for a, b in zip(
                self.step_boundaries, self.step_boundaries[1:], strict=False
            )
        )
        check("step_boundaries", self.step_boundaries, rising, "rising steps")
        check(
            "step_boundaries",
            self.step_boundaries,
            bool(self.step_boundaries) == (self.schedule == "step"),
            "given with `schedule: step` and only there",
        )

    def for_images_per_step(self, images: int) -> "OptimizationConfig":
        """Returns the settings with learning rates scaled to so many images per step.

        Source: Goyal et al. 2017, arXiv:1706.02677, the linear scaling rule.
        """
        if not self.base_images_per_step:
            return self
        factor = images / self.base_images_per_step
        return dataclasses.replace(
            self,
            learning_rate=self.learning_rate * factor,
            warmup_learning_rate=self.warmup_learning_rate * factor,
            base_images_per_step=0,
        )
