"""Names of the variables of the box head in the authors' checkpoints."""

from st_keras.models.authors.numbering import NamePairs


def box_head_names(
    convs: int = 4,
    min_level: int = 3,
    max_level: int = 7,
    scope: str = "retinanet",
) -> NamePairs:
    """Pairs each layer of `heads.boxes` with the authors' scope for it.

    Args:
      convs: Convolutions per tower.
      min_level: Finest level.
      max_level: Coarsest level.
      scope: Prefix of the authors' names.
    """
    for tower in ("class", "box"):
        theirs = f"{scope}/{tower}_net/{tower}"
        for number in range(convs):
            yield f"{tower}{number}_conv", f"{theirs}-{number}"
            for level in range(min_level, max_level + 1):
                ours = f"{tower}{number}_level{level}_norm"
                yield ours, f"{theirs}-{number}-{level}"
        yield f"{tower}_predict_conv", f"{theirs}-predict"
