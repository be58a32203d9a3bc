"""A batch that is too large for a device, taken in slices with one update for all.

Without BatchNorm, this is exactly the step of the whole batch. A loss is a sum over a
count, so the counts of all slices must be known before the first gradient, and if
losses are blended, so must the losses. Counts follow from the labels alone; for the
losses of a student, the slices take an extra forward pass before the one that is
learned from, which costs a third of a step.

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
      forward: Returns the sums and counts of a slice, given its number.
      objective: Returns the share and the numbers from the sums and counts of the whole
        batch. It is linear in the totals, so its gradient with respect to a total is
        the weight of that total.
      counted: Counts of the whole batch, from `counts`.
      variables: What to differentiate by.
      slices: How many.
      looks_first: Whether the weight of a total depends on the totals of the batch, as
        in a blend. Then `objective` is called once; otherwise twice.
      model: Its averages must not move in the pass that finds the totals.
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

    Counts do not depend on the model's outputs, so the model is not run.

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
    """Returns one slice of the examples of each part.

    Args:
      parts: [B, ...] each, B a multiple of `slices`.
      number: Which slice, from 0; may be a tensor.
      slices: How many there are.
    """

    def cut(tensor):
        size = tensor.shape[0] // slices
        return tf.gather(tf.reshape(tensor, [slices, size, *tensor.shape[1:]]), number)

    return tf.nest.map_structure(cut, parts)


def _over_slices(body: Callable[[Any, Any], Any], start: Any, slices: int) -> Any:
    """Returns the state after `body(number, state)` has run for every slice.

    Slices run one after another, so that memory holds the activations of one.

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
    """Returns the weight of each total in the objective, and the numbers to log."""
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
    """Whether layers may sum over replicas in a way that a graph loop does not allow.

    While tracing, a mirrored strategy makes such a sum between its threads, which it
    cannot do inside a loop of the graph.
    """
    strategy = tf.distribute.get_strategy()
    is_tpu = isinstance(strategy, tf.distribute.TPUStrategy)
    return strategy.num_replicas_in_sync > 1 and not is_tpu
