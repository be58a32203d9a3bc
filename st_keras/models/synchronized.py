"""BatchNorm with statistics over all replicas."""

import tensorflow as tf


@tf.keras.saving.register_keras_serializable("st_keras")
class SynchronizedBatchNorm(tf.keras.layers.BatchNormalization):
    """Normalises by mean and variance over the images of all replicas.

    Keras' own does the same with `synchronized=True`, but does not scale to large
    models: each layer makes three all-reduces, sums in bfloat16 where the model
    computes in it, and lets TensorFlow walk through the graphs of all other replicas
    each time, so that tracing time grows at least with the square of the depth. Here
    it makes one all-reduce, of float32 sums, and no walk.
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
    """Returns the sum over replicas; its gradient is summed over them too.

    TensorFlow's own gradient searches for variables behind the sum, through the earlier
    layers of the other replicas. `stop_gradient` ends that search.
    """

    def reduce(x):
        return replica.all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(x))

    @tf.custom_gradient
    def summed(x):
        return reduce(x), reduce

    return summed(value)
