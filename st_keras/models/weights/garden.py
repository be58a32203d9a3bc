"""Where tf-models-official keeps the weights of layers like ours."""

import re
from collections.abc import Callable, Iterator, Sequence, Set

import tensorflow as tf

from st_keras.models.backbones.resnet import DEPTHS, LEVELS
from st_keras.models.backbones.spinenet import BLOCKS, STEM_BLOCKS
from st_keras.models.weights.scopes import numbers

Place = tuple[str, ...]  # Names of objects, from the part to the layer.
Places = Iterator[tuple[str, Place]]

_SIDE_PX = 128  # Enough to see the order of layers.
_UNITS = {"shortcut": 0, "a": 1, "b": 2, "c": 3}  # Their numbers inside of a block.


def places(part: str, layers: Set[str]) -> Places:
    """Yields the place of each of our layers; none if theirs has no such part.

    Args:
      part: "backbone", "neck" or "head".
      layers: Names of the layers that have weights.
    """
    if part == "backbone" and "level5_0_a_conv" in layers:
        return _resnet(layers)
    if part == "backbone" and "endpoint7_conv" in layers and "stem1_0_a_conv" in layers:
        return _spinenet(layers)
    if part == "neck" and numbers(r"lateral_(\d+)", layers):
        return _fpn(layers)
    if part == "neck" and "pooled_conv" in layers:
        return _aspp(layers)
    if part == "head" and "class_predict_conv" in layers:
        return _box_head(layers)
    if part == "head" and "low_conv" in layers:
        return _deeplab_head(layers)
    if part == "head" and layers == {"predict"}:
        return iter([("predict", _layer(1))])
    return iter(())


def _resnet(layers: Set[str]) -> Places:
    yield "stem_conv", _layer(0)
    yield "stem_norm", _layer(1)
    blocks = next(
        depth.repeats for depth in DEPTHS.values() if _has(layers, depth.repeats)
    )
    names = (
        f"level{level}_{number}"
        for level, repeats in zip(LEVELS, blocks, strict=True)
        for number in range(repeats)
    )
    for number, name in enumerate(names, start=2):
        yield from _block(name, layers, _layer(number))


def _has(layers: Set[str], repeats: Sequence[int]) -> bool:
    return all(
        f"level{level}_{count - 1}_a_conv" in layers
        and f"level{level}_{count}_a_conv" not in layers
        for level, count in zip(LEVELS, repeats, strict=True)
    )


def _block(name: str, layers: Set[str], place: Place) -> Places:
    for unit, number in _UNITS.items():
        if f"{name}_{unit}_conv" in layers:
            conv = f"_conv{number}" if number else "_shortcut"
            yield f"{name}_{unit}_conv", (*place, conv)
            yield f"{name}_{unit}_norm", (*place, f"_norm{number}")


def _spinenet(layers: Set[str]) -> Places:
    from official.vision.modeling.backbones import spinenet

    repeats = 1 + max(numbers(r"block2_(\d+)_a_conv", layers))
    # Small, as only the order matters; layers they never connect are not in `layers`.
    theirs = _sorted_layers(
        lambda: spinenet.SpineNet(
            tf.keras.layers.InputSpec(shape=[None, _SIDE_PX, _SIDE_PX, 3]),
            endpoints_num_filters=8,
            block_repeats=repeats,
            filter_size_scale=1 / 16,
        )
    )
    units = ["stem"]
    groups = {"bottleneck": [], "residual": []}
    for index in range(STEM_BLOCKS):
        groups["bottleneck"] += [f"stem{index}_{r}" for r in range(repeats)]
    levels = [2] * STEM_BLOCKS + [block.level for block in BLOCKS]
    for feature, block in enumerate(BLOCKS, start=STEM_BLOCKS):
        groups[block.kind] += [f"block{feature}_{r}" for r in range(repeats)]
        for side, parent in enumerate(block.parents):
            strides = ["stride"] if levels[parent] < block.level else []
            for unit in ("squeeze", *strides, "widen"):
                units.append(f"block{feature}_from{side}_{unit}")
    units += [f"endpoint{level}" for level in range(3, 8)]
    for kind, suffix in (("conv2d", "conv"), ("batch_normalization", "norm")):
        for unit, place in zip(units, _made(theirs, kind), strict=True):
            yield f"{unit}_{suffix}", place
    for kind, names in groups.items():
        for name, place in zip(names, _made(theirs, f"{kind}_block"), strict=True):
            yield from _block(name, layers, place)


def _fpn(layers: Set[str]) -> Places:
    from official.vision.modeling.decoders import fpn

    levels, lateral = numbers(r"norm_(\d+)", layers), numbers(r"lateral_(\d+)", layers)
    specs = {
        str(level): tf.TensorShape([None, _SIDE_PX >> level, _SIDE_PX >> level, 8])
        for level in lateral
    }
    theirs = _sorted_layers(
        lambda: fpn.FPN(specs, min(levels), max(levels), num_filters=8)
    )
    return ((name, _layer(number)) for number, name in enumerate(theirs))


def _box_head(layers: Set[str]) -> Places:
    levels = sorted(numbers(r"class0_level(\d+)_norm", layers))
    for ours, theirs, predictor in (
        ("class", "cls", "_classifier"),
        ("box", "box", "_box_regressor"),
    ):
        for number in numbers(rf"{ours}(\d+)_conv", layers):
            yield f"{ours}{number}_conv", (f"_{theirs}_convs", str(number))
            for at, level in enumerate(levels):
                norm = (f"_{theirs}_norms", str(at), str(number))
                yield f"{ours}{number}_level{level}_norm", norm
        yield f"{ours}_predict_conv", (predictor,)


def _aspp(layers: Set[str]) -> Places:
    rates = sorted(numbers(r"dilated(\d+)_conv", layers))
    branches = ["point", *(f"dilated{number}" for number in rates)]
    inner = {name: ("aspp_layers", str(n)) for n, name in enumerate(branches)}
    inner["pooled"] = ("aspp_layers", str(len(branches)), *_layer(0))
    inner["join"] = ("projection",)
    for name, place in inner.items():
        yield f"{name}_conv", ("aspp", *place, *_layer(0))
        yield f"{name}_norm", ("aspp", *place, *_layer(1))


def _deeplab_head(layers: Set[str]) -> Places:
    yield "low_conv", ("_dlv3p_conv",)
    yield "low_norm", ("_dlv3p_norm",)
    for number in numbers(r"decoder(\d+)_conv", layers):
        yield f"decoder{number}_conv", ("_convs", str(number))
        yield f"decoder{number}_norm", ("_norms", str(number))
    yield "predict_conv", ("_classifier",)


def _sorted_layers(build: Callable[[], tf.keras.Model]) -> list[str]:
    """Returns the names of a model's layers that have weights, as Keras sorts them."""
    # Not in a graph of its own, which would make Keras forget all other models.
    return [layer.name for layer in build().layers if layer.weights]


def _made(names: Sequence[str], kind: str) -> list[Place]:
    """Returns the places of the layers of a kind, in the order they were made."""
    found = {}
    for place, name in enumerate(names):
        if match := re.fullmatch(rf"{kind}(?:_(\d+))?", name):
            found[int(match[1] or 0)] = _layer(place)
    return [found[number] for number in sorted(found)]


def _layer(number: int) -> Place:
    return (f"layer_with_weights-{number}",)
