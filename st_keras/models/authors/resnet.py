"""Names of the variables of ResNet in the authors' checkpoints."""

from st_keras.models.authors.numbering import NamePairs, number_units
from st_keras.models.backbones.resnet import DEPTHS, LEVELS


def resnet_names(depth: int, scope: str | None = None) -> NamePairs:
    """Pairs each layer of `backbones.resnet` with the authors' scope for it.

    Args:
      depth: 18, 34, 50, 101, 152 or 200.
      scope: Prefix of the authors' names; None: `resnet50`, as in their detectors.
        SimCLR's checkpoints use the same numbers under `base_model`.
    """
    parts = "abc" if DEPTHS[depth].kind == "bottleneck" else "ab"
    units = ["stem"]
    for level, repeats in zip(LEVELS, DEPTHS[depth].repeats, strict=True):
        for number in range(repeats):
            block = f"level{level}_{number}"
            # A projected shortcut is created before the branch it bypasses.
            if number == 0:
                units.append(f"{block}_shortcut")
            units += [f"{block}_{part}" for part in parts]
    yield from number_units(units, f"resnet{depth}" if scope is None else scope)
