"""What a snapshot promises: every copy of every variable, as it was."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.runtime.snapshot import Snapshot


def strategies():
    return {
        "one": tf.distribute.OneDeviceStrategy("CPU:0"),
        "two": tf.distribute.MirroredStrategy(
            ["CPU:0", "CPU:1"], cross_device_ops=tf.distribute.ReductionToOneDevice()
        ),
    }


def variables():
    """A weight, a statistic that differs from replica to replica, and a counter."""
    return [
        tf.Variable([1.0, 2.0]),
        tf.Variable(
            [5.0],
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.MEAN,
        ),
        tf.Variable(7, dtype=tf.int64, trainable=False),
    ]


@pytest.mark.parametrize(
    "name, jit_compile", [("one", False), ("one", True), ("two", False)]
)
def test_what_steps_have_changed_in_place_is_put_back(name, jit_compile):
    strategy = strategies()[name]
    with strategy.scope():
        weight, statistic, count = variables()

    def spoil():
        context = tf.distribute.get_replica_context()
        statistic.assign_add([1.0 + float(context.replica_id_in_sync_group)])

    def copies():
        return [
            copy.numpy().tolist()
            for variable in (weight, statistic, count)
            for copy in strategy.experimental_local_results(variable)
        ]

    strategy.run(spoil)
    before = copies()
    snapshot = Snapshot(strategy, [weight, statistic, count])

    @tf.function(jit_compile=jit_compile)
    def nan_steps():
        for _ in range(2):
            statistic.assign_add([float("nan")])

    strategy.run(nan_steps)
    weight.assign_sub([float("nan"), 1.0])
    count.assign_add(3)
    assert not np.isfinite(weight.numpy()).all()
    snapshot.restore()
    assert copies() == before
    if name == "two":
        assert [6.0] in before and [7.0] in before
    # And once more: what is kept is not changed by going on from it.
    strategy.run(spoil)
    snapshot.restore()
    assert copies() == before
    strategy.run(spoil)
    later = copies()
    snapshot.retake()
    strategy.run(nan_steps)
    snapshot.restore()
    assert copies() == later != before
