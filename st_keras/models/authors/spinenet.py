"""Names of the variables of SpineNet in the authors' checkpoints."""

from st_keras.models.authors.numbering import NamePairs, number_units
from st_keras.models.backbones.spinenet import BLOCKS, SCALINGS, STEM_BLOCKS


def spinenet_names(model_id: str, scope: str = "spinenet") -> NamePairs:
    """Pairs each layer of `backbones.spinenet` with the authors' scope for it.

    Args:
      model_id: 49s, 49, 96, 143 or 190.
      scope: Prefix of the authors' names.
    """
    repeats = SCALINGS[model_id].repeats
    stem = ["stem"]
    for index in range(STEM_BLOCKS):
        # Only the very first block's input has a different number of channels.
        group = _group(f"stem{index}", "bottleneck", repeats)
        stem += ["stem0_0_shortcut", *group] if index == 0 else group
    yield from number_units(stem, scope)
    levels = [2] * STEM_BLOCKS + [block.level for block in BLOCKS]
    for index, block in enumerate(BLOCKS):
        feature = index + STEM_BLOCKS
        name, inner = f"block{feature}", f"{scope}/sub_policy{index}"
        for side, parent in enumerate(block.parents):
            units = ["squeeze", "widen"]
            if levels[parent] < block.level:
                units.insert(1, "stride")
            yield from number_units(
                [f"{name}_from{side}_{unit}" for unit in units],
                f"{inner}/resample_with_alpha_resample_{index}_{side}",
            )
        yield from number_units(
            _group(name, block.kind, repeats), f"{inner}/scale_permuted_block_{feature}"
        )
    outputs = sorted(block.level for block in BLOCKS if block.is_output)
    yield from number_units(
        [f"endpoint{level}" for level in outputs], scope, start=len(stem)
    )


def _group(name: str, kind: str, repeats: int) -> list[str]:
    units = "abc" if kind == "bottleneck" else "ab"
    return [f"{name}_{repeat}_{unit}" for repeat in range(repeats) for unit in units]
