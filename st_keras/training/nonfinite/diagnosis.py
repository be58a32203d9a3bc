"""Says where a replayed step stopped being finite, and the likely cure."""

import dataclasses
import math
import pathlib
import traceback

import numpy as np
import tensorflow as tf

from st_keras.training.nonfinite import black_box
from st_keras.training.nonfinite.probes import Call
from st_keras.training.nonfinite.replay import Replayed, Terms

_HUGE = 1e4  # Of a weight; at usual learning rates, weights stay under 100.
_SHOWN = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Where the first value that is not finite came from."""

    where: str  # Phase and layer, loss or variable.
    images: list[str]  # As `human: train_000007`; empty: all, or none in particular.
    cure: str


def diagnose(seen: Replayed) -> Diagnosis:
    """Follows the step in its own order: weights, batch, layers, losses, and back."""
    for find in (_weights, _batch, _forward, _losses, _sums, _backward, _gradients):
        diagnosis = find(seen)
        if diagnosis:
            return diagnosis
    return Diagnosis(
        where="nothing: in this replay every value is finite",
        images=[],
        cure="The device of the run computed other numbers than a CPU. Set "
        "`runtime.precision=float32` or `runtime.jit_compile=false` if they were "
        "others; or lower `optimization.learning_rate`.",
    )


def page(seen: Replayed, diagnosis: Diagnosis, folder: str) -> str:
    """Returns the summary to print."""
    facts = seen.facts
    bad = {
        name: value
        for name, value in facts["values"].items()
        if not math.isfinite(float(value))
    }
    count = sum(len(ids) for ids in facts["images"].values())
    images = ", ".join(diagnosis.images) or "no image in particular"
    weight = max(seen.weights, key=lambda name: seen.weights[name].largest)
    lines = [
        f"{folder}: step {facts['step']} of {count} images on {facts['replicas']} "
        f"replicas, learning rate {facts['learning_rate']:.3g}, seed {facts['seed']}",
        f"  in the run:     {_shown(bad)}",
        f"  replayed here:  {_shown(seen.values)}",
        f"  weights:        {'those' if seen.is_same else 'NOT those'} of the run; the "
        f"largest is {seen.weights[weight].largest:.3g}, in {weight}",
        *_of_slices(seen),
        f"First not finite: {diagnosis.where}",
        f"Images:           {images}",
        f"Likely cure:      {diagnosis.cure}",
    ]
    return "\n".join(lines)


def _of_slices(seen: Replayed) -> list[str]:
    if seen.slices == 1:
        return []
    return [
        f"  slices:         {seen.slices} in the run, one here: BatchNorm sees the "
        "whole batch, and what the model drops is drawn otherwise, so numbers may "
        "differ"
    ]


def _weights(seen: Replayed) -> Diagnosis | None:
    bad = [name for name, weight in seen.weights.items() if not weight.is_finite]
    if not bad:
        return None
    return Diagnosis(
        where=f"weights, before the step: variable `{bad[0]}` ({len(bad)} in all)",
        images=[],
        cure="The update of an earlier step was too large. " + _LOWER,
    )


def _batch(seen: Replayed) -> Diagnosis | None:
    for name, values in black_box.named(seen.parts).items():
        part, _, field = name.partition("/")
        values = np.asarray(values)
        if not np.issubdtype(values.dtype, np.floating):
            continue
        bad = ~np.isfinite(values).reshape([len(values), -1]).all(axis=1)
        if bad.any():
            ids = np.array(seen.facts["images"][part])[bad]
            return Diagnosis(
                where=f"batch, before the model: `{field}` of the {part} part",
                images=[f"{part}: {image_id}" for image_id in ids],
                cure=_look_at(part, ids),
            )
    return None


def _forward(seen: Replayed) -> Diagnosis | None:
    for call in seen.probes.calls:
        if not call.outputs.is_finite:
            where = f"forward pass, output of {_name(call)}; its largest input is "
            where += f"{call.inputs.largest:.3g}"
            return _of_call(seen, call, ~call.outputs.rows, where)
    return None


def _losses(seen: Replayed) -> Diagnosis | None:
    for terms in seen.terms:
        for name, total in terms.totals.items():
            if math.isfinite(total):
                continue
            return _of_rows(
                seen,
                terms,
                _alone(terms, name),
                f"loss `{terms.part}/{name}`, while all outputs of the model are "
                f"finite{_operation(terms)}",
            )
    return None


def _sums(seen: Replayed) -> Diagnosis | None:
    bad = [
        name
        for name, value in seen.values.items()
        if not math.isfinite(value) and name != "gradient_norm"
    ]
    if not bad:
        return None
    return Diagnosis(
        where=f"`{bad[0]}`, while the losses of every replica are finite",
        images=[],
        cure="Sums overflow: " + _LOWER,
    )


def _backward(seen: Replayed) -> Diagnosis | None:
    for terms in seen.terms:
        if not terms.gradients.is_finite:
            return _of_rows(
                seen,
                terms,
                ~terms.gradients.rows,
                f"backward pass, gradient of the losses of the {terms.part} part "
                "with respect to the model's outputs",
            )
    for call in sorted(seen.probes.calls, key=lambda call: call.turn):
        if not call.input_gradients.is_finite and call.output_gradients.is_finite:
            where = f"backward pass, through {_name(call)}; the largest gradient that "
            where += f"came to it is {call.output_gradients.largest:.3g}"
            return _of_call(seen, call, ~call.input_gradients.rows, where)
    return None


def _gradients(seen: Replayed) -> Diagnosis | None:
    for name, gradient in seen.gradients.items():
        if not gradient.is_finite:
            return Diagnosis(
                where=f"backward pass, gradient of variable `{name}`",
                images=[],
                cure=_LOWER,
            )
    if math.isfinite(seen.values["gradient_norm"]):
        return None
    name = max(seen.gradients, key=lambda name: seen.gradients[name].largest)
    return Diagnosis(
        where="`gradient_norm`: its square overflows, while every gradient is finite; "
        f"the largest, {seen.gradients[name].largest:.3g}, is of `{name}`",
        images=[],
        cure=_LOWER,
    )


def _of_call(seen: Replayed, call: Call, bad: np.ndarray, where: str) -> Diagnosis:
    """Returns the diagnosis of some rows, [B] bool, of a layer's call."""
    images = seen.images_of(bad, call.replica)
    return Diagnosis(where=where, images=images, cure=_of_size(seen, images))


def _of_rows(seen: Replayed, terms: Terms, bad: np.ndarray, where: str) -> Diagnosis:
    """Returns the diagnosis of some rows, [B] bool, of the losses of a part."""
    ids = np.array(seen.image_ids(terms.part, terms.replica))
    images = ids[bad] if len(ids) == len(bad) else []
    return Diagnosis(
        where=where,
        images=[f"{terms.part}: {image_id}" for image_id in images],
        cure=_look_at(terms.part, images),
    )


_LOWER = (
    "Lower `optimization.learning_rate`, lengthen `optimization.warmup_steps`, or set "
    "`optimization.clip_norm` (10 is usual)."
)


def _name(call: Call) -> str:
    return f"layer `{call.layer}` ({call.kind}, {list(call.outputs.shape)})"


def _of_size(seen: Replayed, images: list[str]) -> str:
    """Returns the cure for values that grew too large on their way."""
    largest = max(weight.largest for weight in seen.weights.values())
    if largest > _HUGE:
        return f"The weights have grown to {largest:.3g}. {_LOWER}"
    count = sum(len(ids) for ids in seen.facts["images"].values())
    if images and len(images) < count:
        part, _, image_id = images[0].partition(": ")
        return _look_at(part, [image_id])
    return _LOWER


def _look_at(part: str, image_ids) -> str:
    """Returns the cure if the labels or the pixels of an image are to blame."""
    leave_out = {"pseudo": "`pseudo.exclude`"}.get(part, f"`{part}.ids`")
    which = ", ".join(image_ids[:_SHOWN]) or "the images"
    return (
        f"Look at {which} (`tools/show.py records`, `tools/doctor.py`): boxes without "
        f"area, labels that cannot be. Mend them, or leave it out by {leave_out}. "
        "If nothing is wrong with them, lower `optimization.learning_rate`."
    )


def _alone(terms: Terms, name: str) -> np.ndarray:
    """Returns [B] bool, True for rows whose loss alone is not finite."""
    count = len(tf.nest.flatten(terms.outputs)[0])
    bad = np.zeros([count], bool)
    for row in range(count):
        labels, outputs = tf.nest.map_structure(
            lambda value, row=row: value[row : row + 1], (terms.labels, terms.outputs)
        )
        total = float(terms.task.losses(labels, outputs)[name].total)
        bad[row] = not math.isfinite(total)
    return bad


def _operation(terms: Terms) -> str:
    """Returns the first operation of the losses with a value that is not finite."""
    tf.debugging.enable_check_numerics()
    try:
        terms.task.losses(terms.labels, terms.outputs)
    except tf.errors.InvalidArgumentError as error:
        name = str(error).partition('executing op "')[2].partition('"')[0]
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if "site-packages" not in frame.filename]
        place = pathlib.Path(own[-1].filename)
        return (
            f"; operation {name} at {place.parent.name}/{place.name}:{own[-1].lineno}"
        )
    finally:
        tf.debugging.disable_check_numerics()
    return ""


def _shown(values: dict[str, float | str]) -> str:
    """Returns a few of the numbers, those that are not finite first."""
    order = sorted(values, key=lambda name: math.isfinite(float(values[name])))
    return ", ".join(f"{name} {float(values[name]):.4g}" for name in order[:6])
