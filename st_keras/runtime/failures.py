"""What stops a run, told so that the next step is clear."""

import math


class NonFiniteError(ArithmeticError):
    """A loss or a gradient is no longer a number."""


def check_finite(
    values: dict[str, float], *, step: int, image_ids, checkpoint: str
) -> None:
    """Raises if a value is not finite.

    Args:
      values: Named numbers of one step, in the order they are computed.
      step: The number of the step, from 0.
      image_ids: Called for the ids of the step's images by part.
      checkpoint: The last one saved.

    Raises:
      NonFiniteError: Names the first such value, the step, the learning rate, the
        images and the checkpoint.
    """
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    if not bad:
        return
    images = "; ".join(f"{part}: {', '.join(i)}" for part, i in image_ids().items())
    raise NonFiniteError(
        f"`{bad[0]}` is {values[bad[0]]} at step {step:_} (learning rate "
        f"{values['learning_rate']:.3g}). Images of the step: {images}. Last "
        f"checkpoint: {checkpoint}. Look for boxes without area in these images, lower "
        "`optimization.learning_rate`, or set `optimization.clip_norm`."
    )
