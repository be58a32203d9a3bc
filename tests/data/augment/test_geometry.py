"""What a geometry promises: where a picture lies in the network's input."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from st_keras.data.augment import geometry, operations

SIZE = (60, 100)  # Height and width of the original.
TARGET = (64, 96)


def matrix(y_scale, x_scale, y_move, x_move):
    return tf.constant([[y_scale, 0, y_move], [0, x_scale, x_move]], tf.float32)


def apply(how, *points_yx):
    points = np.array(points_yx, np.float32)
    how = np.asarray(how)
    return points @ how[:, :2].T + how[:, 2]


def jitter(seed, target=TARGET, size=SIZE, flip_probability=0.5, scale=(0.5, 2.0)):
    size = tf.constant(size)
    asked = geometry.jitter_map(
        size,
        target,
        tf.convert_to_tensor(seed),
        scale_min=scale[0],
        scale_max=scale[1],
        flip_probability=flip_probability,
    )
    return geometry.straight(asked, size, target)


def draws(count, **settings):
    """Returns a Geometry of [count, ...]: those of the first examples of a stream."""

    def draw(index):
        seed = tf.random.experimental.stateless_fold_in(tf.constant([5, 0]), index)
        return jitter(seed, **settings)

    dataset = tf.data.Dataset.range(count).map(draw).batch(count)
    return tf.nest.map_structure(lambda field: field.numpy(), next(iter(dataset)))


def rows(drawn):
    return [geometry.Geometry(*fields) for fields in zip(*drawn, strict=True)]


def move(name, argument, size=SIZE):
    index = operations.NAMES.index(name)
    return geometry.move_of(
        operations.NAMES,
        tf.constant(index),
        tf.constant(argument, tf.float32),
        tf.constant(size, tf.float32),
    )


class FitTest(tf.test.TestCase):
    def test_the_whole_picture_lies_at_the_top_left_as_large_as_it_fits(self):
        # 128 / 60 = 2.13 by height, 96 / 100 = 0.96 by width: the smaller counts, and
        # 57.6 rows become 58.
        how = geometry.fit(tf.constant(SIZE), (128, 96))
        self.assertAllEqual(how.source_yxyx, [0, 0, 60, 100])
        self.assertAllEqual(how.target_yxyx, [0, 0, 58, 96])
        self.assertAllClose(how.matrix, [[58 / 60, 0, 0], [0, 0.96, 0]])
        # 64 / 84 = 0.76 by height, 96 / 52 = 1.85 by width; 39.6 columns become 40.
        how = geometry.fit(tf.constant([84, 52]), TARGET)
        self.assertAllEqual(how.target_yxyx, [0, 0, 64, 40])
        self.assertAllClose(how.matrix, [[64 / 84, 0, 0], [0, 40 / 52, 0]])
        self.assertTrue(how.is_straight)
        self.assertFalse(how.is_mirrored)

    def test_a_picture_of_one_row_keeps_a_row(self):
        # 96 / 400 = 0.24 of a row.
        how = geometry.fit(tf.constant([1, 400]), TARGET)
        self.assertAllEqual(how.target_yxyx, [0, 0, 1, 96])
        self.assertTrue(how.is_straight)


class JitterTest(tf.test.TestCase, parameterized.TestCase):
    def test_the_same_seed_gives_the_same_geometry(self):
        self.assertAllEqual(jitter([3, 4]).matrix, jitter([3, 4]).matrix)
        self.assertNotAllClose(jitter([3, 4]).matrix, jitter([3, 5]).matrix)

    def test_a_small_picture_lies_inside_the_target_at_any_place(self):
        # Fits 64 x 96 at 0.96; at most 0.96 of that, so there is room on each side.
        found = draws(300, scale=(0.5, 0.96), flip_probability=0.5)
        self.assertAllEqual(found.source_yxyx, [[0, 0, 60, 100]] * 300)
        low, high = found.target_yxyx[:, :2], found.target_yxyx[:, 2:]
        self.assertAllInRange(low, 0, 96)
        self.assertAllGreaterEqual(TARGET - high, 0)
        share = (high - low) / (0.96 * np.array(SIZE))
        self.assertAllInRange(share, 0.5 - 0.5 / 57, 0.96 + 0.5 / 57)
        place = low / (TARGET - (high - low))
        self.assertAllLess(place.min(0), 0.05)
        self.assertAllGreater(place.max(0), 0.95)

    def test_a_picture_larger_than_the_target_covers_it(self):
        # 60 x 100 into 64 x 64 at scales of 2 and more: 77 x 128 px at least.
        found = draws(300, target=(64, 64), scale=(2.0, 3.0))
        self.assertAllEqual(found.target_yxyx, [[0, 0, 64, 64]] * 300)
        low, high = found.source_yxyx[:, :2], found.source_yxyx[:, 2:]
        place = low / (SIZE - (high - low))
        self.assertAllInRange(place, 0.0, 1.0)
        self.assertAllLess(place.min(0), 0.05)
        self.assertAllGreater(place.max(0), 0.95)

    @parameterized.parameters((0.3, 0.9), (0.5, 2.0), (1.3, 3.0))
    def test_mirroring_shows_the_mirrored_picture_at_the_mirrored_place(self, *scale):
        always = rows(draws(20, flip_probability=1.0, scale=scale))
        never = rows(draws(20, flip_probability=0.0, scale=scale))
        for flipped, plain in zip(always, never, strict=True):
            self.assertTrue(flipped.is_mirrored)
            self.assertFalse(plain.is_mirrored)
            self.assertAllEqual(flipped.source_yxyx, plain.source_yxyx)
            y0, x0, y1, x1 = plain.target_yxyx
            self.assertAllEqual(flipped.target_yxyx, [y0, 96 - x1, y1, 96 - x0])

    @parameterized.parameters(((0.3, 0.9),), ((1.3, 3.0),))
    def test_flip_scale_and_place_are_drawn_independently(self, scale):
        # One seed for all of them gave a correlation of -0.87 elsewhere.
        size, target = (600, 1000), (640, 960)
        found = draws(5000, size=size, target=target, scale=scale)
        flips = (found.matrix[:, 1, 1] < 0).astype(float)
        scales = np.abs(found.matrix[:, 1, 1])
        left = np.where(flips, 960 - found.matrix[:, 1, 2], found.matrix[:, 1, 2])
        y_place = found.matrix[:, 0, 2] / (640 - found.matrix[:, 0, 0] * 600)
        x_place = left / (960 - scales * 1000)
        both = np.corrcoef([flips, scales, y_place, x_place])
        self.assertAllInRange(both - np.eye(4), -0.05, 0.05)
        self.assertAllClose(flips.mean(), 0.5, atol=0.03)
        # Uniform: the mean in the middle, the deviation 1/sqrt(12) of the range.
        middle, width = 0.96 * sum(scale) / 2, 0.96 * (scale[1] - scale[0])
        self.assertAllClose(scales.mean(), middle, atol=0.03 * width)
        self.assertAllClose(scales.std(), width / 12**0.5, atol=0.03 * width)
        for place in (y_place, x_place):
            self.assertAllInRange(place, -0.02, 1.02)
            self.assertAllClose(place.mean(), 0.5, atol=0.03)
            self.assertAllClose(place.std(), 1 / 12**0.5, atol=0.03)

    def test_jitter_scale_is_the_scale_that_is_drawn(self):
        for number in range(20):
            seed = tf.constant([7, number])
            factor = geometry.jitter_scale(seed, 0.5, 2.0)
            found = jitter(seed, size=(600, 1000), target=(640, 960))
            # Half a pixel of about 480 or more that are seen.
            self.assertAllClose(geometry.scale_yx(found)[1], 0.96 * factor, rtol=2e-3)


class StraightTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters((0.5, 2.0), (0.1, 0.3), (1.0, 1.0), (3.0, 9.0))
    def test_windows_are_inside_and_the_map_takes_one_to_the_other(self, *scale):
        for size in (SIZE, (84, 52)):
            for how in rows(draws(60, size=size, scale=scale)):
                self.assertTrue(how.is_straight)
                for window, limit in (
                    (how.source_yxyx, size),
                    (how.target_yxyx, TARGET),
                ):
                    self.assertAllGreaterEqual(window[:2], 0)
                    self.assertAllGreater(window[2:] - window[:2], 0)
                    self.assertAllGreaterEqual(np.array(limit) - window[2:], 0)
                y0, x0, y1, x1 = how.target_yxyx
                if how.is_mirrored:
                    x0, x1 = x1, x0
                low, high = how.source_yxyx[:2], how.source_yxyx[2:]
                found = apply(how.matrix, low, high)
                self.assertAllClose(found, [[y0, x0], [y1, x1]], rtol=0, atol=1e-3)

    @parameterized.parameters(False, True)
    def test_no_side_moves_by_more_than_half_a_pixel(self, is_mirrored):
        # Of the target where the picture ends inside it, of the original where it is
        # cut there.
        rng = np.random.default_rng(3)
        for _ in range(100):
            scale = rng.uniform([0.3, 0.3], [3.0, 3.0]) * [1, 1 - 2 * is_mirrored]
            middle = rng.uniform([20, 30], [44, 66])
            asked = matrix(*scale, *(middle - scale * np.array(SIZE) / 2))
            how = geometry.straight(asked, tf.constant(SIZE), TARGET)
            self.assertTrue(how.is_straight)
            corners = [how.source_yxyx[:2], how.source_yxyx[2:]]
            off = np.abs(apply(asked, *corners) - apply(how.matrix, *corners))
            limit = 0.5 * np.maximum(np.abs(scale), 1.0) + 1e-3
            self.assertAllLessEqual(off / limit, 1.0)

    def test_whole_pixels_stay_as_they_are(self):
        asked = matrix(2, 0.5, -10, 4)
        how = geometry.straight(asked, tf.constant(SIZE), TARGET)
        # 120 rows from -10: 5 px of the original are above, 32 are seen.
        self.assertAllEqual(how.source_yxyx, [5, 0, 37, 100])
        self.assertAllEqual(how.target_yxyx, [0, 4, 64, 54])
        self.assertAllClose(how.matrix, asked)

    @parameterized.parameters(-60, 64, -500, 1000)
    def test_a_picture_that_is_not_seen_is_not_straight(self, y_move):
        asked = matrix(1, -1, y_move, 100)
        how = geometry.straight(asked, tf.constant(SIZE), TARGET)
        self.assertFalse(how.is_straight)
        self.assertAllClose(how.matrix, asked)


class AfterTest(tf.test.TestCase):
    def after(self, shown, move_matrix):
        return geometry.after(shown, move_matrix, tf.constant(SIZE), TARGET)

    def test_what_is_not_moved_is_shown_as_if_there_was_no_move(self):
        for number in range(50):
            seed = tf.constant([number, 9])
            settings = {"scale_min": 0.3, "scale_max": 2.0, "flip_probability": 0.5}
            size = tf.constant(SIZE)
            asked = geometry.jitter_map(size, TARGET, seed, **settings)
            expected = geometry.straight(asked, size, TARGET)
            found = self.after(asked, matrix(1, 1, 0, 0))
            for one, other in zip(found, expected, strict=True):
                self.assertAllEqual(one, other)

    def test_a_shift_stays_straight(self):
        # Mirrored, the picture's columns 4..100 fill the target's 92..-4.
        found = self.after(matrix(1, -1, 2, 96), matrix(1, 1, 7, 30))
        self.assertTrue(found.is_straight)
        self.assertTrue(found.is_mirrored)
        self.assertAllClose(found.matrix, matrix(1, -1, 9, 66))
        self.assertAllEqual(found.source_yxyx, [0, 0, 55, 66])
        self.assertAllEqual(found.target_yxyx, [9, 0, 64, 66])

    def test_a_shift_out_of_sight_is_not_straight(self):
        found = self.after(matrix(0.96, 0.96, 0, 0), matrix(1, 1, 0, -101))
        self.assertFalse(found.is_straight)

    def test_a_turn_or_a_shear_is_not_straight_and_comes_first(self):
        shown = matrix(0.5, -0.6, 3, 80)
        for name, argument in (("Rotate", 3.0), ("ShearX", 0.03), ("ShearY", -0.03)):
            bend = move(name, argument)
            found = self.after(shown, bend)
            self.assertFalse(found.is_straight)
            points = [(0, 0), (13, 71), (60, 100)]
            expected = apply(shown, *apply(bend, *points))
            self.assertAllClose(apply(found.matrix, *points), expected, atol=1e-3)


class MoveOfTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        # Clockwise about (30, 50): from above the centre to its right.
        ("Rotate", 90.0, (0, 50), (30, 80)),
        ("Rotate", -90.0, (0, 50), (30, 20)),
        ("Rotate", 30.0, (30, 50), (30, 50)),
        # By 30 degrees, 40 px to the right go down by 20 and are 34.64 wide.
        ("Rotate", 30.0, (30, 90), (50, 50 + 40 * 3**0.5 / 2)),
        ("ShearX", 0.2, (10, 5), (10, 3)),
        ("ShearX", -0.2, (10, 5), (10, 7)),
        ("ShearY", 0.3, (10, 20), (4, 20)),
        ("TranslateX", 7.0, (10, 20), (10, 27)),
        ("TranslateY", -7.0, (10, 20), (3, 20)),
        ("Equalize", 7.0, (10, 20), (10, 20)),
        ("Nothing", 7.0, (10, 20), (10, 20)),
        ("Rotate_Only_BBoxes", 90.0, (10, 20), (10, 20)),
    )
    def test_a_point_goes_where_a_pencil_finds_it(self, name, argument, point, found):
        self.assertAllClose(apply(move(name, argument), point), [found], atol=1e-4)

    def test_several_moves_are_made_at_once(self):
        names, arguments = ("Rotate", "Nothing", "ShearX"), (30.0, 7.0, -0.2)
        found = geometry.move_of(
            operations.NAMES,
            tf.constant([operations.NAMES.index(name) for name in names]),
            tf.constant(arguments),
            tf.constant(SIZE, tf.float32),
        )
        one_by_one = [move(*each) for each in zip(names, arguments, strict=True)]
        self.assertAllClose(found, one_by_one)

    def test_names_that_no_policy_uses_may_be_missing(self):
        names = ("TranslateY", "Rotate")
        found = geometry.move_of(
            names, tf.constant(0), tf.constant(7.0), tf.constant([60.0, 100.0])
        )
        self.assertAllClose(found, matrix(1, 1, 7, 0))


class MapsTest(tf.test.TestCase):
    def test_composing_does_the_first_first(self):
        # (3, 4) doubles to (6, 8), and moves by (1, -2).
        both = geometry.compose(matrix(1, 1, 1, -2), matrix(2, 2, 0, 0))
        self.assertAllClose(apply(both, (3, 4)), [[7, 6]])

    def test_the_inverse_leads_back(self):
        there = tf.constant([[0.8, -0.3, 12], [0.5, 1.7, -40]])
        back = geometry.inverse(there)
        points = [(0, 0), (13, 71), (60, 100)]
        self.assertAllClose(apply(back, *apply(there, *points)), points, atol=1e-3)

    def test_a_scale_is_never_negative(self):
        how = geometry.straight(matrix(0.5, -2, 0, 96), tf.constant(SIZE), TARGET)
        self.assertAllClose(geometry.scale_yx(how), [0.5, 2.0])

    def test_a_turn_does_not_change_the_scale(self):
        turned = geometry.after(
            matrix(0.5, 0.5, 0, 0), move("Rotate", 25.0), tf.constant(SIZE), (30, 50)
        )
        self.assertAllClose(geometry.scale_yx(turned), [0.5, 0.5])

    def test_before_shrinking_a_pixel_counted_for_less(self):
        # The shrunken (15, 25) was (30, 50) before.
        shown = geometry.fit(tf.constant([30, 50]), TARGET)
        before = geometry.before_shrinking(
            shown, tf.constant(2.0), tf.constant([59, 100])
        )
        self.assertAllClose(
            apply(before.matrix, (30, 50)), apply(shown.matrix, (15, 25))
        )
        # Its last row stood for one row of the picture and not for two.
        self.assertAllEqual(shown.source_yxyx, [0, 0, 30, 50])
        self.assertAllEqual(before.source_yxyx, [0, 0, 59, 100])
