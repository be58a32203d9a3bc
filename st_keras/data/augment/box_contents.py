"""Changes of the pixels inside single boxes: AutoAugment's `Only_BBoxes` operations.

Every box has its own strength and sign. Boxes are changed one after the other, so
where two overlap, both changes are seen.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from st_keras.data.augment import canvas, cuts, geometry, operations, pixels, warp
from st_keras.data.augment.warp import FILL_GREY


class BoxContents(NamedTuple):
    """Which boxes one operation changes, and how; they come first, then zeros."""

    boxes_yxyx: Any  # [N, 4] float32, pixels of the picture.
    arguments: Any  # [N] float32, signed.
    centers_yx: Any  # [N, 2] float32 in [0, 1), of a cut within its box.


def change(
    image: tf.Tensor, name: str, contents: BoxContents, *, on_canvas: bool
) -> tf.Tensor:
    """Returns the image after one operation.

    Args:
      image: [H, W, 3] uint8.
      name: One of `operations.BOX_CONTENTS`.
      contents: Of the operation.
      on_canvas: Uses operations of static shape only, for XLA.
    """
    name = name.removesuffix(operations.IN_BOXES)
    size = tf.shape(image)[:2]
    limit = tf.concat([size, size], 0)
    count = tf.reduce_sum(tf.cast(contents.boxes_yxyx[:, 2] > 0.0, tf.int32))

    def change_next(index, pixels_so_far):
        one = BoxContents(*(field[index] for field in contents))
        low, high = tf.split(one.boxes_yxyx, 2)
        window = tf.concat([tf.floor(low), tf.math.ceil(high)], 0)
        window = tf.clip_by_value(tf.cast(window, tf.int32), 0, limit)
        one = one._replace(boxes_yxyx=window)
        how = _on_canvas if on_canvas else _cut_out
        changed = how(pixels_so_far, name, one)
        changed.set_shape(image.shape)
        return index + 1, changed

    _, changed = tf.while_loop(lambda index, _: index < count, change_next, [0, image])
    return changed


def scaled(
    contents: BoxContents, scale_yx: tf.Tensor, is_length: tf.Tensor
) -> BoxContents:
    """Returns the contents of boxes for a picture that is shown smaller or larger.

    Args:
      contents: [K, N, ...].
      scale_yx: [2] float32.
      is_length: [K] bool: the operation's argument is in pixels.
    """
    grown = contents.arguments * tf.reduce_max(scale_yx)
    return contents._replace(
        boxes_yxyx=contents.boxes_yxyx * tf.concat([scale_yx, scale_yx], 0),
        arguments=tf.where(is_length[:, None], grown, contents.arguments),
    )


def padded(contents: BoxContents, num_boxes: int) -> BoxContents:
    """Returns [K, N, ...] contents with exactly `num_boxes` boxes, at least one.

    XLA compiles the loop over boxes even if there are none, and then cannot index them.
    """
    num_boxes = max(num_boxes, 1)

    def pad(field):
        field = field[:, :num_boxes]
        missing = [[0, 0], [0, num_boxes - tf.shape(field)[1]]]
        missing += [[0, 0]] * (field.shape.rank - 2)
        shape = [field.shape[0], num_boxes, *field.shape[2:]]
        return tf.ensure_shape(tf.pad(field, missing), shape)

    return BoxContents(*(pad(field) for field in contents))


def _on_canvas(image, name, one: BoxContents) -> tf.Tensor:
    window = one.boxes_yxyx
    size = tf.cast(window[2:] - window[:2], tf.float32)
    if name == "Cutout":
        corner = tf.cast(window[:2], tf.float32)
        cut = cuts.square(one.centers_yx * size, one.arguments, size)
        cut += tf.concat([corner, corner], 0)
        return canvas.paint_over(image, cut[None], fill=FILL_GREY)
    if name in pixels.OPERATIONS:
        changed = pixels.OPERATIONS[name](image, one.arguments, window)
        return tf.where(pixels.inside_window(image, window), changed, image)
    matrix = _matrix(name, one.arguments, size)
    return canvas.within(image, matrix, window, fill=FILL_GREY)


def _cut_out(image, name, one: BoxContents) -> tf.Tensor:
    y0, x0, y1, x1 = tf.unstack(one.boxes_yxyx)
    content = image[y0:y1, x0:x1]
    size = tf.cast(tf.shape(content)[:2], tf.float32)
    if name == "Cutout":
        cut = cuts.square(one.centers_yx * size, one.arguments, size)
        content = cuts.paint_over(content, cut[None], FILL_GREY)
    elif name in pixels.OPERATIONS:
        content = pixels.OPERATIONS[name](content, one.arguments)
    else:
        content = warp.move_image(content, _matrix(name, one.arguments, size))
    return cuts.put(image, content, one.boxes_yxyx)


def _matrix(name, argument, size) -> tf.Tensor:
    if name == "Flip":
        row = tf.stack([0.0, -1.0, size[1]])
        return tf.stack([tf.constant([1.0, 0.0, 0.0]), row])
    return geometry.move_of((name,), tf.constant(0), argument, size)
