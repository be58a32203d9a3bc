"""What changes in single boxes promise: nothing outside, a loop over crops inside."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from st_keras.data.augment import box_contents, operations
from st_keras.data.augment.box_contents import BoxContents

HEIGHT, WIDTH = 48, 72
Y, X = np.mgrid[:HEIGHT, :WIDTH]
# Smooth, so that half a pixel is a few levels; dark, so that grey 128 is seen.
SMOOTH = np.stack([Y + X // 2, 90 - X, 2 * Y + 5], axis=-1).astype(np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, [HEIGHT, WIDTH, 3]).astype(np.uint8)
# 20 x 33, 12 x 9 at the corner, 1 x 30; apart from each other.
BOXES = ((5, 7, 25, 40), (36, 63, 48, 72), (30, 20, 31, 50))
# By name: the strength, as it is drawn, and where the centre of a cut lies in its box.
CASES = {
    "Cutout_Only_BBoxes": 6.0,
    "Equalize_Only_BBoxes": 0.0,
    "Flip_Only_BBoxes": 0.0,
    "Rotate_Only_BBoxes": 18.0,
    "ShearX_Only_BBoxes": 0.18,
    "ShearY_Only_BBoxes": 0.18,
    "Solarize_Only_BBoxes": 77.0,
    "TranslateX_Only_BBoxes": 7.0,
    "TranslateY_Only_BBoxes": 3.5,
}
SIGNED = [name for name in CASES if name.startswith(("Rotate", "Shear", "Transl"))]
PAIRS = [(name, CASES[name]) for name in CASES]
PAIRS += [(name, -CASES[name]) for name in SIGNED]
CENTERS = ((0.3, 0.8), (0.1, 0.5), (0.9, 0.2))
EXACT = ("Cutout", "Equalize", "Flip", "Solarize", "TranslateX")


def contents_of(argument, boxes=BOXES, padding=1):
    rows = len(boxes) + padding
    found = BoxContents(
        np.zeros([rows, 4], np.float32),
        np.zeros([rows], np.float32),
        np.zeros([rows, 2], np.float32),
    )
    if not boxes:
        return BoxContents(*(tf.constant(field) for field in found))
    found.boxes_yxyx[: len(boxes)] = boxes
    found.arguments[: len(boxes)] = argument
    found.centers_yx[: len(boxes)] = (CENTERS * 2)[: len(boxes)]
    return BoxContents(*(tf.constant(field) for field in found))


def change(image, name, contents, on_canvas=False):
    return box_contents.change(
        tf.constant(image), name, contents, on_canvas=on_canvas
    ).numpy()


@functools.cache
def compiled(name, rows):
    """The variant for a canvas, compiled with XLA."""
    return tf.function(
        lambda image, contents: box_contents.change(
            image, name, contents, on_canvas=True
        ),
        input_signature=[
            tf.TensorSpec([HEIGHT, WIDTH, 3], tf.uint8),
            BoxContents(
                tf.TensorSpec([rows, 4]),
                tf.TensorSpec([rows]),
                tf.TensorSpec([rows, 2]),
            ),
        ],
        jit_compile=True,
    )


def source_of(name, argument, height, width):
    """Where in a crop each of its pixels is read; y and x of centres, in pixels."""
    y, x = np.mgrid[:height, :width] + 0.5
    if name == "TranslateX":
        return y, x - argument
    if name == "TranslateY":
        return y - argument, x
    if name == "ShearX":
        return y, x + argument * y
    if name == "ShearY":
        return y + argument * x, x
    angle, dy, dx = np.deg2rad(argument), y - height / 2, x - width / 2
    # Turned clockwise, so it is read from a place turned the other way.
    return (
        np.cos(angle) * dy - np.sin(angle) * dx + height / 2,
        np.sin(angle) * dy + np.cos(angle) * dx + width / 2,
    )


def bilinear(crop, y, x):
    """Reads a crop with grey 128 around it."""
    height, width = crop.shape[:2]
    around = np.full([height + 2, width + 2, 3], 128.0)
    around[1:-1, 1:-1] = crop
    y, x = np.clip(y + 0.5, 0, height + 1), np.clip(x + 0.5, 0, width + 1)
    top = np.minimum(y.astype(int), height)
    left = np.minimum(x.astype(int), width)
    down, right = (y - top)[..., None], (x - left)[..., None]
    upper = around[top, left] * (1 - right) + around[top, left + 1] * right
    lower = around[top + 1, left] * (1 - right) + around[top + 1, left + 1] * right
    return np.floor(upper * (1 - down) + lower * down + 0.5)


def expected_crop(crop, name, argument, center_yx):
    name = name.removesuffix(operations.IN_BOXES)
    height, width = crop.shape[:2]
    if name == "Flip":
        return crop[:, ::-1]
    if name == "Equalize":
        return np.asarray(ImageOps.equalize(Image.fromarray(crop)))
    if name == "Solarize":
        return np.asarray(ImageOps.solarize(Image.fromarray(crop), int(argument)))
    if name == "Cutout":
        y = int(np.float32(center_yx[0]) * np.float32(height))
        x = int(np.float32(center_yx[1]) * np.float32(width))
        half, painted = int(argument), crop.copy()
        painted[max(y - half, 0) : y + half, max(x - half, 0) : x + half] = 128
        return painted
    return bilinear(crop.astype(float), *source_of(name, argument, height, width))


def expected(image, name, argument, boxes=BOXES):
    """Goes over the boxes one by one, in order."""
    image = image.copy()
    for (y0, x0, y1, x1), center in zip(boxes, CENTERS * 2, strict=False):
        crop = image[y0:y1, x0:x1].copy()
        image[y0:y1, x0:x1] = expected_crop(crop, name, argument, center)
    return image


def is_outside(boxes=BOXES):
    outside = np.ones([HEIGHT, WIDTH], bool)
    for y0, x0, y1, x1 in boxes:
        outside[y0:y1, x0:x1] = False
    return outside


def worst(first, second):
    return np.abs(first.astype(int) - second.astype(int)).max()


def test_every_operation_is_tested():
    assert set(CASES) == set(operations.BOX_CONTENTS)


@pytest.mark.parametrize("image", [SMOOTH, NOISE], ids=["smooth", "noise"])
@pytest.mark.parametrize("name, argument", PAIRS)
def test_nothing_outside_of_the_boxes_changes(image, name, argument):
    found = change(image, name, contents_of(argument))
    np.testing.assert_array_equal(found[is_outside()], image[is_outside()])
    assert np.any(found != image)


@pytest.mark.parametrize("image", [SMOOTH, NOISE], ids=["smooth", "noise"])
@pytest.mark.parametrize("name, argument", PAIRS)
def test_inside_it_is_what_a_loop_over_crops_makes(image, name, argument):
    found = change(image, name, contents_of(argument))
    levels = 0 if name.startswith(EXACT) else 1
    assert worst(found, expected(image, name, argument)) <= levels


@pytest.mark.parametrize("argument", [18.0, -18.0])
def test_a_positive_turn_is_clockwise_as_pil_turns_the_other_way(argument):
    y0, x0, y1, x1 = BOXES[0]
    found = change(SMOOTH, "Rotate_Only_BBoxes", contents_of(argument))[y0:y1, x0:x1]
    turned = Image.fromarray(SMOOTH[y0:y1, x0:x1]).rotate(
        -argument, Image.Resampling.BILINEAR, fillcolor=(128, 128, 128)
    )
    # PIL does not fade to the grey around; it draws a sharp edge.
    error = np.abs(found.astype(int) - np.asarray(turned)).max(axis=2)
    assert np.mean(error > 1) < 0.12 and np.all(error[5:-5, 8:-8] <= 1)


def test_a_translation_leaves_grey_and_takes_nothing_from_beside_the_box():
    y0, x0, y1, x1 = BOXES[0]
    found = change(NOISE, "TranslateX_Only_BBoxes", contents_of(7.0))[y0:y1, x0:x1]
    assert np.all(found[:, :7] == 128)
    np.testing.assert_array_equal(found[:, 7:], NOISE[y0:y1, x0 : x1 - 7])
    # Farther than the box is wide: nothing is left.
    found = change(NOISE, "TranslateX_Only_BBoxes", contents_of(-90.0))[y0:y1, x0:x1]
    assert np.all(found == 128)


@pytest.mark.parametrize("name", ["Rotate", "ShearX", "ShearY", "TranslateY"])
@pytest.mark.parametrize("way", [-1, 1])
@pytest.mark.parametrize("on_canvas", [False, True])
def test_what_a_move_leaves_empty_is_grey_and_no_reflection(name, way, on_canvas):
    name = f"{name}_Only_BBoxes"
    white = np.full([HEIGHT, WIDTH, 3], 255, np.uint8)
    contents = contents_of(way * 2 * CASES[name], BOXES[:1])
    found = change(white, name, contents, on_canvas)
    y0, x0, y1, x1 = BOXES[0]
    inside = found[y0:y1, x0:x1]
    assert np.all(inside >= 128) and np.all(found[is_outside(BOXES[:1])] == 255)
    height, width = y1 - y0, x1 - x0
    y, x = source_of(
        name.removesuffix("_Only_BBoxes"), way * 2 * CASES[name], height, width
    )
    is_empty = (y <= -0.5) | (y >= height + 0.5) | (x <= -0.5) | (x >= width + 0.5)
    assert is_empty.sum() > 20 and np.all(inside[is_empty] == 128)


@pytest.mark.parametrize("name", CASES)
def test_boxes_that_overlap_are_changed_one_after_the_other(name):
    boxes = ((5, 7, 30, 40), (14, 20, 44, 66), (2, 30, 28, 50))
    found = change(SMOOTH, name, contents_of(CASES[name], boxes))
    other = expected(SMOOTH, name, CASES[name], boxes)
    # A level of difference can grow where it is equalized or interpolated again.
    assert worst(found, other) <= (0 if name.startswith(EXACT) else 2)
    backwards = expected(SMOOTH, name, CASES[name], boxes[::-1])
    if name not in ("Cutout_Only_BBoxes", "Solarize_Only_BBoxes"):
        assert worst(found, backwards) > 5


@pytest.mark.parametrize("on_canvas", [False, True])
def test_each_box_has_its_own_argument(on_canvas):
    contents = contents_of([4.0, -3.0, 0.0])
    found = change(NOISE, "TranslateX_Only_BBoxes", contents, on_canvas)
    assert np.all(found[5:25, 7:11] == 128)
    np.testing.assert_array_equal(found[5:25, 11:40], NOISE[5:25, 7:36])
    assert np.all(found[36:, 69:] == 128)
    np.testing.assert_array_equal(found[36:, 63:69], NOISE[36:, 66:])
    np.testing.assert_array_equal(found[30], NOISE[30])


@pytest.mark.parametrize("on_canvas", [False, True])
def test_rows_of_zeros_change_nothing(on_canvas):
    for name in CASES:
        contents = contents_of(9.0, boxes=(), padding=2)
        found = change(NOISE, name, contents, on_canvas)
        np.testing.assert_array_equal(found, NOISE)


def test_no_rows_are_legal():
    contents = contents_of(9.0, boxes=(), padding=0)
    found = change(NOISE, "Rotate_Only_BBoxes", contents)
    np.testing.assert_array_equal(found, NOISE)


@pytest.mark.parametrize("on_canvas", [False, True])
def test_a_box_with_fractions_is_changed_to_the_whole_pixels_it_touches(on_canvas):
    contents = contents_of(0.0, boxes=((5.7, 7.2, 24.1, 39.9),))
    found = change(NOISE, "Flip_Only_BBoxes", contents, on_canvas)
    np.testing.assert_array_equal(
        found, expected(NOISE, "Flip_Only_BBoxes", 0.0, BOXES[:1])
    )


@pytest.mark.parametrize("on_canvas", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_a_box_may_be_a_pixel_or_reach_out_of_the_picture(name, on_canvas):
    boxes = ((10.2, 50.1, 10.9, 50.8), (30.0, 60.0, 55.5, 80.0))
    inside = ((10, 50, 11, 51), (30, 60, 48, 72))
    contents = contents_of(CASES[name], boxes)
    found = change(SMOOTH, name, contents, on_canvas)
    assert worst(found, expected(SMOOTH, name, CASES[name], inside)) <= 1


@pytest.mark.parametrize("image", [SMOOTH, NOISE], ids=["smooth", "noise"])
@pytest.mark.parametrize("name, argument", PAIRS)
def test_on_a_canvas_and_compiled_it_is_the_same(name, argument, image):
    boxes = (*BOXES, (8, 30, 33, 60))  # The last one overlaps.
    contents = contents_of(argument, boxes)
    on_host = change(image, name, contents)
    found = compiled(name, len(boxes) + 1)(tf.constant(image), contents).numpy()
    assert found.shape == image.shape and found.dtype == np.uint8
    assert worst(found, on_host) <= 1


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_lengths_are_scaled_with_the_boxes_and_angles_are_not(factor):
    contents = BoxContents(
        tf.constant([[BOXES[0]], [BOXES[1]]], tf.float32),
        tf.constant([[7.0], [18.0]]),
        tf.constant([[CENTERS[0]], [CENTERS[1]]]),
    )
    scale = tf.constant([factor, factor * 0.99])
    found = box_contents.scaled(contents, scale, tf.constant([True, False]))
    np.testing.assert_allclose(found.arguments, [[7.0 * factor], [18.0]])
    both = np.array([factor, factor * 0.99, factor, factor * 0.99])
    np.testing.assert_allclose(
        found.boxes_yxyx, np.array([[BOXES[0]], [BOXES[1]]]) * both, rtol=1e-6
    )
    np.testing.assert_array_equal(found.centers_yx, contents.centers_yx)


@pytest.mark.parametrize("num_boxes", [0, 2, 3, 7])
def test_contents_are_cut_or_filled_up_to_a_static_number_of_boxes(num_boxes):
    rng = np.random.default_rng(1)
    fields = [rng.random([2, 3, *tail]).astype(np.float32) for tail in ([4], [], [2])]

    @tf.function(
        input_signature=[
            BoxContents(
                tf.TensorSpec([2, None, 4]),
                tf.TensorSpec([2, None]),
                tf.TensorSpec([2, None, 2]),
            )
        ]
    )
    def pad(contents):
        found = box_contents.padded(contents, num_boxes)
        assert found.boxes_yxyx.shape == [2, max(num_boxes, 1), 4]
        assert found.arguments.shape == [2, max(num_boxes, 1)]
        assert found.centers_yx.shape == [2, max(num_boxes, 1), 2]
        return found

    found = pad(BoxContents(*(tf.constant(field) for field in fields)))
    for before, after in zip(fields, found, strict=True):
        kept = min(max(num_boxes, 1), 3)  # XLA wants a box, even if none may be there.
        np.testing.assert_array_equal(after[:, :kept], before[:, :kept])
        assert not np.any(after[:, kept:])
