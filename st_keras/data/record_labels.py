"""Which classes the labels of each picture in records are of."""

import itertools
import os
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from st_keras.data import dataset_info, decode, records
from st_keras.types import IGNORED, Labels

_BATCH = 64
_DRAWN_ON_BACKGROUND = "coco_segmentation"  # A source; its background is label 1.


def read(pattern: str) -> tuple[dict[str, set[int]], tuple[str, ...]]:
    """Returns the labels in each picture, from 1, and the names of the classes.

    If people drew both boxes and maps, both show the same objects: boxes count.

    Args:
      pattern: Glob of TFRecords.

    Raises:
      ValueError: No file matches, or one is damaged.
    """
    info = dataset_info.load(pattern)
    if not info.class_names and info.label_map_names:
        return label_maps(pattern), info.label_map_names
    if not info.class_names and info.image_class_names:
        return classes(pattern), info.image_class_names
    return boxes(pattern), info.class_names


def unlabeled(pattern: str) -> frozenset[int]:
    """Returns the labels that a picture in records shows though nobody labelled it.

    COCO's JSON draws the background where it has no shape, also in a whole picture.

    Args:
      pattern: Glob of TFRecords.

    Raises:
      ValueError: No file matches, or there is no dataset.json beside them.
    """
    is_drawn = dataset_info.load(pattern).source == _DRAWN_ON_BACKGROUND
    return frozenset([1] if is_drawn else [])


def label_maps(pattern: str) -> dict[str, set[int]]:
    """Returns the classes in the label map of each picture in records, from 1.

    Raises:
      ValueError: No file matches, or one is damaged.
    """
    return {
        image_id: set((np.setdiff1d(labels.class_ids, [IGNORED]) + 1).tolist())
        for image_id, labels in _decoded(pattern, decode.decode_label_map)
    }


def classes(pattern: str) -> dict[str, set[int]]:
    """Returns the class of each picture in records, from 1; none if it is not known.

    Raises:
      ValueError: No file matches, or one is damaged.
    """
    return {
        image_id: set((labels.class_ids[labels.weights > 0] + 1).tolist())
        for image_id, labels in _decoded(pattern, decode.decode_class)
    }


def _decoded(pattern: str, read: Callable) -> Iterator[tuple[str, Labels]]:
    for path in dataset_info.shard_paths(pattern):
        try:
            shard = tf.data.TFRecordDataset(os.path.abspath(path)).map(read)
            for labels, image_id in shard.as_numpy_iterator():
                yield image_id.decode(), labels
        except tf.errors.OpError as error:
            raise ValueError(f"{path}: not readable: {error.message}") from None


def boxes(pattern: str) -> dict[str, set[int]]:
    """Returns the labels of each picture in records, without those of crowds.

    Raises:
      ValueError: No file matches, one is damaged, or an id is there twice.
    """
    spec = {
        records.IMAGE_ID: tf.io.FixedLenFeature([], tf.string),
        records.LABEL: tf.io.RaggedFeature(tf.int64),
        records.IS_CROWD: tf.io.RaggedFeature(tf.int64),
    }
    labels_by_id = {}
    for path in dataset_info.shard_paths(pattern):
        try:
            shard = tf.data.TFRecordDataset(os.path.abspath(path))
            for serialized in shard.batch(_BATCH):
                parsed = tf.io.parse_example(serialized, spec)
                for image_id, labels, crowd in zip(
                    parsed[records.IMAGE_ID].numpy(),
                    parsed[records.LABEL].to_list(),
                    parsed[records.IS_CROWD].to_list(),
                    strict=True,
                ):
                    image_id = image_id.decode()
                    if image_id in labels_by_id:
                        raise ValueError(f"{path}: a second picture {image_id}.")
                    # Records of other tools may lack crowd flags.
                    rows = itertools.zip_longest(labels, crowd, fillvalue=0)
                    labels_by_id[image_id] = {label for label, c in rows if not c}
        except tf.errors.OpError as error:
            raise ValueError(f"{path}: not readable: {error.message}") from None
    if not labels_by_id:
        raise ValueError(f"`{pattern}`: the records hold no picture.")
    return labels_by_id
