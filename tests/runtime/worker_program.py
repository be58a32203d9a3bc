"""Reads and writes where another process is the default device, as with a TPU slice."""

import glob
import os
import sys

from st_keras import environment

environment.quiet()

import tensorflow as tf  # noqa: E402

from st_keras.data import pipeline, record_labels  # noqa: E402
from st_keras.runtime import checkpoints  # noqa: E402
from st_keras.runtime.run_log import RunLog  # noqa: E402

address, records = sys.argv[1:]
cluster = tf.train.ClusterSpec({"worker": [address]})
resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
    cluster,
    master=f"grpc://{address}",
    task_type="worker",
    task_id=0,
    rpc_layer="grpc",
)
tf.config.experimental_connect_to_cluster(resolver)
assert "worker" in tf.constant(1).device

source = pipeline.open_source(records, None, 0)
print("records", len(list(pipeline.serialized_records(source))))
print("labels", len(record_labels.boxes(records)))

model = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])
optimizer = tf.keras.optimizers.legacy.SGD(0.1, momentum=0.9)
optimizer._create_all_weights(model.trainable_variables)
saved = checkpoints.Checkpoints("run", optimizer=optimizer, keep=2, model=model)
print("saved", saved.save(), "latest", saved.latest, "restored", saved.restore())
checkpoints.load_model(model, checkpoints.find_model("run"))

log = RunLog("run", resume_step=0)
log.numbers(1, {"loss": 2.0})
print("events", len(glob.glob("run/tensorboard/*")), flush=True)
os._exit(0)  # The connection would wait for the other process.
