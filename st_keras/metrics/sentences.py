"""Words that the measures of pseudo labels share."""


def of_pictures(images: int, judged: int) -> str:
    """Returns which pictures numbers are of, such as `200 pictures`.

    Args:
      images: All that were looked at.
      judged: Those of them whose truth is known; if any, the numbers are of these.
    """
    if judged in (0, images):
        return f"{images:,} pictures"
    return f"{judged:,} of {images:,} pictures, those whose truth is known,"
