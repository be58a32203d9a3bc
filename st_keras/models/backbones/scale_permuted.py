"""The walk over the blocks of a SpineNet, independent of what is in a block."""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

layers = tf.keras.layers


@dataclasses.dataclass(frozen=True)
class Block:
    """Makes the next feature from two features made before it."""

    level: int  # A cell is `2**level` pixels wide.
    kind: str
    parents: tuple[int, int]  # Numbers of features, counted from 0 in the stem.
    is_output: bool = False


def walk(
    blocks: Sequence[Block],
    stem: list[tf.Tensor],
    *,
    resample: Callable[[tf.Tensor, int, Block, str], tf.Tensor],
    transform: Callable[[tf.Tensor, Block, float, str], tf.Tensor],
    activation: str,
) -> dict[int, tf.Tensor]:
    """Applies the blocks in order and returns the outputs by level.

    Args:
      blocks: In order; block i makes feature `len(stem) + i`.
      stem: The first features.
      resample: Called with (feature, its number, block, name); brings a parent to the
        level and channels of a block.
      transform: Called with (sum of parents, block, depth in (0, 1], name); applies
        the block.
      activation: Applied to the sum of the parents.
    """
    features = list(stem)
    uses = [0] * len(stem)
    outputs = {}
    for index, block in enumerate(blocks):
        name = f"block{index + len(stem)}"
        joined = []
        for side, parent in enumerate(block.parents):
            joined.append(
                resample(features[parent], parent, block, f"{name}_from{side}")
            )
            uses[parent] += 1
        if block.is_output:
            # A feature that nothing has used is added to the first output it fits.
            for number, feature in enumerate(features):
                if not uses[number] and feature.shape == joined[0].shape:
                    joined.append(feature)
                    uses[number] += 1
        x = layers.Add(name=f"{name}_join")(joined)
        x = layers.Activation(activation, name=f"{name}_join_act")(x)
        x = transform(x, block, (index + 1) / len(blocks), name)
        features.append(x)
        uses.append(0)
        if block.is_output:
            outputs[block.level] = x
    return outputs
