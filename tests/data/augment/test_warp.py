"""What showing a picture and its label map under a geometry promises."""

from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from st_keras.data.augment import geometry, warp
from st_keras.ops import host_xla

SIZE = (60, 100)  # Height and width of the original.
TARGET = (64, 96)
PIXELS = np.random.default_rng(0).integers(0, 256, [*SIZE, 3]).astype(np.uint8)
CLASSES = np.random.default_rng(1).integers(0, 21, SIZE).astype(np.uint8)
# What is bent lies on a canvas of static size where it fits one: that of the target,
# or twice that. To 28 rows, the 60 are bent as they are.
TARGETS = ((64, 104), TARGET, (28, 96))
BOX = (12, 55, 31, 93)  # 19 high, 38 wide, right of the middle.
GREY, NO_LABEL = 128, 255
# Turns by 20 degrees, shears, and enlarges y more than x.
BENT = ((1.1, 0.5, -15.0), (-0.3, 0.9, 20.0))


def matrix(y_scale, x_scale, y_move, x_move):
    return tf.constant([[y_scale, 0, y_move], [0, x_scale, x_move]], tf.float32)


def straight(*scale_and_move, size=SIZE, target=TARGET):
    return geometry.straight(matrix(*scale_and_move), tf.constant(size), target)


def bent(rows):
    shown = straight(1, 1, 0, 0)
    return shown._replace(
        matrix=tf.constant(rows, tf.float32), is_straight=tf.constant(False)
    )


def show(pixels, how, target=TARGET):
    return warp.warp_image(tf.constant(pixels), how, target).numpy()


def show_labels(label_map, how, target=TARGET):
    planes = tf.constant(label_map)[..., None]
    return warp.warp_label_map(planes, how, target)[..., 0].numpy()


def come_from(rows, target=TARGET):
    """Returns [H, W, 2], the point of the original each pixel's centre shows."""
    back = np.linalg.inv(np.vstack([rows, [0, 0, 1]]))
    y, x = np.mgrid[: target[0], : target[1]] + 0.5
    return np.stack([y, x, np.ones_like(y)], -1) @ back[:2].T


def is_inner(pixels):
    """Returns [H, W] bool: a pixel and its eight neighbours are the same."""
    padded = np.pad(pixels, 1, mode="edge")
    height, width = pixels.shape
    return np.all(
        [
            padded[y : y + height, x : x + width] == pixels
            for y in range(3)
            for x in range(3)
        ],
        axis=0,
    )


def filled_box():
    pixels = np.zeros([*SIZE, 3], np.uint8)
    pixels[BOX[0] : BOX[2], BOX[1] : BOX[3]] = 255
    return pixels


def some_geometries():
    """Yields straight and bent ones, mirrored and not."""
    yield "whole", geometry.fit(tf.constant(SIZE), TARGET)
    yield "cut", straight(1.7, 1.7, -10, -70)
    yield "small", straight(0.6, 0.55, 12, 30)
    yield "mirrored", straight(0.8, -1.2, -4, 118)
    yield "bent", bent(BENT)
    yield "bent_and_mirrored", bent(((1.1, -0.3, 10.0), (0.4, -0.8, 80.0)))
    yield "bent_and_small", bent(((0.5, 0.2, 5.0), (-0.2, 0.5, 30.0)))


class StraightTest(tf.test.TestCase, parameterized.TestCase):
    def test_the_identity_changes_no_pixel(self):
        how = straight(1, 1, 0, 0, target=SIZE)
        self.assertAllEqual(show(PIXELS, how, SIZE), PIXELS)
        self.assertAllEqual(show_labels(CLASSES, how, SIZE), CLASSES)

    def test_whole_pixels_are_moved_as_they_are(self):
        # 5 px down and 7 px left, seen through a window of 50 x 110 px.
        how = straight(1, 1, 5, -7, target=(50, 110))
        found = show(PIXELS, how, (50, 110))
        self.assertAllEqual(found[5:, :93], PIXELS[:45, 7:])
        self.assertAllEqual(found[:5], np.full([5, 110, 3], GREY))
        self.assertAllEqual(found[:, 93:], np.full([50, 17, 3], GREY))
        found = show_labels(CLASSES, how, (50, 110))
        self.assertAllEqual(found[5:, :93], CLASSES[:45, 7:])
        self.assertAllEqual(found[:5], np.full([5, 110], NO_LABEL))
        self.assertAllEqual(found[:, 93:], np.full([50, 17], NO_LABEL))

    def test_a_mirrored_picture_is_read_from_the_right(self):
        how = straight(1, -1, 0, 100, target=SIZE)
        self.assertAllEqual(show(PIXELS, how, SIZE), PIXELS[:, ::-1])
        self.assertAllEqual(show_labels(CLASSES, how, SIZE), CLASSES[:, ::-1])

    def test_a_part_of_a_mirrored_picture_is_the_part_that_is_mirrored_there(self):
        # Column x goes to 93 - x: 0..93 are seen, from the right.
        how = straight(1, -1, -20, 93)
        self.assertAllEqual(show(PIXELS, how)[:40, :93], PIXELS[20:, 92::-1])

    @parameterized.parameters(2, 3)
    def test_enlarging_is_the_bilinear_resize_of_pil_up_to_the_edge(self, scale):
        target = (SIZE[0] * scale, SIZE[1] * scale)
        how = straight(scale, scale, 0, 0, target=target)
        resized = Image.fromarray(PIXELS).resize(
            target[::-1], Image.Resampling.BILINEAR
        )
        found = show(PIXELS, how, target).astype(int)
        self.assertAllClose(found, np.asarray(resized).astype(int), atol=1)

    def test_enlarged_labels_are_repeated(self):
        how = straight(2, 3, 0, 0, target=(120, 300))
        found = show_labels(CLASSES, how, (120, 300))
        self.assertAllEqual(found, CLASSES.repeat(2, 0).repeat(3, 1))

    def test_what_is_around_the_window_is_filled_exactly(self):
        how = straight(0.6, 0.5, 12, 30)  # 36 x 50 px.
        found = show(np.zeros([*SIZE, 3], np.uint8), how)
        expected = np.full([*TARGET, 3], GREY)
        expected[12:48, 30:80] = 0
        self.assertAllEqual(found, expected)
        found = show_labels(np.full(SIZE, 3, np.uint8), how)
        expected = np.full(TARGET, NO_LABEL)
        expected[12:48, 30:80] = 3
        self.assertAllEqual(found, expected)


class BentTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        rows=(
            BENT,
            ((0.9, 0.0, 6.4), (0.0, 1.3, -20.7)),
            ((0.7, -0.4, 30.0), (0.6, 0.8, -9.0)),
            ((0.2, 1.1, -8.0), (-1.3, 0.1, 88.0)),
        ),
        target=TARGETS,
    )
    def test_any_map_is_the_bilinear_transform_of_pil(self, rows, target):
        back = np.linalg.inv(np.vstack([rows, [0, 0, 1]]))
        # PIL wants the map back, x before y, from centre to centre, as we do.
        (a, b, p), (c, d, q) = back[:2]
        expected = Image.fromarray(PIXELS).transform(
            target[::-1],
            Image.Transform.AFFINE,
            (d, c, q, b, a, p),
            Image.Resampling.BILINEAR,
        )
        source = come_from(rows, target)
        inside = np.all((source > 1) & (source < np.array(SIZE) - 1), axis=-1)
        self.assertGreater(inside.mean(), 0.2)
        found = show(PIXELS, bent(rows), target).astype(int)
        expected = np.asarray(expected).astype(int)
        self.assertAllClose(found[inside], expected[inside], atol=1)
        with mock.patch.object(host_xla, "_is_allowed", False):
            uncompiled = show(PIXELS, bent(rows), target).astype(int)
        self.assertAllClose(uncompiled[inside], expected[inside], atol=1)

    @parameterized.parameters(
        (BENT,),
        (((0.2, 1.1, -8.0), (-1.3, 0.1, 88.0)),),
        # All of it is seen, away from the edges of the target.
        (((0.5, 0.2, 5.0), (-0.2, 0.5, 30.0)),),
    )
    def test_a_label_is_that_of_the_pixel_it_comes_from(self, rows):
        source = come_from(rows)
        # A hair from the edge between two pixels, rounding decides.
        is_clear = np.all(np.abs(source - np.round(source)) > 1e-3, axis=-1)
        inside = np.all((source > 0) & (source < SIZE), axis=-1)
        y, x = np.where(inside[..., None], source, 0).astype(int).transpose(2, 0, 1)
        expected = np.where(inside, CLASSES[y, x], NO_LABEL)
        found = show_labels(CLASSES, bent(rows))
        self.assertGreater(is_clear.mean(), 0.95)
        self.assertAllEqual(found[is_clear], expected[is_clear])

    @parameterized.parameters(*((target,) for target in TARGETS))
    def test_grey_is_exact_away_from_the_picture_and_nothing_is_reflected(self, target):
        source = come_from(BENT, target)
        outside = np.any((source < -0.5) | (source > np.array(SIZE) + 0.5), axis=-1)
        self.assertGreater(outside.sum(), 200)
        found = show(np.zeros([*SIZE, 3], np.uint8), bent(BENT), target)
        self.assertAllEqual(found[outside], np.full([outside.sum(), 3], GREY))

    @parameterized.parameters(*((target,) for target in TARGETS))
    def test_all_that_is_shifted_out_is_grey(self, target):
        shown = matrix(0.96, 0.96, 0, 0)
        for move in ((0, 210), (0, -112), (-70, 0), (300, 300)):
            how = geometry.after(shown, matrix(1, 1, *move), tf.constant(SIZE), target)
            self.assertFalse(how.is_straight)
            found = show(np.zeros([*SIZE, 3], np.uint8), how, target)
            self.assertAllEqual(found, np.full([*target, 3], GREY))
            found = show_labels(CLASSES, how, target)
            self.assertAllEqual(found, np.full(target, NO_LABEL))

    @parameterized.named_parameters(
        (name, how)
        for name, *how in (
            ("enlarged", 1.7, 1.7, -10, -70),
            ("shrunken", 0.6, 0.55, 12, 30),
            ("mirrored", 0.8, -1.2, -4, 118),
            ("much_shrunken", 0.2, 0.3, 50, 2),
        )
    )
    def test_a_straight_geometry_shows_the_same_if_it_is_taken_as_bent(self, how):
        cut = straight(*how)
        self.assertTrue(cut.is_straight)
        warped = cut._replace(is_straight=tf.constant(False))
        y0, x0, y1, x1 = cut.target_yxyx.numpy()
        # Where a window ends, a cut repeats its last pixel and a warp mixes the next.
        edge = int(np.ceil(np.abs(how[:2]).max() / 2)) + 1
        inner = np.s_[y0 + edge : y1 - edge, x0 + edge : x1 - edge]
        first, second = show(PIXELS, cut).astype(int), show(PIXELS, warped).astype(int)
        self.assertGreater(first[inner].size, 200)
        self.assertAllClose(first[inner], second[inner], atol=1)
        first, second = show_labels(CLASSES, cut), show_labels(CLASSES, warped)
        # A centre on the edge between two pixels may show either.
        source = come_from(cut.matrix.numpy())
        is_clear = np.all(np.abs(source - np.round(source)) > 1e-3, axis=-1)
        self.assertAllEqual(first[is_clear], second[is_clear])


class LabelMapTest(tf.test.TestCase, parameterized.TestCase):
    def test_labels_are_where_the_pixels_are_up_to_the_border(self):
        pixels = filled_box()
        for name, how in some_geometries():
            is_box = show(pixels, how)[..., 0] > 191  # Brighter than grey.
            labels = show_labels(pixels[..., 0] // 255, how)
            inner = is_inner(labels)
            self.assertGreater((inner & (labels == 1)).sum(), 60, msg=name)
            self.assertAllEqual(is_box[inner], labels[inner] == 1, msg=name)

    def test_no_label_is_where_no_picture_is_up_to_the_border(self):
        for name, how in some_geometries():
            is_outside = show(np.zeros([*SIZE, 3], np.uint8), how)[..., 0] == GREY
            labels = show_labels(np.zeros(SIZE, np.uint8), how)
            inner = is_inner(labels)
            self.assertAllEqual(is_outside[inner], labels[inner] == NO_LABEL, msg=name)

    def test_there_are_no_labels_but_those_of_the_map(self):
        classes = np.where(CLASSES < 10, 3, 17).astype(np.uint8)
        for name, how in some_geometries():
            found = set(np.unique(show_labels(classes, how)))
            self.assertLessEqual(found, {3, 17, NO_LABEL}, msg=name)


class SizesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(0.0, 25.0)
    def test_pictures_of_any_size_fill_one_static_shape(self, degrees):
        sizes = [(32, 40), (3000, 4000), (1, 50), (70, 1), (1, 1), (1, 3000)]

        def shown(pixels):
            size = tf.shape(pixels)[:2]
            how = geometry.fit(size, TARGET)
            turn = geometry.move_of(
                ("Rotate",),
                tf.constant(0),
                tf.constant(degrees),
                tf.cast(size, tf.float32),
            )
            how = geometry.after(how.matrix, turn, size, TARGET)
            return (
                warp.warp_image(pixels, how, TARGET),
                warp.warp_label_map(pixels[..., :1], how, TARGET)[..., 0],
                how.matrix,
            )

        dataset = tf.data.Dataset.from_generator(
            lambda: (np.full([*size, 3], 77, np.uint8) for size in sizes),
            output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
        ).map(shown)
        self.assertEqual(
            dataset.element_spec[:2],
            (tf.TensorSpec([*TARGET, 3], tf.uint8), tf.TensorSpec(TARGET, tf.uint8)),
        )
        for size, (image, label_map, rows) in zip(
            sizes, dataset.as_numpy_iterator(), strict=True
        ):
            # 77 and grey, and what is between them; nothing else.
            self.assertAllInRange(image, 77, GREY)
            self.assertAllInSet(label_map, {77, NO_LABEL})
            source = come_from(rows)
            expected = np.all((source > 0) & (source < size), axis=-1)
            wrong = (label_map == 77) != expected
            self.assertLessEqual(wrong.sum(), 2, msg=size)
            if not degrees:
                self.assertAllEqual((image == 77).all(-1), expected, msg=size)
                scale = min(np.divide(TARGET, size))
                sides = np.maximum(np.round(np.multiply(size, scale)), 1)
                self.assertEqual(expected.sum(), sides.prod(), msg=size)


class MoveImageTest(tf.test.TestCase):
    def test_a_picture_is_moved_inside_its_own_edges(self):
        found = warp.move_image(tf.constant(PIXELS), matrix(1, 1, -4, 9)).numpy()
        self.assertAllEqual(found[:56, 9:], PIXELS[4:, :91])
        self.assertAllEqual(found[56:], np.full([4, 100, 3], GREY))
        self.assertAllEqual(found[:, :9], np.full([60, 9, 3], GREY))

    def test_one_pixel_can_be_moved(self):
        one = tf.constant([[[7, 8, 9]]], tf.uint8)
        self.assertAllEqual(warp.move_image(one, matrix(1, 1, 0, 0)), one)
        away = warp.move_image(one, matrix(1, 1, 0, 2))
        self.assertAllEqual(away, np.full([1, 1, 3], GREY))
