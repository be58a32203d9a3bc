"""From the bytes of a record to an Example."""

import tensorflow as tf

from st_keras.data import records
from st_keras.data.augment import shrinking
from st_keras.types import IGNORED, Boxes, Classes, Example, LabelMap

_SPEC = {
    # Required: with a size of 0, boxes would silently vanish.
    records.IMAGE_ID: tf.io.FixedLenFeature([], tf.string),
    records.HEIGHT: tf.io.FixedLenFeature([], tf.int64),
    records.WIDTH: tf.io.FixedLenFeature([], tf.int64),
    records.YMIN: tf.io.VarLenFeature(tf.float32),
    records.XMIN: tf.io.VarLenFeature(tf.float32),
    records.YMAX: tf.io.VarLenFeature(tf.float32),
    records.XMAX: tf.io.VarLenFeature(tf.float32),
    records.LABEL: tf.io.VarLenFeature(tf.int64),
    records.IS_CROWD: tf.io.VarLenFeature(tf.int64),
    records.SCORE: tf.io.VarLenFeature(tf.float32),
}
_IMAGE_SPEC = {records.ENCODED: tf.io.FixedLenFeature([], tf.string)}
_LABEL_MAP_SPEC = {
    records.LABEL_MAP: tf.io.FixedLenFeature([], tf.string, ""),
    records.CONFIDENCE: tf.io.FixedLenFeature([], tf.string, ""),
}
_CLASS_SPEC = {
    records.CLASS: tf.io.FixedLenFeature([], tf.int64, 0),
    records.CLASS_SCORE: tf.io.FixedLenFeature([], tf.float32, 1.0),
}
_SIZE_SPEC = {name: _SPEC[name] for name in (records.HEIGHT, records.WIDTH)}
_ID_SPEC = {records.IMAGE_ID: _SPEC[records.IMAGE_ID]}


def decode_image_id(serialized: tf.Tensor) -> tf.Tensor:
    """Returns the [] string id of a serialised record, reading nothing else of it."""
    return tf.io.parse_single_example(serialized, _ID_SPEC)[records.IMAGE_ID]


def decode_encoded(serialized: tf.Tensor) -> tf.Tensor:
    """Returns the picture files in [...] serialised records, reading nothing else."""
    return tf.io.parse_example(serialized, _IMAGE_SPEC)[records.ENCODED]


def decode_label_map(serialized: tf.Tensor) -> tuple[LabelMap, tf.Tensor]:
    """Reads the label map of a serialised record and leaves its picture alone.

    Args:
      serialized: [] string.

    Returns:
      LabelMap [H, W] of the stored picture, `IGNORED` everywhere in a record without
      one, and its [] string id.
    """
    fields = tf.io.parse_single_example(
        serialized, _SIZE_SPEC | _ID_SPEC | _LABEL_MAP_SPEC
    )
    return _label_map(fields), fields[records.IMAGE_ID]


def decode_unopened_map(
    serialized: tf.Tensor,
) -> tuple[tf.Tensor, LabelMap, tf.Tensor, tf.Tensor]:
    """Does for label maps what `decode_unopened` does for boxes."""
    fields = tf.io.parse_single_example(
        serialized, _SIZE_SPEC | _ID_SPEC | _LABEL_MAP_SPEC | _IMAGE_SPEC
    )
    label_map = _label_map(fields)
    return fields[records.ENCODED], label_map, fields[records.IMAGE_ID], _size(fields)


def decode_class(serialized: tf.Tensor) -> tuple[Classes, tf.Tensor]:
    """Reads the class of a serialised record and leaves its picture alone.

    Args:
      serialized: [] string.

    Returns:
      Classes [1], of weight 0 in a record without one (or with label 0 or less), and
      its [] string id.
    """
    fields = tf.io.parse_single_example(serialized, _ID_SPEC | _CLASS_SPEC)
    return _classes(fields), fields[records.IMAGE_ID]


def decode_unopened_class(
    serialized: tf.Tensor,
) -> tuple[tf.Tensor, Classes, tf.Tensor, tf.Tensor]:
    """Does for classes of pictures what `decode_unopened` does for boxes."""
    fields = tf.io.parse_single_example(
        serialized, _SIZE_SPEC | _ID_SPEC | _CLASS_SPEC | _IMAGE_SPEC
    )
    classes = _classes(fields)
    return fields[records.ENCODED], classes, fields[records.IMAGE_ID], _size(fields)


def decode_unlabeled(
    serialized: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Reads the picture of a serialised record, still encoded, and no label.

    Returns:
      The bytes of the picture, its [] string id, and its [2] int32 height and width.
    """
    fields = tf.io.parse_single_example(serialized, _SIZE_SPEC | _ID_SPEC | _IMAGE_SPEC)
    return fields[records.ENCODED], fields[records.IMAGE_ID], _size(fields)


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Returns [H, W, 3] uint8 for the bytes of a picture file, grey or RGB.

    An EXIF orientation is ignored: the pixels of records are upright.
    """
    image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
    image.set_shape([None, None, 3])
    return image


def decode_shrunk_image(encoded: tf.Tensor, halvings: tf.Tensor) -> tf.Tensor:
    """Returns a picture with all, half, a quarter or an eighth of its sides.

    Args:
      encoded: [] string, bytes of a picture file.
      halvings: [] int32 in [0, 3]; sides are divided by 2 to its power.

    Returns:
      [H', W', 3] uint8. A JPEG is decoded to its low frequencies, nearly the means.
    """
    todo = [
        lambda factor=factor: tf.io.decode_jpeg(encoded, channels=3, ratio=factor)
        for factor in shrinking.FACTORS
    ]
    return tf.ensure_shape(
        tf.cond(
            tf.io.is_jpeg(encoded),
            lambda: tf.switch_case(halvings, todo),
            lambda: shrinking.shrink(decode_image(encoded), halvings),
        ),
        [None, None, 3],
    )


def decoding_problem(encoded: bytes) -> str:
    """Returns TensorFlow's complaint about a picture; empty if it can be decoded.

    It rejects damage that Pillow forgives, which a training run would meet days later.
    """
    try:
        tf.io.decode_image(encoded, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        return error.message
    return ""


def decode_labels(
    serialized: tf.Tensor, *, label_of_class_0: int = 1
) -> tuple[Boxes, tf.Tensor]:
    """Reads the labels of a serialised record and leaves its picture alone.

    Args:
      serialized: [] string.
      label_of_class_0: Label in the file that becomes class id 0.

    Returns:
      Labels [N, ...] in pixels of the stored picture, and its [] string id.
    """
    fields = tf.io.parse_single_example(serialized, _SPEC)
    return _labels(fields, label_of_class_0), fields[records.IMAGE_ID]


def decode_example(serialized: tf.Tensor, *, label_of_class_0: int = 1) -> Example:
    """Reads a serialised record with its picture.

    Args:
      serialized: [] string.
      label_of_class_0: Label in the file that becomes class id 0.
    """
    encoded, labels, image_id, _ = decode_unopened(
        serialized, label_of_class_0=label_of_class_0
    )
    return Example(image=decode_image(encoded), labels=labels, image_id=image_id)


def decode_unopened(
    serialized: tf.Tensor, *, label_of_class_0: int = 1
) -> tuple[tf.Tensor, Boxes, tf.Tensor, tf.Tensor]:
    """Reads a serialised record and leaves its picture encoded.

    Args:
      serialized: [] string.
      label_of_class_0: Label in the file that becomes class id 0.

    Returns:
      The bytes of the picture, its labels and id as an Example has them, and its [2]
      int32 height and width.
    """
    fields = tf.io.parse_single_example(serialized, _SPEC | _IMAGE_SPEC)
    labels = _labels(fields, label_of_class_0)
    return fields[records.ENCODED], labels, fields[records.IMAGE_ID], _size(fields)


def _size(fields) -> tf.Tensor:
    return tf.cast(tf.stack([fields[records.HEIGHT], fields[records.WIDTH]]), tf.int32)


def _label_map(fields) -> LabelMap:
    size = _size(fields)

    def plane(name):
        encoded = fields[name]
        pixels = tf.cond(
            encoded == "",
            lambda: tf.fill(size, tf.constant(IGNORED, tf.uint8)),
            lambda: tf.io.decode_png(encoded, channels=1)[..., 0],
        )
        return tf.ensure_shape(pixels, [None, None])

    # Human label maps come without a confidence, which is then the highest.
    return LabelMap(plane(records.LABEL_MAP), plane(records.CONFIDENCE))


def _classes(fields) -> Classes:
    label = tf.cast(fields[records.CLASS], tf.int32)[None]
    return Classes(
        class_ids=tf.maximum(label - 1, 0),
        scores=fields[records.CLASS_SCORE][None],
        weights=tf.cast(label > 0, tf.float32),
    )


def _labels(fields, label_of_class_0: int) -> Boxes:
    sides = [records.YMIN, records.XMIN, records.YMAX, records.XMAX]
    shares = tf.stack([tf.sparse.to_dense(fields[side]) for side in sides], axis=-1)
    size = tf.cast(_size(fields), tf.float32)
    labels = tf.cast(tf.sparse.to_dense(fields[records.LABEL]), tf.int32)
    ones = tf.ones_like(shares[:, 0])
    # Crowd flags and scores may be absent from records that other tools wrote.
    is_crowd = _or_default(tf.sparse.to_dense(fields[records.IS_CROWD]) > 0, ones < 0.0)
    scores = _or_default(tf.sparse.to_dense(fields[records.SCORE]), ones)
    return Boxes(
        boxes_yxyx=shares * tf.concat([size, size], axis=0),
        class_ids=labels - label_of_class_0,
        scores=scores,
        weights=ones,
        is_crowd=is_crowd,
    )


def _or_default(values: tf.Tensor, default: tf.Tensor) -> tf.Tensor:
    present = tf.shape(values)[0] > 0
    return tf.cond(present, lambda: values, lambda: default)
