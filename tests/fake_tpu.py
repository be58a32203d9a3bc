"""A TPUStrategy without a TPU: functions are traced for it as they would be on one.

To run them, TensorFlow then misses a TPU's kernels, which shows that tracing went well.
"""

import collections

import numpy as np
import tensorflow as tf
from tensorflow.python.tpu import tpu_system_metadata

_HOST = "/job:localhost/replica:0/task:0/device:"
# What TensorFlow says once a function has been traced.
MISSING = "No OpKernel was registered to support Op 'TPU"


class _Resolver(tf.distribute.cluster_resolver.TPUClusterResolver):
    """Finds cores that are not there."""

    def __init__(self, cores: int):
        super().__init__("local")
        self._cores = cores

    def get_tpu_system_metadata(self):
        names = [f"{_HOST}TPU:{number}" for number in range(self._cores)]
        return tpu_system_metadata.TPUSystemMetadata(
            num_cores=self._cores,
            num_hosts=1,
            num_of_cores_per_host=self._cores,
            topology=None,
            devices=[tf.config.LogicalDevice(name, "TPU") for name in names],
        )


def strategy(cores: int = 2) -> tf.distribute.TPUStrategy:
    """Returns a strategy whose variables are on CPU devices, of which there are two."""
    made = tf.distribute.TPUStrategy(_Resolver(cores))
    devices = [f"{_HOST}CPU:{number}" for number in range(cores)]
    extended = made.extended
    extended._tpu_devices = np.array([[device] for device in devices], object)
    extended._device_input_worker_devices = collections.OrderedDict(
        {devices[0]: devices}
    )
    extended._host_input_worker_devices = collections.OrderedDict(
        {devices[0]: [devices[0]] * cores}
    )
    return made
