"""What a model drops in a step: a function of seed, step, replica and row alone."""

import numpy as np
import tensorflow as tf

from st_keras.models.layers import Dropout
from st_keras.training import optimization
from st_keras.training.step import TrainStep
from st_keras.types import Batch, Boxes, Ratio

WIDTH = 20
# Sums of these tell which activations were kept: 2 * 2**20 is exact in float32.
CODES = 2.0 ** np.arange(WIDTH, dtype=np.float32)


class CodeTask:
    """Its losses are the codes of the rows of human and of pseudo pictures."""

    def finish_images(self, images, changes):
        return images

    def losses(self, labels, outputs):
        code = tf.reduce_sum(outputs["kept"] * CODES, axis=-1) / 2.0
        return {
            f"row{row}": Ratio(tf.reduce_sum(labels.weights[:, 0, row] * code), 1.0)
            for row in range(labels.weights.shape[-1])
        }


def ones_with_dropout():
    images = tf.keras.layers.Input([1, 1, 3])
    x = tf.keras.layers.Dense(
        WIDTH, kernel_initializer="zeros", bias_initializer="ones"
    )
    x = x(tf.keras.layers.Flatten()(images))
    return tf.keras.Model(images, {"kept": Dropout(0.5, name="drop")(x)})


def batch(rows):
    return Batch(
        tf.zeros([rows, 1, 1, 3], tf.uint8),
        Boxes(
            boxes_yxyx=tf.zeros([rows, 1, 4]),
            class_ids=tf.zeros([rows, 1], tf.int32),
            scores=tf.zeros([rows, 1]),
            weights=tf.eye(rows)[:, None, :],
            is_crowd=tf.zeros([rows, 1], tf.bool),
        ),
    )


def kept(seed=0, *, steps=1, replicas=1):
    """Returns the code of each of four rows of a step, human ones first."""
    strategy = tf.distribute.MirroredStrategy(
        [f"CPU:{number}" for number in range(replicas)],
        cross_device_ops=tf.distribute.ReductionToOneDevice(),
    )
    with strategy.scope():
        model = ones_with_dropout()
        optimizer = tf.keras.optimizers.legacy.SGD(0.0)
        optimization.create_slots(optimizer, model.trainable_variables)
    take = TrainStep(
        CodeTask(), model, optimizer, None, weight_decay=0.0, clip_norm=0.0, seed=seed
    )
    rows = 4 // replicas

    def on_replica(context):
        # Each replica has rows of its own among the four.
        number = context.replica_id_in_sync_group
        part = batch(4)
        cut = slice(number * rows, (number + 1) * rows)
        return {"human": tf.nest.map_structure(lambda field: field[cut], part)}

    values = strategy.experimental_distribute_values_from_function(on_replica)
    run = tf.function(lambda parts: strategy.run(take, args=(parts,)))
    for _ in range(steps):
        logs = run(values)
    first = {
        name: strategy.experimental_local_results(value)[0]
        for name, value in logs.items()
    }
    return [float(first[f"human/row{row}"]) for row in range(4)]


def test_a_run_drops_what_the_same_run_dropped():
    assert kept(3) == kept(3)


def test_seed_and_step_decide_what_is_dropped():
    assert len({*kept(3), *kept(4), *kept(3, steps=2)}) == 12


def test_every_row_of_every_replica_drops_by_itself():
    assert len(set(kept(3))) == 4
    assert len(set(kept(3, replicas=2))) == 4
