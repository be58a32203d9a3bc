"""A batch that is too large for a device, taken in slices with one update for all.

Exactly the step of the whole batch, for a model without BatchNorm: a loss is a sum
over a count, so the counts of all slices must be known before the first gradient, and
where losses are blended, so must the losses. Counts follow from the labels alone; for
the losses of a student, the slices go through the model once more before the pass that
is learned from, which costs a third of a step.

BatchNorm takes its statistics from one slice at a time (of all replicas, where it is
synchronised) and moves its averages once for each slice.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from st_keras.models import moving_averages
from st_keras.tasks import Task
from st_keras.types import Batch, Ratio

Ratios = dict[str, dict[str, Ratio]]  # By part and name.


def gradients(
    forward: Callable[[tf.Tensor | int], Ratios],
    objective: Callable[[Ratios], tuple[tf.Tensor, dict]],
    *,
    counted: Ratios,
    variables: list[tf.Variable],
    slices: int,
    looks_first: bool,
    model: tf.keras.Model,
) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns the gradients of a replica's share of the loss, and numbers to log.

    Args:
      forward: Gives the sums and counts of a slice, by its number.
      objective: Gives the share and the numbers from those of the whole batch. It is
        linear in the totals, so its gradient by a total is what that total weighs.
      counted: Counts of the whole batch, by `counts`.
      variables: Whose gradients.
      slices: How many.
      looks_first: Whether what a total weighs depends on the totals of the batch, as
        in a blend. Then `objective` is called once; otherwise twice.
      model: Whose averages must not move while the totals are looked at.
    """
    if looks_first:
        with moving_averages.kept([model]):
            seen = _over_slices(
                lambda number, seen: _add_totals(seen, forward(number)), counted, slices
            )
        weights, logs = _weights(objective, seen)
    else:
        weights, _ = _weights(objective, counted)

    def learn(number, state):
        seen, sums = state
        with tf.GradientTape() as tape:
            ratios = forward(number)
            totals = _totals(ratios)
            share = tf.add_n([w * t for w, t in zip(weights, totals, strict=True)])
        own = tape.gradient(share, variables)
        return _add_totals(seen, ratios), [
            total + gradient for total, gradient in zip(sums, own, strict=True)
        ]

    zeros = [tf.zeros(variable.shape, variable.dtype) for variable in variables]
    seen, sums = _over_slices(learn, (counted, zeros), slices)
    if not looks_first:
        _, logs = objective(seen)
    return sums, logs


def counts(task: Task, model: tf.keras.Model, batch: Batch) -> dict[str, Ratio]:
    """Returns the counts of a replica's examples, with totals of 0.

    What the model would say does not matter to a count, so nobody asks it.

    Args:
      task: Gives the losses.
      model: For the shapes of its outputs.
      batch: The examples.
    """
    size = batch.image.shape[0]
    nothing = {
        name: tf.zeros([size, *output.shape[1:]], output.dtype)
        for name, output in model.output.items()
    }
    ratios = task.losses(batch.labels, nothing)
    return {name: Ratio(tf.zeros([]), ratio.count) for name, ratio in ratios.items()}


def take_slice(parts: dict[str, Batch], number, slices: int) -> dict[str, Batch]:
    """Returns some of the examples of each part.

    Args:
      parts: [B, ...] each, B a multiple of `slices`.
      number: Which, from 0; may be a tensor.
      slices: Of how many.
    """

    def cut(tensor):
        size = tensor.shape[0] // slices
        return tf.gather(tf.reshape(tensor, [slices, size, *tensor.shape[1:]]), number)

    return tf.nest.map_structure(cut, parts)


def _over_slices(body: Callable[[Any, Any], Any], start: Any, slices: int) -> Any:
    """Returns what `body(number, state)` makes of a state, slice after slice.

    The slices wait for each other, so that memory holds the activations of one.

    Args:
      body: Returns a nest like `start`.
      start: A nest of tensors.
      slices: How many.
    """
    if _talks_between_replicas():
        state = start
        for number in range(slices):
            with tf.control_dependencies(tf.nest.flatten(state)):
                state = body(number, tf.nest.map_structure(tf.identity, state))
        return state
    _, state = tf.while_loop(
        lambda number, _: number < slices,
        lambda number, state: (number + 1, body(number, state)),
        (tf.constant(0), start),
        parallel_iterations=1,
        maximum_iterations=slices,
    )
    return state


def _weights(objective: Callable, seen: Ratios) -> tuple[list[tf.Tensor], dict]:
    """Returns what each total weighs in the objective, and the numbers to log."""
    totals = _totals(seen)
    with tf.GradientTape() as tape:
        tape.watch(totals)
        share, logs = objective(_with_totals(seen, totals))
    return tape.gradient(share, totals), logs


def _totals(ratios: Ratios) -> list[tf.Tensor]:
    return [ratio.total for terms in ratios.values() for ratio in terms.values()]


def _with_totals(ratios: Ratios, totals: list[tf.Tensor]) -> Ratios:
    left = iter(totals)
    return {
        part: {name: ratio._replace(total=next(left)) for name, ratio in terms.items()}
        for part, terms in ratios.items()
    }


def _add_totals(seen: Ratios, more: Ratios) -> Ratios:
    pairs = zip(_totals(seen), _totals(more), strict=True)
    return _with_totals(seen, [total + other for total, other in pairs])


def _talks_between_replicas() -> bool:
    """Whether a loop would keep layers from adding up over replicas.

    A mirrored strategy does that between its threads while it traces, which it cannot
    inside a loop of the graph.
    """
    strategy = tf.distribute.get_strategy()
    is_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    return strategy.num_replicas_in_sync > 1 and not is_tpu
