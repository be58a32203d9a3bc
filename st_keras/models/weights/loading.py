"""Loads the weights of a file into a model: everything asked for, or nothing."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from st_keras.models.weights.addresses import named_weights
from st_keras.models.weights.formats import make_plan, open_source
from st_keras.models.weights.plan import Plan, extra, problems, unused
from st_keras.models.weights.report import IncompleteError, Report, count
from st_keras.models.weights.source import Source


def load_weights(
    model: tf.keras.Model,
    path: str,
    *,
    parts: Sequence[str] | None = None,
    format: str = "auto",
    saved: tf.keras.Model | None = None,
) -> Report:
    """Gives a model the weights of a published or earlier file.

    Nothing is changed until the file is known to be complete and to have every weight
    that was asked for, in its shape. A run's checkpoint does not record activation,
    epsilon or padding of its layers: `restore_run` builds the model that belongs to it.

    Args:
      model: One that `st_keras.models` builds. A part alone, as `build_backbone` makes
        it, cannot be loaded from a whole model's file of this package.
      path: A checkpoint (prefix, one of its files, or folder), a `.keras` file or an
        `.h5` file: of this package, of the authors in TF1, of tf-models-official, of
        `tf.keras.applications`, of EfficientNet or SimCLR in TF1.
      parts: Which parts to load, a list of "backbone", "neck", "head"; None: all.
      format: One of `FORMATS`; `auto`: found from the file.
      saved: The model that a checkpoint of this package was saved from, if known; None:
        one like `model`. A layer without weights that only one of them has, such as
        drop-connect, moves others to another place in the checkpoint.

    Returns:
      What was loaded and what was not used, with reasons.

    Raises:
      IncompleteError: A weight is missing or of another shape, or a loaded part is
        larger in the file; its `report` lists them.
      ValueError: There is no such file or part, `parts` is no list, or the file is
        damaged.
    """
    source = open_source(path)
    variables = named_weights(model)
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    parts = _parts(parts, shapes)
    plan = make_plan(model, shapes, source, format, saved)
    wanted = {name: shape for name, shape in shapes.items() if _part(name) in parts}
    report = _report(plan, source, wanted, shapes, parts)
    is_part = not any(isinstance(layer, tf.keras.Model) for layer in model.layers)
    _refuse(report, plan, source, model.name if is_part else "")
    values = {}
    for address in wanted:
        dtype = variables[address].dtype.as_numpy_dtype
        values[address] = np.asarray(plan.picks[address].value(source)).astype(dtype)
        if not np.isfinite(values[address]).all():
            raise ValueError(
                f"{source.path}: `{report.loaded[address]}` must be finite."
            )
    for address, value in values.items():
        variables[address].assign(value)
    return report


def _parts(parts: Sequence[str] | None, shapes: Mapping[str, tuple]) -> tuple[str, ...]:
    if isinstance(parts, str):
        raise ValueError(f"`parts` must be a list, as [{parts!r}], got {parts!r}.")
    there = tuple(dict.fromkeys(_part(address) for address in shapes))
    for part in parts or ():
        if part not in there:
            raise ValueError(
                f"`parts` must be of {', '.join(there)} in this model, got {part!r}."
            )
    return tuple(parts or there)


def _part(address: str) -> str:
    return address.split("/")[0]


def _report(
    plan: Plan,
    source: Source,
    wanted: Mapping[str, tuple[int, ...]],
    shapes: Mapping[str, tuple[int, ...]],
    parts: tuple[str, ...],
) -> Report:
    missing = problems(plan, source, wanted)
    loaded = {}
    for address in wanted:
        if address not in missing:
            chosen = plan.picks[address]
            how = f" ({chosen.how})" if chosen.how else ""
            loaded[address] = " and ".join(chosen.names) + how
    left = dict.fromkeys(_part(address) for address in shapes if address not in wanted)
    return Report(
        path=source.path,
        origin=plan.origin,
        parts=parts,
        loaded=loaded,
        missing=missing,
        unused=unused(plan, source, loaded),
        left=tuple(left),
        notes=tuple(plan.notes),
    )


def _refuse(report: Report, plan: Plan, source: Source, only_part: str) -> None:
    """Raises if the file lacks what was asked for, or has more of a loaded part.

    Args:
      report: Of what would be loaded.
      plan: How.
      source: The file.
      only_part: Name of the model if it is one part alone; else empty.
    """
    if report.missing:
        complete = [
            part
            for part in report.parts
            if not any(_part(address) == part for address in report.missing)
        ]
        hint = (
            f" Complete are: {', '.join(complete)}; `parts` can choose them."
            if complete
            else ""
        )
        if only_part and not report.loaded:
            hint = (
                f" The model is {only_part!r} alone. If the file is of a whole model, "
                f"load it into one, with `parts=[{only_part!r}]`, and take "
                f"`get_layer({only_part!r})` of that."
            )
        raise IncompleteError(
            f"{source.path} ({report.origin}): lacks {len(report.missing)} of "
            f"{len(report.missing) + len(report.loaded)} weights: "
            f"{count(report.missing)}.{hint}",
            report,
        )
    for part in report.parts:
        if part in plan.refusals:
            raise IncompleteError(f"{source.path}: {plan.refusals[part]}.", report)
    more = extra(plan, report.unused, report.parts)
    if more:
        why = {name: f"not in this {part}" for name, part in more.items()}
        raise IncompleteError(
            f"{source.path}: must be of this model, got {len(more)} weights more: "
            f"{count(why)}. Is it of a deeper model?",
            report,
        )
