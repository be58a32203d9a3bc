"""What is set for a whole process."""

import pytest
import tensorflow as tf
from tensorflow.python.framework import config as process

from st_keras.config import RuntimeConfig
from st_keras.runtime import strategy


@pytest.fixture(autouse=True)
def as_before():
    process.disable_op_determinism()
    yield
    process.disable_op_determinism()
    tf.keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize(
    ("settings", "is_on"),
    [
        ({}, True),
        ({"deterministic": False}, False),
        # XLA would refuse the gradient of every max-pool.
        ({"jit_compile": True}, False),
        ({"strategy": "tpu"}, False),
    ],
)
def test_ops_are_deterministic_where_xla_does_not_compile_them(settings, is_on):
    strategy.configure(RuntimeConfig(**settings))
    assert process.is_op_determinism_enabled() == is_on


def test_a_max_pool_is_trained_under_xla():
    strategy.configure(RuntimeConfig(jit_compile=True))
    image = tf.reshape(tf.range(2 * 6 * 8 * 3, dtype=tf.float32), [2, 6, 8, 3])

    @tf.function(jit_compile=True)
    def gradient(image):
        with tf.GradientTape() as tape:
            tape.watch(image)
            pooled = tf.nn.max_pool2d(image, 3, 2, "SAME")
            total = tf.reduce_sum(pooled)
        return tape.gradient(total, image)

    # Every window of 3 x 3, one per 2 x 2 pixels, has one largest pixel.
    assert float(tf.reduce_sum(gradient(image))) == 2 * 3 * 4 * 3


@pytest.mark.parametrize("devices", [1, 2])
def test_each_replica_is_fed_its_turn(devices):
    strategy_ = tf.distribute.OneDeviceStrategy("CPU:0")
    if devices == 2:
        strategy_ = tf.distribute.MirroredStrategy(
            ["CPU:0", "CPU:1"],
            cross_device_ops=tf.distribute.ReductionToOneDevice(),
        )
    asked = []

    def make(here):
        asked.append(here)
        return tf.data.Dataset.range(10)

    fed = strategy.feed(strategy_, make)
    seen = [strategy_.experimental_local_results(next(fed)) for _ in range(2)]
    assert asked == [range(devices)]
    numbers = [[int(value) for value in step] for step in seen]
    assert numbers == ([[0], [1]] if devices == 1 else [[0, 1], [2, 3]])


class Slice:
    """What TPUStrategy is to its feeder: one process that feeds several hosts."""

    num_replicas_in_sync = 8

    def distribute_datasets_from_function(self, make):
        contexts = [
            tf.distribute.InputContext(
                num_input_pipelines=2, input_pipeline_id=host, num_replicas_in_sync=8
            )
            for host in range(2)
        ]
        return [make(context) for context in contexts]


def test_the_hosts_of_a_tpu_slice_are_fed_other_replicas_each():
    assert list(strategy.feed(Slice(), list)) == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_precision_is_that_of_layers_made_later():
    strategy.configure(RuntimeConfig(precision="mixed_bfloat16"))
    assert tf.keras.layers.Dense(1).compute_dtype == "bfloat16"
