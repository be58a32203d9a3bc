"""Names of the variables of the feature pyramid in the authors' checkpoints."""

from st_keras.models.authors.numbering import NamePairs


def fpn_names(
    min_level: int = 3, max_level: int = 7, last: int = 5, scope: str = "fpn"
) -> NamePairs:
    """Pairs each layer of `necks.fpn` with the authors' scope for it.

    Args:
      min_level: Finest level.
      max_level: Coarsest level.
      last: Coarsest level that comes from the backbone.
      scope: Prefix of the authors' names.
    """
    for level in range(min_level, max_level + 1):
        if level <= last:
            yield f"lateral_{level}", f"{scope}/l{level}"
            yield f"post_hoc_{level}", f"{scope}/post_hoc_d{level}"
        else:
            yield f"coarser_{level}", f"{scope}/p{level}"
        yield f"norm_{level}", f"{scope}/p{level}-bn"
