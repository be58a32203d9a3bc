"""What a geometry promises: pixels and boxes move together."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from st_keras.data.augment import geometry
from st_keras.types import Labels

SIZE = (60, 100)  # Height and width of the original.
PIXELS = np.random.default_rng(0).integers(0, 256, [*SIZE, 3]).astype(np.uint8)
BOX = (12, 55, 31, 93)  # 19 high, 38 wide, right of the middle.


def matrix(y_scale, x_scale, y_move, x_move):
    return tf.constant([[y_scale, 0, y_move], [0, x_scale, x_move]], tf.float32)


def labels(*boxes):
    count = len(boxes)
    return Labels(
        tf.constant(boxes, tf.float32),
        tf.range(count),
        tf.linspace(0.1, 0.9, count),
        tf.ones([count]),
        tf.range(count) == 1,
    )


def move(boxes, how, target, min_visible_share=0.0):
    return geometry.move_labels(
        labels(*boxes), how, target, min_visible_share=min_visible_share
    )


def warp(pixels, how, target):
    return geometry.warp_image(tf.constant(pixels), how, target).numpy()


def jitter(seed, target=(64, 96), size=SIZE, flip_probability=0.5, scale=(0.5, 2.0)):
    return geometry.jitter(
        tf.constant(size),
        target,
        tf.convert_to_tensor(seed),
        scale_min=scale[0],
        scale_max=scale[1],
        flip_probability=flip_probability,
    )


def draws(count, **settings):
    """Returns [count, 2, 3]: the geometries of the first examples of a stream."""

    def draw(index):
        seed = tf.random.experimental.stateless_fold_in(tf.constant([5, 0]), index)
        return jitter(seed, **settings)

    dataset = tf.data.Dataset.range(count).map(draw, tf.data.AUTOTUNE).batch(count)
    return next(iter(dataset)).numpy()


class FitTest(tf.test.TestCase):
    def test_the_whole_picture_lies_at_the_top_left_as_large_as_it_fits(self):
        # 128 / 60 = 2.13 by height, 96 / 100 = 0.96 by width: the smaller counts.
        how = geometry.fit(tf.constant(SIZE), (128, 96))
        self.assertAllClose(how, [[0.96, 0, 0], [0, 0.96, 0]])
        # 64 / 84 = 0.76 by height, 96 / 52 = 1.85 by width.
        how = geometry.fit(tf.constant([84, 52]), (64, 96))
        self.assertAllClose(how, [[64 / 84, 0, 0], [0, 64 / 84, 0]])

    def test_the_rest_is_grey_128(self):
        # 60 x 100 to 120 x 200 of 128 x 256.
        how = geometry.fit(tf.constant(SIZE), (128, 200))
        found = warp(np.zeros([*SIZE, 3], np.uint8), how, (128, 200))
        self.assertAllEqual(found[:120], np.zeros([120, 200, 3]))
        self.assertAllEqual(found[120:], np.full([8, 200, 3], 128))


class WarpImageTest(tf.test.TestCase, parameterized.TestCase):
    def test_the_identity_changes_no_pixel(self):
        self.assertAllEqual(warp(PIXELS, matrix(1, 1, 0, 0), SIZE), PIXELS)

    def test_whole_pixels_are_moved_as_they_are(self):
        # 5 px down and 7 px left, seen through a window of 50 x 110 px.
        found = warp(PIXELS, matrix(1, 1, 5, -7), (50, 110))
        self.assertAllEqual(found[5:, :93], PIXELS[:45, 7:])
        self.assertAllEqual(found[:5], np.full([5, 110, 3], 128))
        self.assertAllEqual(found[:, 93:], np.full([50, 17, 3], 128))

    def test_a_mirrored_picture_is_read_from_the_right(self):
        found = warp(PIXELS, matrix(1, -1, 0, 100), SIZE)
        self.assertAllEqual(found, PIXELS[:, ::-1])

    @parameterized.parameters(2, 3)
    def test_enlarging_is_the_bilinear_resize_of_pil_up_to_the_edge(self, scale):
        target = (SIZE[0] * scale, SIZE[1] * scale)
        found = warp(PIXELS, matrix(scale, scale, 0, 0), target)
        resized = Image.fromarray(PIXELS).resize(
            target[::-1], Image.Resampling.BILINEAR
        )
        self.assertAllClose(found.astype(int), np.asarray(resized).astype(int), atol=1)

    def test_any_map_is_the_bilinear_transform_of_pil(self):
        # PIL wants the map back, x before y, from centre to centre, as we do.
        how = matrix(0.9, 1.3, 6.4, -20.7)
        found = warp(PIXELS, how, (64, 96)).astype(int)
        back = (1 / 1.3, 0, 20.7 / 1.3, 0, 1 / 0.9, -6.4 / 0.9)
        expected = Image.fromarray(PIXELS).transform(
            (96, 64),
            Image.Transform.AFFINE,
            back,
            Image.Resampling.BILINEAR,
            fillcolor=(128, 128, 128),
        )
        self.assertAllClose(found, np.asarray(expected).astype(int), atol=1)

    def test_the_shape_is_static(self):
        dataset = tf.data.Dataset.from_tensors(PIXELS).map(
            lambda image: geometry.warp_image(image, matrix(1, 1, 0, 0), (64, 96))
        )
        self.assertEqual(dataset.element_spec.shape.as_list(), [64, 96, 3])
        self.assertEqual(dataset.element_spec.dtype, tf.uint8)


class JitterTest(tf.test.TestCase, parameterized.TestCase):
    def test_the_same_seed_gives_the_same_geometry(self):
        self.assertAllEqual(jitter([3, 4]), jitter([3, 4]))
        self.assertNotAllClose(jitter([3, 4]), jitter([3, 5]))

    def test_scale_and_place_of_a_small_picture_keep_it_inside(self):
        # Fits 64 x 96 at 0.96; at most 0.96 of that, so there is room on each side.
        found = draws(300, scale=(0.5, 0.96), flip_probability=0.0)
        scale, offset = found[:, 0, 0], found[:, :, 2]
        self.assertAllClose(scale, found[:, 1, 1])
        self.assertAllInRange(scale, 0.96 * 0.5, 0.96 * 0.96)
        room = np.array([64, 96]) - scale[:, None] * SIZE
        place = offset / room
        self.assertAllInRange(place, 0.0, 1.0)
        self.assertLess(place.min(), 0.05)
        self.assertGreater(place.max(), 0.95)

    def test_a_picture_larger_than_the_target_covers_it(self):
        # 60 x 100 into 64 x 64 at scales of 2 and more: 77 x 128 px at least.
        found = draws(300, target=(64, 64), scale=(2.0, 3.0), flip_probability=0.0)
        scale, offset = found[:, 0, 0], found[:, :, 2]
        self.assertLessEqual(offset.max(), 0.0)
        far = offset + scale[:, None] * SIZE
        self.assertAllGreaterEqual(far, 64 - 1e-3)

    def test_mirroring_shows_the_mirrored_picture_at_the_mirrored_place(self):
        always = draws(20, flip_probability=1.0)
        never = draws(20, flip_probability=0.0)
        corners = np.array([0.0, 100.0])
        for flipped, plain in zip(always, never, strict=True):
            self.assertAllEqual(flipped[0], plain[0])
            self.assertAllClose(
                flipped[1, 1] * corners + flipped[1, 2],
                96 - (plain[1, 1] * corners + plain[1, 2]),
                atol=1e-3,
            )

    def test_flip_scale_and_place_are_drawn_independently(self):
        # One seed for all of them gave a correlation of -0.87 elsewhere.
        found = draws(5000, scale=(0.3, 0.9), flip_probability=0.5)
        flips = (found[:, 1, 1] < 0).astype(float)
        scale = found[:, 0, 0]
        left = np.where(flips, 96 - found[:, 1, 2], found[:, 1, 2])
        y_place = found[:, 0, 2] / (64 - scale * 60)
        x_place = left / (96 - scale * 100)
        both = np.corrcoef([flips, scale, y_place, x_place])
        self.assertAllInRange(both - np.eye(4), -0.05, 0.05)
        self.assertAllClose(flips.mean(), 0.5, atol=0.03)
        # Uniform: the mean in the middle, the deviation 1/sqrt(12) of the range.
        self.assertAllClose(scale.mean(), 0.96 * 0.6, atol=0.01)
        self.assertAllClose(scale.std(), 0.96 * 0.6 / 12**0.5, atol=0.01)


class MoveLabelsTest(tf.test.TestCase, parameterized.TestCase):
    def test_boxes_follow_their_pixels(self):
        y0, x0, y1, x1 = BOX
        pixels = np.zeros([*SIZE, 3], np.uint8)
        pixels[y0:y1, x0:x1] = 255
        compared = 0
        for how in draws(60):
            # The box alone is brighter than the grey outside.
            seen = np.argwhere(warp(pixels, tf.constant(how), (64, 96))[..., 0] > 191)
            found = move([BOX], how, (64, 96)).boxes_yxyx.numpy()
            if not len(seen):
                sides = found[:, 2:] - found[:, :2]
                self.assertTrue(np.all(sides.min(axis=-1) < 1.0), msg=found)
                continue
            in_pixels = [*seen.min(axis=0), *(seen.max(axis=0) + 1)]
            self.assertAllClose(found, [in_pixels], atol=1.0)
            compared += 1
        self.assertGreater(compared, 45)

    def test_a_mirrored_box_has_its_sides_in_order(self):
        # x becomes 100 - x: 55..93 is 7..45.
        moved = move([BOX], matrix(1, -1, 0, 100), SIZE)
        self.assertAllClose(moved.boxes_yxyx, [[12, 7, 31, 45]])

    def test_scale_and_place_belong_to_their_axis(self):
        # y: 2 * 12 - 10 = 14 and 2 * 31 - 10 = 52; x: 0.5 * 55 + 4 and 0.5 * 93 + 4.
        moved = move([BOX], matrix(2, 0.5, -10, 4), (128, 96))
        self.assertAllClose(moved.boxes_yxyx, [[14, 31.5, 52, 50.5]])

    def test_a_box_is_cut_at_the_edge_of_the_input(self):
        moved = move([BOX], matrix(1, 1, -20, 20), SIZE)
        self.assertAllClose(moved.boxes_yxyx, [[0, 75, 11, 100]])

    def test_a_box_out_of_view_is_dropped_with_all_that_belongs_to_it(self):
        boxes = [(0, 0, 10, 10), BOX, (50, 90, 60, 100)]
        moved = move(boxes, matrix(1, 1, -11, 0), SIZE)
        self.assertAllEqual(moved.class_ids, [1, 2])
        self.assertAllClose(moved.scores, [0.5, 0.9])
        self.assertAllEqual(moved.is_crowd, [True, False])
        self.assertAllEqual(moved.weights, [1, 1])
        self.assertAllClose(moved.boxes_yxyx, [[1, 55, 20, 93], [39, 90, 49, 100]])

    @parameterized.parameters((0.0, 1), (0.25, 1), (0.26, 0))
    def test_a_box_must_show_its_share(self, min_visible_share, count):
        # 10 of 20 rows and 15 of 30 columns remain: a quarter of the area.
        moved = move([(0, 0, 20, 30)], matrix(1, 1, -10, -15), SIZE, min_visible_share)
        self.assertLen(moved.boxes_yxyx, count)

    def test_a_box_that_only_touches_the_input_is_dropped_at_any_share(self):
        moved = move([(0, 0, 20, 30)], matrix(1, 1, -20, 0), SIZE)
        self.assertEmpty(moved.boxes_yxyx)

    def test_no_boxes_stay_no_boxes(self):
        none = Labels(*(field[:0] for field in labels(BOX)))
        moved = geometry.move_labels(
            none, matrix(1, 1, 0, 0), SIZE, min_visible_share=0.0
        )
        self.assertEqual(moved.boxes_yxyx.shape, [0, 4])
