"""Checks of a model's arguments, made before any layer is built."""

import tensorflow as tf

FLAVORS = ("authors", "tf_models", "keras")


def check_divides(
    image_size_px: tuple[int, int], stride: int, why: str = "the coarsest level"
) -> None:
    """Refuses sizes whose levels would not fit onto each other.

    Args:
      image_size_px: Height and width.
      stride: Must divide both.
      why: What has this stride, for the message.

    Raises:
      ValueError: A side is unknown or no multiple of the stride.
    """
    height, width = _sides(image_size_px)
    sides = (height, width)
    if not all(side and side > 0 and side % stride == 0 for side in sides):
        raise ValueError(
            f"`image_size_px` must be multiples of {stride} ({why}), got "
            f"{height} x {width}."
        )


def check_known(image_size_px: tuple[int, int]) -> None:
    """Refuses sizes that are not two numbers of pixels.

    Raises:
      ValueError: A side is unknown.
    """
    height, width = _sides(image_size_px)
    if not all(side and side > 0 for side in (height, width)):
        raise ValueError(f"`image_size_px` must be known, got {height} x {width}.")


def check_style(
    activation: str, drop_connect: float | None = None, flavor: str = "authors"
) -> None:
    """Refuses settings that no model accepts.

    Raises:
      ValueError: There is no such activation or flavor, or a share is out of range.
    """
    try:
        tf.keras.activations.get(activation)
    except ValueError:
        raise ValueError(
            f"`activation` must be one that Keras has, got {activation!r}."
        ) from None
    if drop_connect is not None and not 0.0 <= drop_connect < 1.0:
        raise ValueError(f"`drop_connect` must be in [0, 1), got {drop_connect}.")
    if flavor not in FLAVORS:
        raise ValueError(
            f"`flavor` must be one of {', '.join(FLAVORS)}, got {flavor!r}."
        )


def check_at_least(least: int, **counts: int) -> None:
    """Refuses counts that are too small.

    Raises:
      ValueError: A count is below `least`.
    """
    for name, count in counts.items():
        if count < least:
            raise ValueError(f"`{name}` must be {least} or more, got {count}.")


def _sides(image_size_px) -> tuple[int | None, int | None]:
    if not isinstance(image_size_px, tuple | list) or len(image_size_px) != 2:
        raise ValueError(
            f"`image_size_px` must be height and width, got {image_size_px!r}."
        )
    return tuple(image_size_px)
