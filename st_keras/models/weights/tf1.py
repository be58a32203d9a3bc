"""Plans for TF1 checkpoints: the authors', EfficientNet's and SimCLR's."""

from collections.abc import Mapping

import tensorflow as tf

from st_keras.models.weights import function
from st_keras.models.weights.addresses import part_layers, part_models
from st_keras.models.weights.plan import Pick, Plan, pick
from st_keras.models.weights.scopes import find_scope, recognize, strip_root
from st_keras.models.weights.source import Source

_AVERAGE = "ExponentialMovingAverage"
_SIMCLR = "base_model/"
_SIMCLR_EPSILON = 1e-5
_STATISTICS = ("/moving_mean", "/moving_variance")  # Of BatchNorm.
_COUNTERS = ("global_step", "beta1_power", "beta2_power")
_PADDING = (
    "networks of TF1 checkpoints pad and stride as the authors' do, this model does "
    "otherwise, so that the same weights would be another function; build it with "
    'flavor="authors"'
)


def plan_tf1(
    model: tf.keras.Model,
    wanted: Mapping[str, tuple[int, ...]],
    source: Source,
) -> Plan:
    """Plans by the authors' names, whatever prefix they have in the file.

    Args:
      model: To load into.
      wanted: Its addresses.
      source: The file.
    """
    plan = Plan("", explain=lambda name: _explain(name, source.shapes))
    # Some files have only the averages.
    names = {name.removesuffix(f"/{_AVERAGE}") for name in source.shapes}
    prefixes = {}
    for part, layers in part_layers(model).items():
        addresses = [name for name in wanted if name.startswith(f"{part}/")]
        pairs = recognize(part, layers)
        if pairs is None:
            reason = f"the authors' names for this {part} are not known"
            plan.lacking.update(dict.fromkeys(addresses, reason))
            continue
        scopes, root = strip_root(pairs)
        prefix = find_scope(scopes.values(), names)
        if prefix is None:
            where = root or next(iter(scopes.values())).split("/")[0]
            reason = f"no variable below `{where}/` or the like in the file"
            plan.lacking.update(dict.fromkeys(addresses, reason))
            continue
        prefixes[part] = prefix
        plan.claims[part] = _claims(scopes, prefix, root)
        for address in addresses:
            _, layer, leaf = address.split("/")
            name = f"{prefix}{scopes[layer]}/{leaf}"
            plan.picks[address] = _pick(name, source)
        _refuse_mixture(plan, addresses)
        if part == "backbone" and not _is_authors(part_models(model)[part]):
            plan.refusals[part] = _PADDING
    plan.origin = _origin(prefixes)
    plan.notes = [
        *_notes(plan, prefixes),
        f"not in the file, so they must be the model's: {function.summary(model)}",
    ]
    return plan


def _is_authors(backbone: tf.keras.Model) -> bool:
    """Whether a backbone is of the flavor `authors`, or of one that is all the same."""
    names = {layer.name for layer in backbone.layers}
    if not names & {"level2_0_a_conv", "stem0_0_a_conv"}:  # No ResNet, no SpineNet.
        return True
    return "stem_conv_pad" in names and "stem_pool_pad" not in names


def _refuse_mixture(plan: Plan, addresses: list[str]) -> None:
    """Counts weights without a moving average as missing where others have one.

    A mixture would be a model that nobody has measured. Only the statistics of
    BatchNorm, which are averages themselves, may lack one: all of them or none.
    """
    averaged = {
        name for name in addresses if plan.picks[name].names[0].endswith(_AVERAGE)
    }
    without = set(addresses) - averaged
    statistics = {name for name in addresses if name.endswith(_STATISTICS)}
    if not averaged or without == statistics:
        return
    for address in sorted(without):
        (name,) = plan.picks.pop(address).names
        plan.lacking[address] = (
            f"no moving average of `{name}` in the file, though {len(averaged)} of "
            f"{len(addresses)} have one"
        )


def _pick(name: str, source: Source) -> Pick:
    average = f"{name}/{_AVERAGE}"
    if average in source.shapes:
        return Pick((average,))
    return pick(name)


def _claims(scopes, prefix, root) -> tuple[str, ...]:
    if root and prefix:
        return (prefix,)
    return tuple(sorted({f"{prefix}{s.split('/')[0]}/" for s in scopes.values()}))


def _explain(name: str, shapes: Mapping[str, tuple[int, ...]]) -> str:
    owner, _, last = name.rpartition("/")
    if last in _COUNTERS:
        return "counter of steps"
    if last == _AVERAGE:
        return _explain(owner, {})  # As the weight that it is the average of.
    if f"{name}/{_AVERAGE}" in shapes:
        return "its moving average is used instead"
    if owner in shapes:
        return f"optimizer slot {last}"
    if name.startswith("head_contrastive/") or "/head_contrastive/" in name:
        return "head that SimCLR learns with"
    pieces = name.split("/")
    if "efficientnet" in name and "head" in pieces[:-1]:
        return "ImageNet classifier; the authors' detectors and segmenters skip it"
    if "dense" in pieces[:-1]:
        return "classifier"
    return ""


def _origin(prefixes: Mapping[str, str]) -> str:
    if prefixes.get("backbone", "").endswith(_SIMCLR):
        return "SimCLR checkpoint of TF1"
    scopes = ", ".join(
        f"{part} in `{name}`" if name else f"{part} without a scope"
        for part, name in prefixes.items()
    )
    return f"TF1 checkpoint with the authors' names ({scopes or 'none found'})"


def _notes(plan: Plan, prefixes: Mapping[str, str]) -> list[str]:
    notes = []
    names = [chosen.names[0] for chosen in plan.picks.values()]
    averages = sum(name.endswith(_AVERAGE) for name in names)
    if averages:
        notes.append(
            f"of {averages} of {len(names)} weights the moving average is taken "
            f"({_AVERAGE})"
        )
    if prefixes.get("backbone", "").endswith(_SIMCLR):
        notes.append(
            f"SimCLR learned with a BatchNorm epsilon of {_SIMCLR_EPSILON}; the "
            "model keeps its own, as the authors' detectors do"
        )
    return notes
