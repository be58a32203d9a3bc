"""Plans for TF2 checkpoints of tf-models-official.

Their weights have no names, only places: the object that holds them. The places follow
from the order in which Keras sorts the layers of their models.
"""

from collections.abc import Mapping, Set

import numpy as np
import tensorflow as tf

from st_keras.models.weights import garden
from st_keras.models.weights.addresses import part_layers, part_models
from st_keras.models.weights.bundle import Bundle, ObjectGraph
from st_keras.models.weights.plan import Pick, Plan

# What they call our parts, as an item of the checkpoint or as an attribute.
_PARTS = {
    "backbone": ("backbone", "_backbone"),
    "neck": ("decoder", "_decoder"),
    "head": ("head", "_head"),
}
_AVERAGE = "/.OPTIMIZER_SLOT/optimizer/average/"
_CLASSIFIER = "predict"  # Beside its backbone, and in no part.
_PREDICTORS = ("class_predict_conv", "box_predict_conv")
_BOX_BIAS, _BOX = "head/box_predict_conv/bias", 4
_RATIOS = 3  # Per scale. Theirs are 0.5, 1, 2; ours 1, 2, 0.5.
_OUR_RATIOS = (1, 2, 0)  # Places of ours among theirs.
_PADDING = (
    "tf-models-official pads strided convolutions as TensorFlow's `same` does, this "
    "model on both sides, so that the same weights would be another function; build "
    'it with flavor="tf_models"'
)
_UNSAID = (
    "such checkpoints do not say their activation and BatchNorm epsilon (mostly 1e-3); "
    "compare the model's"
)


def is_tf_models(graph: ObjectGraph) -> bool:
    """Tells from the names of its objects whether a file is of tf-models-official."""
    return _part(graph, "backbone") is not None or _part(graph, "neck") is not None


def plan_tf_models(
    model: tf.keras.Model,
    wanted: Mapping[str, tuple[int, ...]],
    source: Bundle,
) -> Plan:
    """Plans by the places of the same layers in their model.

    Args:
      model: To load into.
      wanted: Shape of each of its weights, by address.
      source: The file.
    """
    plan = Plan("TF2 checkpoint of tf-models-official", explain=_explain)
    plan.notes.append(_UNSAID)
    for part, layers in part_layers(model).items():
        addresses = [name for name in wanted if name.startswith(f"{part}/")]
        start = _start(source.graph, part, layers.keys())
        if start is None:
            reason = f"no object `{_PARTS.get(part, (part,))[0]}` in the file"
            plan.lacking.update(dict.fromkeys(addresses, reason))
            continue
        places = dict(garden.places(part, layers.keys()))
        for address in addresses:
            _, layer, leaf = address.split("/")
            if layer not in places:
                plan.lacking[address] = (
                    f"tf-models-official's names for this {part} are not known"
                )
                continue
            place = (*places[layer], leaf)
            key = source.graph.key(*place, start=start)
            if key is None:
                plan.lacking[address] = f"no object `{'/'.join(place)}` in its {part}"
                continue
            plan.picks[address] = _pick(key, address, wanted)
            if layer != _CLASSIFIER:
                plan.claims[part] = (key.split(place[0])[0],)
    if any(_AVERAGE in name for name in source.shapes):
        plan.notes.append(
            "the optimizer keeps a second set of weights, which is not used; the file "
            "does not say which of the two are the averages"
        )
    if _pads_both_sides(model):
        plan.refusals["backbone"] = _PADDING
    return plan


def _part(graph: ObjectGraph, part: str) -> int | None:
    for start in (graph.child("model"), 0):
        for name in _PARTS.get(part, (part,)):
            if start is not None:
                node = graph.child(name, start=start)
                if node is not None:
                    return node
    return None


def _start(graph: ObjectGraph, part: str, layers: Set[str]) -> int | None:
    """Returns the object that the places of a part are counted from."""
    if part == "head" and layers == {_CLASSIFIER}:
        return graph.child("model")
    return _part(graph, part)


def _pick(key: str, address: str, wanted: Mapping[str, tuple[int, ...]]) -> Pick:
    """Takes a weight, and puts its anchors in our order if it is a predictor's."""
    _, layer, leaf = address.split("/")
    if layer not in _PREDICTORS or leaf == "depthwise_kernel":
        return Pick((key,))
    shape = wanted[address]
    anchors = wanted[_BOX_BIAS][0] // _BOX
    if anchors % _RATIOS:
        raise ValueError(
            f"`model` must have {_RATIOS} aspect ratios, as tf-models-official, got "
            f"{anchors} anchors per cell."
        )

    def permute(value: np.ndarray) -> np.ndarray:
        by_ratio = value.reshape([*shape[:-1], anchors // _RATIOS, _RATIOS, -1])
        return by_ratio[..., _OUR_RATIOS, :].reshape(shape)

    return Pick((key,), permute, "anchors in our order")


def _pads_both_sides(model: tf.keras.Model) -> bool:
    backbone = part_models(model).get("backbone")
    kinds = [] if backbone is None else [type(layer) for layer in backbone.layers]
    return tf.keras.layers.ZeroPadding2D in kinds


def _explain(name: str) -> str:
    if "/.OPTIMIZER_SLOT/" in name:
        return "optimizer slot"
    if name.startswith(("optimizer", "save_counter", "global_step")):
        return "state of the training"
    return ""
