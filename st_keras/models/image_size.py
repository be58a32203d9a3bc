"""Which image sizes a model can take."""


def check_divides(
    image_size_px: tuple[int, int], stride: int, why: str = "the coarsest level"
) -> None:
    """Refuses sizes whose levels would not fit onto each other.

    Args:
      image_size_px: Height and width.
      stride: That must divide both.
      why: What has this stride, for the message.

    Raises:
      ValueError: A side is unknown or no multiple of the stride.
    """
    height, width = image_size_px
    if not height or not width or height % stride or width % stride:
        raise ValueError(
            f"`image_size_px` must be multiples of {stride} ({why}), got "
            f"{height} x {width}."
        )
