"""What moving boxes promises: they are where their pixels are."""

import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from st_keras.data.augment import geometry, moved_boxes
from st_keras.data.augment.moved_boxes import move_boxes
from st_keras.types import Boxes

SIZE = (60, 100)  # Height and width of the original.
TARGET = (64, 96)
BOX = (12, 55, 31, 93)  # 19 high, 38 wide, right of the middle.
CORNERS = np.array([(0, 0), (0, 1), (1, 1), (1, 0)])  # Round a unit square.


def matrix(y_scale, x_scale, y_move, x_move):
    return tf.constant([[y_scale, 0, y_move], [0, x_scale, x_move]], tf.float32)


def straight(*scale_and_move, target=SIZE):
    return geometry.straight(matrix(*scale_and_move), tf.constant(SIZE), target)


def turned_about(degrees, from_yx, to_yx):
    """Returns a map that turns clockwise and takes one point to another."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    linear = np.array([[cos, sin], [-sin, cos]])
    offset = np.array(to_yx) - linear @ from_yx
    return tf.constant(np.column_stack([linear, offset]), tf.float32)


def move(box, how, target):
    """Returns one box and its share."""
    boxes = tf.constant([box], tf.float32)
    moved, share = move_boxes(boxes, tf.convert_to_tensor(how, tf.float32), target)
    return moved.numpy()[0], share.numpy()[0]


@tf.function
def _move(boxes, how):
    return move_boxes(boxes, how, TARGET)


def move_to_target(box, how):
    moved, share = _move(tf.constant([box], tf.float32), tf.constant(how, tf.float32))
    return moved.numpy()[0], share.numpy()[0]


class PencilTest(tf.test.TestCase, parameterized.TestCase):
    def test_scale_and_place_belong_to_their_axis(self):
        # y: 2 * 12 - 10 = 14 and 2 * 31 - 10 = 52; x: 0.5 * 55 + 4 and 0.5 * 93 + 4.
        box, share = move(BOX, matrix(2, 0.5, -10, 4), (128, 96))
        self.assertAllClose(box, [14, 31.5, 52, 50.5])
        self.assertAllClose(share, 1.0)

    def test_a_mirrored_box_has_its_sides_in_order(self):
        # x becomes 100 - x: 55..93 is 7..45.
        box, share = move(BOX, matrix(1, -1, 0, 100), SIZE)
        self.assertAllClose(box, [12, 7, 31, 45])
        self.assertAllClose(share, 1.0)

    def test_a_quarter_turn_exchanges_height_and_width(self):
        # y' = x and x' = 60 - y.
        how = [[0, 1, 0], [-1, 0, 60]]
        box, share = move(BOX, how, (100, 60))
        self.assertAllClose(box, [55, 29, 93, 48], atol=1e-4)
        self.assertAllClose(share, 1.0)
        # Of rows 55..93, those up to 70 are seen.
        box, share = move(BOX, how, (70, 60))
        self.assertAllClose(box, [55, 29, 70, 48], atol=1e-4)
        self.assertAllClose(share, 15 / 38)

    @parameterized.parameters(1.0, -1.0)
    def test_a_box_on_its_corner_is_cut_at_the_edge(self, sign):
        # 200 square pixels, turned by 45 degrees: |y - 20| + |x - to_x| <= 10.
        side = 200**0.5
        mirrors = np.array([1, sign], np.float32)

        def turned(to_x):
            how = turned_about(45, [side / 2, sign * side / 2], [20, to_x])
            return how * [[*mirrors, 1]] * tf.ones([2, 1])

        square = (0, 0, side, side)
        # A tip of 6 px is out of sight: 6 x 6 of 200. All of the height is left.
        box, share = move(square, turned(4), TARGET)
        self.assertAllClose(box, [10, 0, 30, 14], atol=1e-3)
        self.assertAllClose(share, 164 / 200, atol=1e-4)
        # A tip of 6 px is in sight, from 14 to 26: less than the height of the box.
        box, share = move(square, turned(-4), TARGET)
        self.assertAllClose(box, [14, 0, 26, 6], atol=1e-3)
        self.assertAllClose(share, 36 / 200, atol=1e-4)

    def test_a_side_across_a_corner_of_the_target_cuts_a_triangle(self):
        # |y + 3| + |x + 4| <= 10 is y + x <= 3 there: half of 3 x 3 of 200.
        side = 200**0.5
        how = turned_about(45, [side / 2, side / 2], [-3, -4])
        box, share = move((0, 0, side, side), how, TARGET)
        self.assertAllClose(box, [0, 0, 3, 3], atol=1e-3)
        self.assertAllClose(share, 4.5 / 200, atol=1e-4)

    def test_a_box_that_passes_by_a_corner_is_no_phantom(self):
        # |y + 6| + |x + 6| <= 10 has tips at y = 4 and at x = 4, beside the target.
        side = 200**0.5
        how = turned_about(45, [side / 2, side / 2], [-6, -6])
        box, share = move((0, 0, side, side), how, TARGET)
        self.assertAllEqual(box, [0, 0, 0, 0])
        self.assertEqual(share, 0.0)

    @parameterized.parameters(0.0, 20.0, 45.0, 90.0, 190.0)
    def test_a_box_all_around_the_target_fills_it(self, degrees):
        # Every corner is outside, and 20 x 30 of 200 x 240 square pixels are seen.
        how = turned_about(degrees, [100, 120], [9, 17])
        box, share = move((0, 0, 200, 240), how, (20, 30))
        self.assertAllClose(box, [0, 0, 20, 30], atol=1e-3)
        self.assertAllClose(share, 600 / 48000, atol=1e-5)

    @parameterized.named_parameters(
        ("all_of_it", (0, 0, 20, 30), (0, 0, 20, 30), 1.0),
        ("one_side_on_an_edge", (0, 5, 10, 30), (0, 5, 10, 30), 1.0),
        # Of 30 columns, 15 are seen; above and below, side and edge are one.
        ("across_the_width", (0, -15, 20, 15), (0, 0, 20, 15), 0.5),
        ("longer_than_the_edge", (0, -10, 5, 40), (0, 0, 5, 30), 0.6),
        ("across_the_height", (-10, 3, 30, 30), (0, 3, 20, 30), 0.5),
    )
    def test_an_edge_that_is_a_side_counts_once(self, box, expected, share):
        for how, mirror in (
            (matrix(1, 1, 0, 0), lambda y0, x0, y1, x1: (y0, x0, y1, x1)),
            (matrix(1, -1, 0, 30), lambda y0, x0, y1, x1: (y0, 30 - x1, y1, 30 - x0)),
            (matrix(-1, 1, 20, 0), lambda y0, x0, y1, x1: (20 - y1, x0, 20 - y0, x1)),
        ):
            found, seen = move(box, how, (20, 30))
            self.assertAllClose(found, mirror(*expected), atol=1e-4)
            self.assertAllClose(seen, share)

    def test_a_box_that_only_touches_is_not_seen(self):
        for box in ((-9, 0, 0, 30), (20, 0, 25, 30), (0, -5, 20, 0), (20, 30, 25, 35)):
            found, share = move(box, matrix(1, 1, 0, 0), (20, 30))
            self.assertAllEqual(found, [0, 0, 0, 0])
            self.assertEqual(share, 0.0)

    def test_of_a_box_without_area_nothing_is_seen(self):
        for box in ((0, 0, 0, 0), (5, 7, 5, 12), (5, 7, 9, 7)):
            for how in (matrix(1, 1, 0, 0), turned_about(30, [0, 0], [3, 4])):
                found, share = move(box, how, (20, 30))
                self.assertAllEqual(found, [0, 0, 0, 0])
                self.assertEqual(share, 0.0)

    def test_no_boxes_are_legal(self):
        boxes, share = move_boxes(tf.zeros([0, 4]), matrix(1, 1, 0, 0), SIZE)
        self.assertEqual((boxes.shape, share.shape), ((0, 4), (0,)))

    def test_a_padding_row_stays_a_row_of_zeros_beside_others(self):
        boxes = tf.constant([BOX, (0, 0, 0, 0), (0, 0, 9, 9)], tf.float32)
        moved, share = move_boxes(boxes, matrix(1, 1, 2, 3), SIZE)
        self.assertAllClose(moved, [[14, 58, 33, 96], [0, 0, 0, 0], [2, 3, 11, 12]])
        self.assertAllClose(share, [1, 0, 1])


class OracleTest(tf.test.TestCase):
    def test_box_and_share_are_those_of_points_that_move_along(self):
        rng = np.random.default_rng(11)
        across = np.linspace(0, 1, 201)
        grid = np.stack(np.meshgrid(across, across, indexing="ij"), -1)
        fully, partly = 0, 0
        for number in range(200):
            low = rng.uniform(0, [50, 85])
            side = rng.uniform([3, 4], np.array(SIZE) - low)
            linear = rng.normal(size=[2, 2]) + np.eye(2)
            if abs(np.linalg.det(linear)) < 0.1:
                continue
            offset = rng.uniform([5, 5], [60, 90]) - linear @ (low + side / 2)
            how = np.column_stack([linear, offset])
            found, share = move_to_target([*low, *(low + side)], how)
            moved = (low + grid * side) @ linear.T + offset
            is_seen = np.all((moved >= 0) & (moved <= TARGET), axis=-1)
            # Each point stands for a cell; those at the border for half of one.
            weight = np.ones(201)
            weight[[0, -1]] = 0.5
            weight = np.outer(weight, weight) / 200**2
            self.assertAllClose(share, np.sum(weight * is_seen), atol=0.01, msg=number)
            seen = moved[is_seen]
            points = np.concatenate([seen.min(0), seen.max(0)])
            # No point is outside, and a box is no larger than the points: two cells.
            step = 2 * np.abs(linear) @ (side / 200)
            room = (found - points) * [-1, -1, 1, 1]
            self.assertAllGreaterEqual(room, -2e-3)
            self.assertAllLessEqual(room / np.tile(step, 2), 1.0)
            fully += share > 0.9999
            partly += 0.01 < share < 0.99
        self.assertGreater(fully, 10)
        self.assertGreater(partly, 100)

    def test_a_side_on_an_edge_counts_once_whatever_the_rounding(self):
        # Boxes of whole pixels along the edges, as people draw them, in cuts of whole
        # pixels: sides and edges are the same but for a rounding error.
        rng = np.random.default_rng(13)
        size = tf.constant(SIZE)
        for number in range(150):
            cut = geometry.after(
                geometry.jitter_map(
                    size,
                    TARGET,
                    tf.constant([number, 1]),
                    scale_min=1.0,
                    scale_max=[1.0, 1.5, 2.0][number % 3],
                    flip_probability=0.5,
                ),
                matrix(1, 1, *rng.uniform(-30, 30, 2)),
                size,
                TARGET,
            )
            y0, x0, y1, x1 = cut.source_yxyx.numpy()
            boxes = np.array(
                [
                    (0, 0, 60, 100),
                    (0, 5, 33, 100),
                    (17, 0, 60, 44),
                    (y0, x0, y1, x1),
                    (y0, 3, 60, x1),
                    (0, x0, y1, 97),
                    # Nothing is seen of those: they end where the cut begins.
                    *[(-9, 0, y0, 100), (y1, 0, y1 + 9, 100)],
                    *[(0, -9, 60, x0), (0, x1, 60, x1 + 9)],
                ]
            )
            boxes = boxes.astype(np.float32)
            moved, shares = _move(tf.constant(boxes), cut.matrix)
            linear, offset = np.split(cut.matrix.numpy().astype(float), [2], axis=1)
            for box, found, share in zip(boxes, moved.numpy(), shares, strict=True):
                low, side = box[:2], box[2:] - box[:2]
                corners = (low + CORNERS * side) @ linear.T + offset[:, 0]
                left = _cut(corners, TARGET)
                whole = abs(_area(corners))
                self.assertAllClose(share, _area(left) / whole, atol=1e-3, msg=number)
                if share > 1e-3:
                    expected = [*left.min(0), *left.max(0)]
                    self.assertAllClose(found, expected, atol=5e-3)
                else:  # A rounding error may be seen of it, but no pixel.
                    self.assertLess(np.min(found[2:] - found[:2]), 1e-3)

    def test_box_and_share_are_those_of_the_polygon_that_is_left(self):
        rng = np.random.default_rng(12)
        gone = 0
        for _ in range(200):
            low = rng.uniform(0, [50, 85])
            side = rng.uniform([1, 1], np.array(SIZE) - low)
            linear = rng.normal(size=[2, 2]) + np.eye(2)
            if abs(np.linalg.det(linear)) < 0.1:
                continue
            offset = rng.uniform(-40, 130, [2]) - linear @ (low + side / 2)
            how = np.column_stack([linear, offset])
            found, share = move_to_target([*low, *(low + side)], how)
            corners = low + CORNERS * side
            left = _cut(corners @ linear.T + offset, TARGET)
            whole = side.prod() * abs(np.linalg.det(linear))
            self.assertAllClose(share, _area(left) / whole, atol=1e-4)
            if _area(left) > 0.1:
                expected = [*left.min(0), *left.max(0)]
                self.assertAllClose(found, expected, atol=5e-3)
            elif not len(left):
                self.assertAllEqual(found, [0, 0, 0, 0])
                gone += 1
        self.assertGreater(gone, 20)

    def test_the_share_of_a_small_box_is_exact_far_from_the_corner_at_zero(self):
        # Sides that are nearly level: 3 px wide, they rise by 0.09 and by 0.16 px.
        rng = np.random.default_rng(14)
        target = (640, 640)
        low = rng.uniform(500, 645, [200, 2]).astype(np.float32)
        boxes = np.concatenate([low, low + [4.0, 3.0]], axis=1).astype(np.float32)
        degree = math.sin(math.radians(3))
        for slope_y, slope_x in ((0.03, 0.0), (0.0, 0.03), (degree, -degree)):
            how = np.array([[1, slope_y, -16], [slope_x, 1, -16]], np.float32)
            _, shares = move_boxes(tf.constant(boxes), tf.constant(how), target)
            linear, offset = np.split(how.astype(float), [2], axis=1)
            expected = []
            for box in boxes.astype(float):
                corners = box[:2] + CORNERS * (box[2:] - box[:2])
                corners = corners @ linear.T + offset[:, 0]
                expected.append(_area(_cut(corners, target)) / _area(corners))
            self.assertAllClose(shares, expected, atol=5e-3)
            self.assertGreater(np.mean(np.array(expected) == 1), 0.2)


def _cut(polygon, target):
    """Returns a convex [N, 2] polygon inside a target, cut by one edge at a time."""
    for axis, limit, sign in (
        (0, 0, 1),
        (1, 0, 1),
        (0, target[0], -1),
        (1, target[1], -1),
    ):
        kept = []
        for start, end in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            first, last = sign * (start[axis] - limit), sign * (end[axis] - limit)
            if first >= 0:
                kept.append(start)
            if first * last < 0:
                kept.append(start + first / (first - last) * (end - start))
        polygon = np.reshape(kept, [-1, 2])
    return polygon


def _area(polygon):
    y, x = polygon[:, 0], polygon[:, 1]
    return abs(y @ np.roll(x, -1) - x @ np.roll(y, -1)) / 2


def labels(*boxes):
    count = len(boxes)
    return Boxes(
        tf.constant(boxes, tf.float32),
        tf.range(count),
        tf.linspace(0.1, 0.9, count),
        tf.ones([count]),
        tf.range(count) == 1,
    )


def move_labels(boxes, how, min_visible_share=0.0, cuts_yxyx=None):
    return moved_boxes.move_labels(
        labels(*boxes),
        how,
        SIZE,
        min_visible_share=min_visible_share,
        cuts_yxyx=None if cuts_yxyx is None else tf.constant(cuts_yxyx, tf.float32),
    )


class MoveLabelsTest(tf.test.TestCase, parameterized.TestCase):
    def test_a_box_is_cut_at_the_edge_of_the_input(self):
        moved = move_labels([BOX], straight(1, 1, -20, 20))
        self.assertAllClose(moved.boxes_yxyx, [[0, 75, 11, 100]])

    def test_a_box_out_of_view_is_dropped_with_all_that_belongs_to_it(self):
        boxes = [(0, 0, 10, 10), BOX, (50, 90, 60, 100)]
        moved = move_labels(boxes, straight(1, 1, -11, 0))
        self.assertAllEqual(moved.class_ids, [1, 2])
        self.assertAllClose(moved.scores, [0.5, 0.9])
        self.assertAllEqual(moved.is_crowd, [True, False])
        self.assertAllEqual(moved.weights, [1, 1])
        self.assertAllClose(moved.boxes_yxyx, [[1, 55, 20, 93], [39, 90, 49, 100]])

    @parameterized.parameters((0.0, 1), (0.249, 1), (0.251, 0))
    def test_a_box_must_show_its_share(self, min_visible_share, count):
        # 10 of 20 rows and 15 of 30 columns remain: a quarter of the area.
        how = straight(1, 1, -10, -15)
        moved = move_labels([(0, 0, 20, 30)], how, min_visible_share)
        self.assertLen(moved.boxes_yxyx, count)

    def test_boxes_that_are_seen_as_a_whole_stay_if_all_of_them_is_asked_for(self):
        # Their share is a quotient of areas in float32, and not 1 to the last digit.
        rng = np.random.default_rng(1)
        low = rng.uniform(1.0, (20.0, 50.0), [200, 2])
        boxes = np.concatenate([low, low + rng.uniform(3.0, 38.0, [200, 2])], 1)
        for how in (straight(0.73, 0.73, 1, 2), straight(0.9, 0.9, 0, 0)):
            moved = move_labels(boxes, how, min_visible_share=1.0)
            self.assertLen(moved.boxes_yxyx, 200)
        cut = move_labels(boxes, straight(1, 1, -12, 0), min_visible_share=1.0)
        self.assertLen(cut.boxes_yxyx, int((boxes[:, 0] >= 12.0).sum()))

    @parameterized.parameters((0.0, 1), (0.199, 1), (0.201, 0))
    def test_what_is_painted_over_is_not_seen(self, min_visible_share, count):
        # 4 of 20 rows are left; the cut outside of the box does not count.
        cuts = [[0, 0, 16, 50], [30, 0, 60, 100], [0, 0, 0, 0]]
        how = straight(0.5, -0.5, 0, 100)
        moved = move_labels([(0, 0, 20, 30)], how, min_visible_share, cuts)
        self.assertLen(moved.boxes_yxyx, count)

    def test_a_box_that_is_painted_over_is_dropped_at_any_share(self):
        how = straight(1, 1, 0, 0)
        moved = move_labels([BOX, (0, 0, 9, 9)], how, 0.0, [[10, 50, 35, 100]])
        self.assertAllEqual(moved.class_ids, [1])

    def test_a_box_that_only_touches_the_input_is_dropped_at_any_share(self):
        moved = move_labels([(0, 0, 20, 30)], straight(1, 1, -20, 0))
        self.assertEmpty(moved.boxes_yxyx)

    def test_no_boxes_stay_no_boxes(self):
        none = Boxes(*(field[:0] for field in labels(BOX)))
        for cuts in (None, tf.constant([[0.0, 0, 9, 9]])):
            moved = moved_boxes.move_labels(
                none,
                straight(1, 1, 0, 0),
                SIZE,
                min_visible_share=0.25,
                cuts_yxyx=cuts,
            )
            self.assertEqual(moved.boxes_yxyx.shape, [0, 4])
            self.assertEqual(moved.class_ids.shape, [0])
