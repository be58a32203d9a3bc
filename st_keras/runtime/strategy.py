"""The devices of a run, and how it uses them."""

import contextlib
import functools
from collections.abc import Callable, Iterator

import tensorflow as tf

from st_keras.config import RuntimeConfig
from st_keras.ops import host_xla
from st_keras.runtime import hosts


def build_strategy(
    config: RuntimeConfig, devices: list[str] | None = None
) -> tf.distribute.Strategy:
    """Connects to the devices and returns the strategy that uses them.

    Args:
      config: Which strategy, and which TPU.
      devices: For `mirrored`, the devices to use; None: all GPUs.

    Raises:
      ValueError: The devices are not there.
      HostLostError: One of several hosts has died.
    """
    if config.strategy == "tpu":
        return _tpu(config.tpu)
    if config.strategy == "multi_worker":
        return hosts.worker_strategy()
    gpus = tf.config.list_logical_devices("GPU")
    if config.strategy == "mirrored":
        devices = devices or [gpu.name for gpu in gpus]
        if not devices:
            raise ValueError(
                "`runtime.strategy` is mirrored but TensorFlow sees no GPU; use "
                "one_device, or check the driver with `nvidia-smi`."
            )
        return tf.distribute.MirroredStrategy(
            devices, cross_device_ops=_cross_device_ops(devices)
        )
    return tf.distribute.OneDeviceStrategy(gpus[0].name if gpus else "/cpu:0")


def known_replicas(config: RuntimeConfig) -> int:
    """Returns the number of replicas, or a divisor of it.

    Of several hosts, only this one's are known; of a TPU, none without a connection.
    """
    if config.strategy in ("mirrored", "multi_worker"):
        return max(1, len(tf.config.list_physical_devices("GPU")))
    return 1


def configure(config: RuntimeConfig) -> None:
    """Sets the process's precision and determinism; call it before building a model."""
    tf.keras.mixed_precision.set_global_policy(config.precision)
    configure_determinism(config)


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """Sets the precision of models built in the context, then restores the old one."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)


def configure_determinism(config: RuntimeConfig) -> None:
    """Makes TensorFlow's ops deterministic for the whole process, if asked for.

    From then on, random ops without a seed are an error, even those of Keras' `fit`.
    """
    # Under this switch, XLA has no gradient of a max-pool on any device; and what it
    # compiles for CPUs and TPUs gives the same numbers anyway.
    if config.deterministic and not config.compiles_steps:
        tf.config.experimental.enable_op_determinism()


def feed(
    strategy: tf.distribute.Strategy, make: Callable[[range], tf.data.Dataset]
) -> Iterator:
    """Returns an iterator that feeds the replicas, step by step.

    Args:
      strategy: Of the run.
      make: Returns the batches of the given replicas of the job, in turn.
    """
    if strategy.num_replicas_in_sync == 1 and "CPU" in _device(strategy):
        # Nothing has to be sent to a device. Below, what sends it has an autotuner of
        # its own, which may delay the end of a run: see data/untuned.py.
        return iter(make(range(1)))

    def make_for(host: tf.distribute.InputContext) -> tf.data.Dataset:
        # Called once per host: each host of a multi_worker job calls it for itself, the
        # one process of a TPU slice for all hosts of the slice.
        replicas = host.num_replicas_in_sync // host.num_input_pipelines
        first = host.input_pipeline_id * replicas
        return make(range(first, first + replicas))

    return iter(strategy.distribute_datasets_from_function(make_for))


def set_seed(seed: int) -> None:
    """Seeds the initial weights: same seed, same model."""
    tf.keras.utils.set_random_seed(seed)


def _device(strategy: tf.distribute.Strategy) -> str:
    return strategy.extended.worker_devices[0].upper()


@functools.cache  # To initialise a TPU again takes away what is on it.
def _tpu(name: str) -> tf.distribute.TPUStrategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(name)
        if name != "local":
            tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError, RuntimeError) as error:
        if "No OpKernel was registered" in str(error):
            raise ValueError(
                f"`runtime.tpu` is {name!r}, but TensorFlow {tf.__version__} in "
                f"{tf.__path__[0]} has no driver of TPUs. On a TPU VM, the image's own "
                "has one and must not be replaced: see docs/tpu.md."
            ) from None
        raise ValueError(
            f"`runtime.tpu` {name!r} cannot be reached: {error}. On a TPU VM of "
            "one host use `local`; otherwise the name or grpc:// address of the TPU."
        ) from None
    # Said to end the process: github.com/tensorflow/tensorflow/issues/58934.
    host_xla.forbid()
    return tf.distribute.TPUStrategy(resolver)


def _cross_device_ops(devices: list[str]):
    # Logical CPU devices share one memory; the collective ops of two strategies in
    # one process would collide.
    if all("CPU" in device.upper() for device in devices):
        return tf.distribute.ReductionToOneDevice()
    return None
