"""What moving pixels on a canvas promises: what the host does, and under XLA."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data.augment import canvas, cuts, geometry, warp

SIZE = (60, 100)  # Height and width of the canvas.
TARGET = (64, 96)
WHOLE = (0, 0, *SIZE)
WINDOW = (4, 13, 47, 90)  # 43 x 77 px.
PIXELS = np.random.default_rng(0).integers(0, 256, [*SIZE, 3]).astype(np.uint8)
CLASSES = np.random.default_rng(1).integers(0, 21, [*SIZE, 1]).astype(np.uint8)
GREY = 128
MAPS = {
    "moved": ((1.0, 0.0, -5.0), (0.0, 1.0, 11.0)),
    "scaled": ((0.77, 0.0, 3.3), (0.0, 1.31, -20.7)),
    "turned_and_sheared": ((1.1, 0.5, -15.0), (-0.3, 0.9, 20.0)),
    "mirrored": ((0.9, 0.1, 2.0), (0.25, -1.2, 101.0)),
    "turned_far": ((0.2, 1.1, -8.0), (-1.3, 0.1, 88.0)),
    "small": ((0.31, 0.12, 8.0), (-0.1, 0.37, 40.0)),
    "away": ((1.0, 0.1, 300.0), (-0.1, 1.0, 0.0)),
}

# One compilation for all maps, as in a training step.
_bilinear = tf.function(
    lambda pixels, matrix, window: canvas.warp(
        pixels, matrix, window, TARGET, fill=GREY
    ),
    jit_compile=True,
)
_within = tf.function(
    lambda pixels, matrix, window: canvas.within(pixels, matrix, window, fill=GREY),
    jit_compile=True,
)


def come_from(matrix):
    """Returns [H, W, 2], the point of the canvas each pixel's centre shows."""
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))
    y, x = np.mgrid[: TARGET[0], : TARGET[1]] + 0.5
    return np.stack([y, x, np.ones_like(y)], -1) @ back[:2].T


def take(index, window):
    """Returns the pixels at [H, W, 2] whole numbers, grey outside of the window."""
    y0, x0, y1, x1 = window
    inside = np.all((index >= (y0, x0)) & (index < (y1, x1)), axis=-1)
    y, x = np.where(inside[..., None], index, 0).transpose(2, 0, 1)
    return np.where(inside[..., None], PIXELS[y, x], GREY)


def bilinear(matrix, window):
    """Returns the image by the formula, in float64."""
    point = come_from(matrix) - 0.5
    low = np.floor(point).astype(int)
    found = 0
    for corner in ((0, 0), (0, 1), (1, 0), (1, 1)):
        near = 1 - np.abs(point - (low + corner))
        found += near.prod(-1)[..., None] * take(low + corner, window)
    return found


def on_host(matrix, window):
    """Returns what `warp` shows of the picture in a window of the canvas."""
    y0, x0, y1, x1 = window
    to_canvas = tf.constant([[1.0, 0, y0], [0, 1.0, x0]])
    size = tf.constant([y1 - y0, x1 - x0])
    how = geometry.fit(size, TARGET)._replace(
        matrix=geometry.compose(tf.constant(matrix, tf.float32), to_canvas),
        is_straight=tf.constant(False),
    )
    return warp.warp_image(tf.constant(PIXELS[y0:y1, x0:x1]), how, TARGET).numpy()


@pytest.mark.parametrize("window", [WHOLE, WINDOW], ids=["whole", "window"])
@pytest.mark.parametrize("name", MAPS)
def test_a_pixel_is_the_mean_of_the_four_it_comes_from(name, window):
    matrix = tf.constant(MAPS[name], tf.float32)
    found = _bilinear(tf.constant(PIXELS), matrix, tf.constant(window)).numpy()
    # Half a level of rounding, and what float32 makes of the place.
    np.testing.assert_allclose(found, bilinear(MAPS[name], window), rtol=0, atol=0.6)


@pytest.mark.parametrize("window", [WHOLE, WINDOW], ids=["whole", "window"])
@pytest.mark.parametrize("name", MAPS)
def test_a_canvas_shows_under_xla_what_the_host_shows(name, window):
    matrix = tf.constant(MAPS[name], tf.float32)
    image = on_host(MAPS[name], window)
    found = _bilinear(tf.constant(PIXELS), matrix, tf.constant(window))
    assert (found.shape, found.dtype) == ((*TARGET, 3), tf.uint8)
    np.testing.assert_allclose(found.numpy().astype(int), image.astype(int), atol=1)


def test_what_is_on_the_canvas_around_the_window_is_never_seen():
    # All around the window is white; the window is black; the rest is grey.
    y0, x0, y1, x1 = WINDOW
    pixels = np.full([*SIZE, 3], 255, np.uint8)
    pixels[y0:y1, x0:x1] = 0
    for rows in MAPS.values():
        found = _bilinear(
            tf.constant(pixels), tf.constant(rows, tf.float32), tf.constant(WINDOW)
        )
        assert found.numpy().max() <= GREY


def test_the_identity_changes_no_pixel_of_the_window():
    matrix = tf.constant([[1.0, 0, 0], [0, 1.0, 0]])
    found = _bilinear(tf.constant(PIXELS), matrix, tf.constant(WINDOW)).numpy()
    expected = np.full([*TARGET, 3], GREY)
    expected[4:47, 13:90] = PIXELS[4:47, 13:90]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "name, argument",
    [("TranslateX", 9.0), ("ShearY", 0.21), ("ShearX", -0.3), ("Rotate", -17.0)],
)
def test_a_window_is_moved_inside_its_own_edges_as_the_host_does(name, argument):
    y0, x0, y1, x1 = WINDOW
    move = geometry.move_of(
        (name,), tf.constant(0), tf.constant(argument), tf.constant([43.0, 77.0])
    )
    expected = PIXELS.copy()
    expected[y0:y1, x0:x1] = warp.move_image(tf.constant(PIXELS[y0:y1, x0:x1]), move)
    found = _within(tf.constant(PIXELS), move, tf.constant(WINDOW)).numpy()
    np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=1)
    outside = np.ones(SIZE, bool)
    outside[y0:y1, x0:x1] = False
    np.testing.assert_array_equal(found[outside], PIXELS[outside])


@pytest.mark.parametrize("pixels", [PIXELS, CLASSES], ids=["image", "label_map"])
def test_rectangles_are_painted_as_on_the_host(pixels):
    rectangles = [(3, 50, 20, 100), (10, 60, 59, 61), (0, 0, 0, 0), (5, 5, 5, 90)]
    rectangles = tf.constant(rectangles, tf.float32)
    paint = tf.function(canvas.paint_over, jit_compile=True)
    found = paint(tf.constant(pixels), rectangles, fill=77)
    expected = pixels.copy()
    expected[3:20, 50:100] = 77
    expected[10:59, 60:61] = 77
    np.testing.assert_array_equal(found, expected)
    host = cuts.paint_over(tf.constant(pixels), rectangles, 77)
    np.testing.assert_array_equal(host, expected)


def test_an_empty_window_changes_nothing():
    move = tf.constant([[1.0, 0, 5], [0, 1.0, -5]])
    found = _within(tf.constant(PIXELS), move, tf.constant((7, 9, 7, 9)))
    np.testing.assert_array_equal(found, PIXELS)
