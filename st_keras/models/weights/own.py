"""Plans for what st_keras or Keras saved of the same model."""

import collections
import re
from collections.abc import Iterator

import tensorflow as tf

from st_keras.models.weights import function
from st_keras.models.weights.addresses import leaf
from st_keras.models.weights.bundle import Bundle
from st_keras.models.weights.hdf5 import Hdf5
from st_keras.models.weights.plan import Plan, pick

_NORM, _SHARED_NORM = "batch_normalization", "synchronized_batch_norm"
_ROOTS = ("averaged", "model")  # Averaged weights are the ones to use.


def plan_own(
    model: tf.keras.Model, source: Bundle | Hdf5, saved: tf.keras.Model | None = None
) -> Plan:
    """Plans by the places of the layers in the model that was saved.

    Refuses parts whose layers, by the file's record, compute something else.

    Args:
      model: To load into.
      source: The file.
      saved: The model that a checkpoint is of; None: one like `model`.
    """
    if not isinstance(source, Hdf5):
        plan = _by_object(saved or model, source)
    elif source.layers:
        plan = _by_layer_name(model)
    else:
        plan = _by_data_path(model, source)
    written, origin = function.of_source(source)
    if origin:
        plan.notes.append(f"imported earlier from: {origin}")
    plan.refusals = function.differences(function.of_model(model), written)
    return plan


def _by_object(model: tf.keras.Model, source: Bundle) -> Plan:
    """Follows the objects of a TF2 checkpoint."""
    graph = source.graph
    roots = [name for name in _ROOTS if graph.child(name) is not None]
    start = graph.child(*roots[:1])
    plan = Plan("TF2 checkpoint of this kind of model", explain=_explain)
    if len(roots) > 1:
        plan.explain = _explain_beside_averages
        plan.notes.append("the averaged weights of the run are used")
    for address, path, variable in _walk(model):
        key = graph.key(*path, leaf(variable.name), start=start)
        if key is None:
            plan.lacking[address] = (
                f"no object {'/'.join([*roots[:1], *path])} in the file"
            )
        else:
            plan.picks[address] = pick(key)
            plan.claims[address.split("/")[0]] = ("/".join([*roots[:1], path[0], ""]),)
    return plan


def _by_layer_name(model: tf.keras.Model) -> Plan:
    plan = Plan("weights of this kind of model (`.h5`)", explain=_explain)
    for address, _, variable in _walk(model):
        part, layer, _ = address.split("/")
        owner = f"{part}/" if model.name != part else f"{layer}/"
        plan.picks[address] = pick(owner + variable.name)
        plan.claims[part] = (owner,)
    return plan


def _by_data_path(model: tf.keras.Model, source: Hdf5) -> Plan:
    """Follows the paths that Keras makes of class names and their numbers."""
    # Whether replicas share statistics or not, the weights are the same.
    is_shared = any(f"/{_SHARED_NORM}" in name for name in source.shapes)
    kinds = dict.fromkeys((_NORM, _SHARED_NORM), _SHARED_NORM if is_shared else _NORM)
    plan = Plan("weights of this kind of model (Keras 2)", explain=_explain)
    paths = {}
    for outer, path in _numbered(model, kinds):
        paths.update(_data_names(outer, path))
        if isinstance(outer, tf.keras.Model):
            plan.claims[outer.name] = (f"{path}/",)
            for inner, rest in _numbered(outer, kinds):
                paths.update(_data_names(inner, f"{path}/{rest}"))
    for address, _, variable in _walk(model):
        plan.picks[address] = pick(paths[id(variable)])
    return plan


def _walk(
    model: tf.keras.Model,
) -> Iterator[tuple[str, tuple[str, ...], tf.Variable]]:
    """Yields (address, its layer's place among the objects, weight) of each weight."""
    for outer, place in _placed(model):
        if not isinstance(outer, tf.keras.Model):
            for variable in outer.weights:
                address = f"{model.name}/{outer.name}/{leaf(variable.name)}"
                yield address, (place,), variable
            continue
        for inner, rest in _placed(outer):
            for variable in inner.weights:
                address = f"{outer.name}/{inner.name}/{leaf(variable.name)}"
                yield address, (place, rest), variable


def _placed(model: tf.keras.Model) -> Iterator[tuple[tf.keras.layers.Layer, str]]:
    weighted = [layer for layer in model.layers if layer.weights]
    for number, layer in enumerate(weighted):
        yield layer, f"layer_with_weights-{number}"


def _numbered(
    model: tf.keras.Model, file_kinds: dict[str, str]
) -> Iterator[tuple[tf.keras.layers.Layer, str]]:
    seen = collections.Counter()
    for layer in model.layers:
        kind = _snake_case(type(layer).__name__)
        kind = file_kinds.get(kind, kind)
        number = f"_{seen[kind]}" if seen[kind] else ""
        seen[kind] += 1
        yield layer, f"layers/{kind}{number}"


def _data_names(layer: tf.keras.layers.Layer, path: str) -> dict[int, str]:
    """Returns where Keras puts a layer's own weights, by the id of each."""
    if isinstance(layer, tf.keras.Model):
        return {}
    saved = [*layer.trainable_weights, *layer.non_trainable_weights]
    return {id(variable): f"{path}/vars/{i}" for i, variable in enumerate(saved)}


def _snake_case(name: str) -> str:
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _explain(name: str) -> str:
    if "/.OPTIMIZER_SLOT/" in name:
        return "optimizer slot"
    if name.startswith(("optimizer", "save_counter", "blend", "joint/")):
        return "state of the training"
    return ""


def _explain_beside_averages(name: str) -> str:
    if name.startswith("model/"):
        return _explain(name) or "the averaged weights are used instead"
    return _explain(name)
