"""SimCLR's loss: among all views of a step, each finds the other one of its picture."""

import tensorflow as tf

from st_keras.types import Ratio

_NEVER = -1e9  # Added to a logit: a view is not compared with itself.


def nt_xent(projections: tf.Tensor, *, temperature: float) -> Ratio:
    """Returns the normalised, temperature-scaled cross entropy of pairs of views.

    The views of all replicas are compared. Each replica sums over its own views, and
    gradients also flow to the views of the others.

    Args:
      projections: [2 B, D] of this replica, static; rows 2 i and 2 i + 1 are of one
        picture. Their norms do not matter.
      temperature: What cosines are divided by.

    Returns:
      The sum of -log p(the other view) over the views of this replica, and 2 B.

    Source: Chen et al. 2020, arXiv:2002.05709, eq. 1.
    """
    own = tf.math.l2_normalize(tf.cast(projections, tf.float32), axis=-1)
    everyone, first = _of_all_replicas(own)
    logits = tf.matmul(own, everyone, transpose_b=True) / temperature
    number = own.shape[0]
    rows = tf.range(number)
    itself = tf.one_hot(first + rows, everyone.shape[0])
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
        first + other_view(rows), logits + _NEVER * itself
    )
    return Ratio(tf.reduce_sum(loss), tf.constant(float(number)))


def other_view(rows: tf.Tensor) -> tf.Tensor:
    """Returns the row of a picture's other view: 1, 0, 3, 2, ... for 0, 1, 2, 3."""
    return rows + 1 - 2 * (rows % 2)


def _of_all_replicas(own: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the [R N, D] rows of all replicas, and the first of this replica's."""
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return own, tf.constant(0)
    here = context.replica_id_in_sync_group
    # A sum in which each replica has its own place: unlike a gather, it has a gradient
    # and compiles wherever gradients can be summed.
    place = tf.one_hot(here, replicas)[:, None, None]
    everyone = context.all_reduce(tf.distribute.ReduceOp.SUM, place * own[None])
    return tf.reshape(everyone, [-1, own.shape[1]]), here * own.shape[0]
