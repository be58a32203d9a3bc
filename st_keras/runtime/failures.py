"""What stops a run, described so that it is clear what to do next."""

import math


class NonFiniteError(ArithmeticError):
    """A loss or a gradient is no longer a number."""


def not_finite(values: dict[str, float]) -> dict[str, float]:
    """Returns the named numbers that are not finite, in their given order."""
    return {name: value for name, value in values.items() if not math.isfinite(value)}


def describe(
    values: dict[str, float], *, step: int, image_ids: dict[str, list[str]]
) -> str:
    """Returns what is known at once of a step with a number that is not finite.

    Args:
      values: Named numbers of the step, in the order they are computed.
      step: The number of the step, from 0.
      image_ids: Ids of the step's images, by part.

    Returns:
      Two sentences: the first such number with the learning rate, and the images.
    """
    name, value = next(iter(not_finite(values).items()))
    images = "; ".join(f"{part}: {', '.join(ids)}" for part, ids in image_ids.items())
    return (
        f"`{name}` is {value} at step {step:_} (learning rate "
        f"{values['learning_rate']:.3g}). Images of the step: {images}."
    )
