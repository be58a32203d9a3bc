"""What is promised of BatchNorm's moving averages."""

import pytest
import tensorflow as tf

from st_keras.models import moving_averages

IMAGES = tf.constant([[0.0], [8.0]])  # Mean 4, variance 16.


def model():
    images = tf.keras.layers.Input([1])
    norm = tf.keras.layers.BatchNormalization(momentum=0.5)
    inner = tf.keras.Model(images, norm(images))
    return tf.keras.Model(images, inner(images))


def averages(of):
    return [float(variable) for variable in of.non_trainable_variables]


def test_a_pass_that_must_not_count_leaves_them():
    normed = model()
    with moving_averages.kept([normed]):
        normed(IMAGES, training=True)
    assert averages(normed) == [0.0, 1.0]
    normed(IMAGES, training=True)
    # Half of the old and half of the batch's: 0 and 4, 1 and 16.
    assert averages(normed) == [2.0, 8.5]


def test_replicas_agree_on_the_mean_of_what_each_has():
    strategy = tf.distribute.MirroredStrategy(
        ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )
    with strategy.scope():
        normed = model()

    def learn():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        normed(IMAGES * tf.cast(1 + replica, tf.float32), training=True)

    def of_replicas():
        return [
            [float(copy) for copy in strategy.experimental_local_results(variable)]
            for variable in normed.non_trainable_variables
        ]

    strategy.run(learn)
    # The second has seen 0 and 16: mean 8, variance 64.
    assert of_replicas() == [[2.0, 4.0], pytest.approx([8.5, 32.5])]
    moving_averages.agree([normed])
    assert of_replicas() == [[3.0, 3.0], pytest.approx([20.5, 20.5])]
