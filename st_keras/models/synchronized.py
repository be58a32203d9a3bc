"""BatchNorm whose statistics are those of all replicas."""

import tensorflow as tf


@tf.keras.saving.register_keras_serializable("st_keras")
class SynchronizedBatchNorm(tf.keras.layers.BatchNormalization):
    """Normalises by mean and variance over the images of all replicas.

    Keras' own does the same with `synchronized=True`, in a way that large models do not
    bear: it asks the other replicas three times in each layer, sums in bfloat16 where
    the model computes in it, and lets TensorFlow walk through the graphs of all other
    replicas each time, so that tracing takes time with the square of the depth and
    more. Here they are asked once, for float32 sums, and nothing is walked through.
    """

    def __init__(self, **settings):
        """Makes the layer.

        Args:
          **settings: Those of `tf.keras.layers.BatchNormalization`; `synchronized` is
            on.
        """
        super().__init__(**(settings | {"synchronized": True}))

    def _sync_calculate_mean_and_var(self, x, reduction_axes, keep_dims, mask=None):
        replica = tf.distribute.get_replica_context()
        if replica is None or mask is not None:
            return super()._sync_calculate_mean_and_var(
                x, reduction_axes, keep_dims, mask=mask
            )
        y = tf.cast(x, tf.float32) if x.dtype.size < 4 else x
        sums = tf.reduce_sum(y, reduction_axes, keepdims=keep_dims)
        square_sums = tf.reduce_sum(tf.square(y), reduction_axes, keepdims=keep_dims)
        # The last batch of an epoch may be larger on one replica than on another.
        positions = tf.cast(tf.size(y) // tf.shape(y)[-1], y.dtype)
        here = [tf.reshape(part, [-1]) for part in (sums, square_sums, positions)]
        channels = sums.shape.num_elements() or tf.size(sums)
        everywhere = tf.split(
            _sum_over(replica, tf.concat(here, 0)), [channels, channels, 1]
        )
        mean, mean_square = (
            tf.reshape(part, tf.shape(sums)) / everywhere[2] for part in everywhere[:2]
        )
        variance = tf.maximum(mean_square - tf.square(mean), 0.0)
        return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)


def _sum_over(replica: tf.distribute.ReplicaContext, value: tf.Tensor) -> tf.Tensor:
    """Returns the sum over replicas, whose gradient is summed over them alike.

    TensorFlow's own gradient of it looks for variables behind the sum, and reaches the
    other replicas' layers before this one. `stop_gradient` is where it turns back.
    """

    def reduce(x):
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(x))

    @tf.custom_gradient
    def summed(x):
        return reduce(x), reduce

    return summed(value)
