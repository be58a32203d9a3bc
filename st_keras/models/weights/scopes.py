"""Finds the authors' names of a model's layers, by the layers that it has.

A part is recognised by its set of layers: a ResNet-50 has exactly the layers that
`resnet_names(50)` knows. Width and classes show in shapes.
"""

import collections
import re
from collections.abc import Iterable, Iterator, Mapping

import tensorflow as tf

from st_keras.models.authors.box_head import box_head_names
from st_keras.models.authors.efficientnet import (
    efficientnet_head_names,
    efficientnet_names,
)
from st_keras.models.authors.fpn import fpn_names
from st_keras.models.authors.nas_fpn import nas_fpn_names
from st_keras.models.authors.numbering import NamePairs
from st_keras.models.authors.resnet import resnet_names
from st_keras.models.authors.segmentation import segmentation_head_names
from st_keras.models.authors.spinenet import spinenet_names
from st_keras.models.backbones.efficientnet import SCALINGS as EFFICIENTNETS
from st_keras.models.backbones.resnet import DEPTHS
from st_keras.models.backbones.spinenet import SCALINGS as SPINENETS

Layers = Mapping[str, tf.keras.layers.Layer]
Pairs = dict[str, str]  # Our layer to the authors' scope.

# The ends of classifiers on ResNets and SpineNets.
_CLASSIFIER = {"predict": "dense"}
_CONTRASTIVE = "head_contrastive"  # SimCLR's head for training, no classifier.


def recognize(part: str, layers: Layers) -> Pairs | None:
    """Returns the authors' names of a part's layers, or None where they have none.

    Args:
      part: "backbone", "neck" or "head".
      layers: Those that have weights, by name.
    """
    families = {"backbone": _backbones, "neck": _necks, "head": _heads}
    for pairs in families.get(part, _none)(layers):
        found = dict(pairs)
        if set(found) == set(layers):
            return found
    return None


def find_scope(scopes: Iterable[str], names: Iterable[str]) -> str | None:
    """Returns the prefix that the scopes have in the names of a file.

    The authors' `spinenet/conv2d` may be `model/spinenet/conv2d` in a file, or
    `base_model/conv2d`: the prefix with which most of the scopes are found wins.

    Args:
      scopes: Without their common part, if any.
      names: Of the weights in the file.

    Returns:
      Empty or with a trailing slash; None if no scope is found.

    Raises:
      ValueError: Two prefixes have all of them.
    """
    wanted, found = set(scopes), collections.Counter()
    for owner in sorted({name.rpartition("/")[0] for name in names}):
        pieces = owner.split("/")
        if _CONTRASTIVE in pieces:
            continue
        for start in range(len(pieces)):
            if "/".join(pieces[start:]) in wanted:
                found["/".join([*pieces[:start], ""])] += 1
    if not found:
        return None
    most = max(found.values())
    best = [prefix for prefix, count in found.items() if count == most]
    if len(best) > 1 and most == len(wanted):
        raise ValueError(
            f"The file must hold the weights once, got them under {' and '.join(best)}."
        )
    return min(best, key=lambda prefix: (len(prefix), prefix))


def strip_root(pairs: Pairs) -> tuple[Pairs, str]:
    """Strips the first part of the authors' names if all share it."""
    roots = {scope.split("/")[0] for scope in pairs.values()}
    if len(roots) != 1 or any("/" not in scope for scope in pairs.values()):
        return pairs, ""
    return {ours: scope.split("/", 1)[1] for ours, scope in pairs.items()}, roots.pop()


def numbers(pattern: str, layers: Iterable[str]) -> list[int]:
    """Returns the numbers in the names that a pattern with one group fits."""
    found = (re.fullmatch(pattern, layer) for layer in layers)
    return [int(match[1]) for match in found if match]


def _backbones(layers: Layers) -> Iterator[NamePairs]:
    yield from (resnet_names(depth) for depth in DEPTHS)
    yield from (spinenet_names(size) for size in SPINENETS)
    yield from (efficientnet_names(size) for size in EFFICIENTNETS)


def _necks(layers: Layers) -> Iterator[NamePairs]:
    levels, lateral = numbers(r"norm_(\d+)", layers), numbers(r"lateral_(\d+)", layers)
    if levels and lateral:
        yield fpn_names(min(levels), max(levels), max(lateral))
    cells = numbers(r"cell(\d+)_node5_conv", layers)
    if cells:
        first = layers[f"cell{cells[0]}_node5_conv"]
        yield nas_fpn_names(
            len(cells),
            separable=isinstance(first, tf.keras.layers.SeparableConv2D),
            narrowed=tuple(numbers(r"level(\d+)_conv", layers)),
        )


def _heads(layers: Layers) -> Iterator[NamePairs]:
    levels = numbers(r"class0_level(\d+)_norm", layers)
    if levels:
        convs = len(numbers(r"class(\d+)_conv", layers))
        yield box_head_names(convs, min(levels), max(levels))
    yield segmentation_head_names(len(numbers(r"unit(\d+)_conv", layers)))
    yield efficientnet_head_names("b0")  # Its size shows nowhere but in its scope.
    yield iter(_CLASSIFIER.items())


def _none(layers: Layers) -> Iterator[NamePairs]:
    return iter(())
