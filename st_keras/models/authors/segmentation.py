"""Names of the variables of the segmentation head in the authors' checkpoints."""

from st_keras.models.authors.numbering import NamePairs


def segmentation_head_names(convs: int = 3, scope: str = "segmentation") -> NamePairs:
    """Pairs each layer of `heads.segmentation` with the authors' scope for it.

    Args:
      convs: Convolutions before the predictor.
      scope: Prefix of the authors' names.
    """
    for number in range(convs):
        yield f"unit{number}_conv", f"{scope}/conv-{number}"
        yield f"unit{number}_norm", f"{scope}/conv-{number}-bn"
    yield "predict_conv", f"{scope}/conv2d"
