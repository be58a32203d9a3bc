"""What the arithmetic on boxes promises."""

import numpy as np
import tensorflow as tf

from st_keras.ops import boxes

BOX = np.array([[10, 10, 30, 50]], np.float32)  # 20 high, 40 wide: 800 px^2.


def iou(others):
    return boxes.pairwise_iou(BOX, np.asarray(others, np.float32))


class PairwiseIouTest(tf.test.TestCase):
    def test_a_box_overlaps_itself_wholly_and_a_distant_one_not_at_all(self):
        self.assertAllClose(iou([[10, 10, 30, 50], [40, 10, 60, 50]]), [[1, 0]])

    def test_boxes_that_only_touch_do_not_overlap(self):
        self.assertAllClose(iou([[30, 10, 50, 50], [10, 50, 30, 90]]), [[0, 0]])

    def test_height_and_width_are_not_confused(self):
        # 5 px down: 15 * 40 = 600 in common, 800 + 800 - 600 = 1000 together.
        # 5 px right: 20 * 35 = 700 in common, 900 together.
        self.assertAllClose(iou([[15, 10, 35, 50], [10, 15, 30, 55]]), [[0.6, 7 / 9]])

    def test_a_box_inside_another_overlaps_by_the_ratio_of_areas(self):
        # 10 x 8 = 80 px^2 of 800.
        self.assertAllClose(iou([[12, 20, 22, 28]]), [[0.1]])

    def test_a_box_without_area_overlaps_nothing(self):
        self.assertAllClose(iou([[0, 0, 0, 0], [20, 20, 20, 40]]), [[0, 0]])
        nothing = np.zeros([2, 4], np.float32)
        self.assertAllClose(boxes.pairwise_iou(nothing, nothing), np.zeros([2, 2]))

    def test_every_pair_of_every_picture_has_its_place(self):
        rng = np.random.default_rng(0)
        corners = rng.uniform(0, 60, [2, 5, 4]).astype(np.float32)
        first = np.concatenate([corners[..., :2], corners[..., :2] + 30], -1)[:, :3]
        second = np.concatenate([corners[..., 2:], corners[..., 2:] + [9, 40]], -1)
        found = boxes.pairwise_iou(first, second.astype(np.float32))
        self.assertEqual(found.shape, [2, 3, 5])
        for b, a, n in np.ndindex(2, 3, 5):
            p, q = first[b, a], second[b, n]
            height = max(0, min(p[2], q[2]) - max(p[0], q[0]))
            width = max(0, min(p[3], q[3]) - max(p[1], q[1]))
            common = height * width
            self.assertAllClose(found[b, a, n], common / (900 + 360 - common))


class ClipToWindowTest(tf.test.TestCase):
    def test_boxes_are_cut_at_height_and_width(self):
        found = boxes.clip_to_window(
            np.array([[-5, -6, 70, 110], [20, 30, 40, 50]], np.float32), [60, 100]
        )
        self.assertAllClose(found, [[0, 0, 60, 100], [20, 30, 40, 50]])

    def test_a_box_wholly_outside_has_no_area(self):
        outside = [[-9, 5, -2, 9], [61, 5, 70, 9], [5, 101, 9, 140], [5, -9, 9, -1]]
        found = boxes.clip_to_window(np.array(outside, np.float32), [60, 100])
        self.assertAllClose(boxes.area(found), np.zeros(4))

    def test_every_picture_has_its_own_size(self):
        sizes = tf.constant([[[60, 100]], [[84, 52]]])
        found = boxes.clip_to_window(tf.fill([2, 1, 4], 90.0), sizes)
        self.assertAllClose(found, [[[60, 90, 60, 90]], [[84, 52, 84, 52]]])


class AreaTest(tf.test.TestCase):
    def test_it_is_height_times_width(self):
        self.assertAllClose(boxes.area(np.concatenate([BOX, BOX * 2])), [800, 3200])
