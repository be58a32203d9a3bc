"""Datasets that TensorFlow does not tune while they run."""

import os

import tensorflow as tf

# Parallel calls, and batches that wait for the model: an autotuner would find the same
# where the host has nothing else to do.
PARALLEL_CALLS = os.cpu_count() or 1
PREFETCH = 2


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset without tf.data's autotuner; those made of it lack it too.

    An autotuner sleeps longer and longer between its checks, up to a minute, and an
    iterator that is dropped waits for it if it misses its call. Labelling drops one for
    every shard, training and evaluation one at their end: with TensorFlow 2.15, a shard
    of ten seconds sometimes took twenty more, all of it idle.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
