"""Names of the variables of NAS-FPN in the authors' checkpoints."""

from st_keras.models.authors.numbering import NamePairs
from st_keras.models.necks.nas_fpn import INPUTS, NODES


def nas_fpn_names(
    repeats: int = 7, *, separable: bool = True, narrowed: tuple[int, ...] = (3, 4, 5)
) -> NamePairs:
    """Pairs each layer of `necks.nas_fpn` with the authors' scope for it.

    Args:
      repeats: Cells.
      separable: Whether convolutions are depthwise-separable.
      narrowed: Levels projected to the pyramid's number of channels.
    """
    kind = "separable_conv2d" if separable else "conv2d"
    for level in narrowed:
        yield f"level{level}_conv", f"resample_l{level}/{kind}"
        yield f"level{level}_norm", f"resample_l{level}/bn"
    for cell in range(repeats):
        for index in range(len(NODES)):
            feature = index + INPUTS
            ours = f"cell{cell}_node{feature}"
            theirs = f"fpn_cells/cell_{cell}/sub_policy{index}"
            theirs += f"/op_after_combine{feature}"
            yield f"{ours}_conv", f"{theirs}/conv"
            yield f"{ours}_norm", f"{theirs}/bn"
