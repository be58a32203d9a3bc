"""What painting over promises."""

import numpy as np
import pytest
import tensorflow as tf

from st_keras.data.augment import cuts

SIZE = tf.constant([60.0, 100.0])
BOX = tf.constant([12.0, 55.0, 31.0, 93.0])  # 19 high, 38 wide.
PIXELS = np.random.default_rng(0).integers(0, 256, [60, 100, 3]).astype(np.uint8)


def paint(pixels, *rectangles, fill=128):
    rectangles = np.reshape(rectangles, [-1, 4]).astype(np.float32)
    return cuts.paint_over(tf.constant(pixels), tf.constant(rectangles), fill).numpy()


@pytest.mark.parametrize(
    "center, half, expected",
    [
        # Centres are whole pixels: (12, 55).
        ((12.7, 55.2), 5.0, (7, 50, 17, 60)),
        ((2.9, 97.1), 5.0, (0, 92, 7, 100)),
        ((59.9, 0.0), 8.0, (51, 0, 60, 8)),
        ((30.0, 40.0), 0.0, (30, 40, 30, 40)),
        ((30.0, 40.0), 500.0, (0, 0, 60, 100)),
    ],
)
def test_a_square_is_cut_at_the_edges_of_the_picture(center, half, expected):
    found = cuts.square(tf.constant(center), tf.constant(half), SIZE)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "center, share, expected",
    [
        # Centre (12 + 9.5, 55 + 9.5), so pixel (21, 64); half of 19 x 38 is 9.5 x 19,
        # so 4 px to either side and 9.
        ((0.5, 0.25), 0.5, (17, 55, 25, 73)),
        # The centre is within the box; the rectangle need not be.
        ((0.0, 0.0), 0.5, (8, 46, 16, 64)),
        # Centre (30, 92); 0.75 of 19 x 38 is 14.25 x 28.5; the picture ends at 100.
        ((0.99, 0.99), 0.75, (23, 78, 37, 100)),
        ((0.5, 0.5), 0.0, (21, 74, 21, 74)),
    ],
)
def test_a_part_of_a_box_is_as_long_and_wide_as_its_share(center, share, expected):
    found = cuts.part_of_box(BOX, tf.constant(center), tf.constant(share), SIZE)
    np.testing.assert_array_equal(found, expected)


def test_a_row_of_zeros_has_no_part():
    found = cuts.part_of_box(
        tf.zeros([4]), tf.constant([0.7, 0.2]), tf.constant(0.75), SIZE
    )
    np.testing.assert_array_equal(found, np.zeros(4))


@pytest.mark.parametrize("channels", [1, 3])
def test_rectangles_are_painted_and_nothing_else(channels):
    pixels = PIXELS[..., :channels]
    found = paint(pixels, (3, 50, 20, 100), (10, 60, 59, 61), (5, 5, 5, 90), fill=77)
    expected = pixels.copy()
    expected[3:20, 50:100] = 77
    expected[10:59, 60:61] = 77
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8


@pytest.mark.parametrize("fill", [0, 128, 255])
def test_any_byte_can_be_painted(fill):
    found = paint(PIXELS, (0, 0, 60, 100), fill=fill)
    np.testing.assert_array_equal(found, np.full([60, 100, 3], fill))


def test_empty_rectangles_paint_nothing():
    np.testing.assert_array_equal(paint(PIXELS, (0, 0, 0, 0), (9, 9, 9, 9)), PIXELS)


def test_no_rectangles_paint_nothing():
    np.testing.assert_array_equal(paint(PIXELS), PIXELS)


def test_pictures_of_any_size_are_painted_in_a_stream():
    sizes = [(1, 7), (9, 4)]
    dataset = tf.data.Dataset.from_generator(
        lambda: (np.zeros([*size, 1], np.uint8) for size in sizes),
        output_signature=tf.TensorSpec([None, None, 1], tf.uint8),
    ).map(lambda pixels: cuts.paint_over(pixels, tf.constant([[0.0, 2, 1, 4]]), 255))
    assert dataset.element_spec.shape.as_list() == [None, None, 1]
    for size, found in zip(sizes, dataset.as_numpy_iterator(), strict=True):
        expected = np.zeros([*size, 1])
        expected[:1, 2:4] = 255
        np.testing.assert_array_equal(found, expected)


def test_many_are_made_as_one_is():
    centers, halves = [(12.7, 55.2), (2.9, 97.1)], [5.0, 8.0]
    found = cuts.square(tf.constant(centers), tf.constant(halves), SIZE)
    np.testing.assert_array_equal(found, [(7, 50, 17, 60), (0, 89, 10, 100)])
    boxes = tf.stack([BOX, tf.zeros([4])])
    centers = tf.constant([(0.5, 0.25), (0.5, 0.25)])
    found = cuts.part_of_box(boxes, centers, tf.constant([0.5, 0.75]), SIZE)
    np.testing.assert_array_equal(found, [(17, 55, 25, 73), (0, 0, 0, 0)])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("window", [(12, 55, 31, 93), (0, 0, 60, 100), (7, 9, 7, 9)])
def test_a_window_is_replaced_and_nothing_else(window, channels):
    y0, x0, y1, x1 = window
    pixels = PIXELS[..., :channels]
    content = np.arange((y1 - y0) * (x1 - x0) * channels) % 251
    content = content.reshape(y1 - y0, x1 - x0, channels).astype(np.uint8)
    found = cuts.put(tf.constant(pixels), tf.constant(content), tf.constant(window))
    expected = pixels.copy()
    expected[y0:y1, x0:x1] = content
    np.testing.assert_array_equal(found, expected)


def share(boxes, *rectangles):
    boxes = np.reshape(boxes, [-1, 4]).astype(np.float32)
    rectangles = np.reshape(rectangles, [-1, 4]).astype(np.float32)
    return cuts.covered_share(tf.constant(boxes), tf.constant(rectangles)).numpy()


def test_a_share_is_what_is_covered_of_each_box():
    # 10 x 20 = 200 of which 4 x 5 = 20; 6 x 7 = 42, all; nothing.
    boxes = [(10, 30, 20, 50), (0, 0, 6, 7), (50, 80, 60, 100)]
    found = share(boxes, (16, 45, 40, 90), (0, 0, 10, 10))
    np.testing.assert_allclose(found, [0.1, 1.0, 0.0])


def test_an_overlap_counts_twice_but_no_more_than_all():
    # Half and half of 10 x 20 where they are the same half; a third half is too much.
    half = (10, 30, 20, 40)
    np.testing.assert_allclose(share([(10, 30, 20, 50)], half), [0.5])
    np.testing.assert_allclose(share([(10, 30, 20, 50)], half, half), [1.0])
    np.testing.assert_allclose(share([(10, 30, 20, 50)], half, half, half), [1.0])


def test_what_only_touches_covers_nothing():
    np.testing.assert_array_equal(share([(10, 30, 20, 50)], (0, 0, 10, 100)), [0.0])


def test_of_a_box_without_area_nothing_is_covered():
    np.testing.assert_array_equal(share([(5, 5, 5, 9)], (0, 0, 60, 100)), [0.0])


def test_no_rectangles_and_no_boxes_are_legal():
    np.testing.assert_array_equal(share([(10, 30, 20, 50)]), [0.0])
    assert share([], (0, 0, 60, 100)).shape == (0,)
